//! A session as other programs read it: the JSONL of Claude Code, one message a line, which trace viewers take.
//!
//! Made from the log, not from the conversation: what was summed up or undone is in it.

use crate::line::timestamp;
use ml_intern_agent::event::{Event, Usage};
use ml_intern_agent::message::{Call, Image, Message, Part, Role};
use ml_intern_agent::{Stamp, State};
use serde_json::{Map, Value, json};
use sha1::{Digest as _, Sha1};
use std::fmt::Write as _;

/// The lines of a session, each with its newline.
pub fn claude_code(id: &str, events: &[(Stamp, Event)]) -> Vec<String> {
    let mut export = Export {
        id,
        state: State::default(),
        index: 0,
        parent: None,
        usage: None,
        results: Vec::new(),
        lines: Vec::new(),
    };
    for (stamp, event) in events {
        export.add(*stamp, event);
    }
    export.flush();
    export.lines
}

struct Export<'a> {
    id: &'a str,
    state: State,
    /// Position of the next message; the results of a reply are a message each.
    index: usize,
    /// `uuid` of the line before.
    parent: Option<String>,
    /// Of the model call whose reply comes next.
    usage: Option<Usage>,
    /// Results of the last reply, by the position of their calls: they end in any order.
    results: Vec<(u32, Stamp, Value)>,
    lines: Vec<String>,
}

impl Export<'_> {
    fn add(&mut self, stamp: Stamp, event: &Event) {
        match event {
            Event::TurnStarted { input, .. } => {
                self.flush();
                self.user(stamp, input, false);
            }
            Event::InputTaken {} => {
                self.flush();
                let words = self.state.queued.join("\n\n");
                self.user(stamp, &words, false);
            }
            Event::Message { message } => {
                self.flush();
                match message.role {
                    Role::User => self.user(stamp, &message.plain_text(), message.injected),
                    Role::Assistant => self.assistant(stamp, message),
                    Role::System | Role::Tool => self.index += 1,
                }
            }
            Event::Usage { usage } => self.usage = Some(*usage),
            Event::ToolFinished {
                call,
                index,
                content,
                ..
            } => self.result(stamp, call, *index, content),
            _ => {}
        }
        self.state.apply(event, stamp);
    }

    fn user(&mut self, stamp: Stamp, text: &str, injected: bool) {
        let mut content = Value::from(text);
        if !injected && !self.state.attached.is_empty() {
            let pictures = self.state.attached.iter().map(picture);
            let words = json!({"type": "text", "text": text});
            content = std::iter::once(words).chain(pictures).collect();
        }
        let mut line = json!({"type": "user", "message": {"role": "user", "content": content}});
        if injected {
            line["isMeta"] = true.into();
        }
        self.line(stamp, "user", line);
    }

    fn assistant(&mut self, stamp: Stamp, message: &Message) {
        let usage = self.usage.take();
        let text = message.plain_text();
        let text = (!text.is_empty()).then(|| json!({"type": "text", "text": text}));
        let calls = message.parts.iter().filter_map(|part| match part {
            Part::Call(call) => Some(tool_use(call)),
            _ => None,
        });
        let content: Vec<Value> = text.into_iter().chain(calls).collect();
        if content.is_empty() {
            self.index += 1;
            return;
        }
        let mut message =
            json!({"role": "assistant", "model": self.state.model, "content": content});
        if let Some(usage) = usage {
            message["usage"] = tokens(&usage);
        }
        self.line(
            stamp,
            "assistant",
            json!({"type": "assistant", "message": message}),
        );
    }

    /// The result of one of the model's calls; those that tools make are no part of the conversation.
    fn result(&mut self, stamp: Stamp, call: &str, index: u32, content: &str) {
        let open = self.state.open.get(index as usize);
        let Some(open) = open.filter(|open| open.id == call) else {
            return;
        };
        let result =
            json!({"type": "tool_result", "tool_use_id": open.call.id, "content": content});
        self.results.push((index, stamp, result));
        if self.results.len() == self.state.open.len() {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let mut results = std::mem::take(&mut self.results);
        results.sort_by_key(|(index, ..)| *index);
        for (_, stamp, result) in results {
            let line = json!({"type": "user", "message": {"role": "user", "content": [result]}});
            self.line(stamp, "tool", line);
        }
    }

    fn line(&mut self, stamp: Stamp, role: &str, mut line: Value) {
        let uuid = uuid(&format!("{}::{role}::{}", self.id, self.index));
        self.index += 1;
        line["uuid"] = uuid.as_str().into();
        line["parentUuid"] = json!(self.parent.replace(uuid));
        line["sessionId"] = self.id.into();
        line["timestamp"] = timestamp(stamp.ms).into();
        self.lines.push(format!("{line}\n"));
    }
}

fn picture(image: &Image) -> Value {
    let source = json!({"type": "base64", "media_type": image.media_type, "data": image.base64});
    json!({"type": "image", "source": source})
}

fn tool_use(call: &Call) -> Value {
    let input = serde_json::from_str::<Map<String, Value>>(&call.arguments);
    let input = input.map_or_else(|_| json!({"_raw": call.arguments}), Value::Object);
    json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input})
}

/// As Anthropic's API counts: input without what the cache held.
fn tokens(usage: &Usage) -> Value {
    let cached = usage.cache_read.saturating_add(usage.cache_write);
    json!({
        "input_tokens": usage.input.saturating_sub(cached),
        "output_tokens": usage.output,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation_input_tokens": usage.cache_write,
    })
}

/// The same for the same text: the first half of its SHA-1, in the shape of a UUID.
fn uuid(text: &str) -> String {
    let mut hex = String::with_capacity(40);
    for byte in Sha1::digest(text.as_bytes()) {
        let _infallible = write!(hex, "{byte:02x}");
    }
    let part = |from: usize, to: usize| &hex[from..to];
    [
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32),
    ]
    .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ml_intern_agent::event::CallStatus;

    fn message(role: Role, text: &str, calls: &[(&str, &str)]) -> Event {
        let mut message = Message::text(role, text);
        message.parts.extend(calls.iter().map(|(id, arguments)| {
            Part::Call(Call {
                id: (*id).into(),
                name: "look".into(),
                arguments: (*arguments).into(),
            })
        }));
        Event::Message { message }
    }

    fn finished(call: &str, index: u32, content: &str) -> Event {
        Event::ToolFinished {
            call: call.into(),
            index,
            tool: "look".into(),
            status: CallStatus::Ok,
            content: content.into(),
            images: Vec::new(),
            ms: 1,
        }
    }

    fn exported(events: Vec<Event>) -> Vec<Value> {
        let stamped = events.into_iter().zip(1..).map(|(event, seq)| {
            let ms = 1_700_000_000_000 + seq;
            (Stamp { seq, ms }, event)
        });
        let lines = claude_code("s-1", &stamped.collect::<Vec<_>>());
        lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn the_lines_of_a_conversation_with_two_calls() {
        let usage = Usage {
            input: 100,
            output: 7,
            cache_read: 60,
            ..Usage::default()
        };
        let lines = exported(vec![
            message(Role::System, "be good", &[]),
            Event::TurnStarted {
                turn: 1,
                input: "hi".into(),
            },
            Event::Usage { usage },
            message(Role::Assistant, "", &[("c1", "{\"n\":1}"), ("c2", "{oops")]),
            // They end the other way round.
            finished("c4.1", 1, ""),
            finished("c4.0/1", 0, "of a tool's own call"),
            finished("c4.0", 0, "one"),
            message(Role::Assistant, "done", &[]),
        ]);
        let uuids: Vec<&str> = lines
            .iter()
            .map(|line| line["uuid"].as_str().unwrap())
            .collect();
        assert_eq!(
            uuids[..4],
            [
                "092377d0-6d9f-8254-fe1a-399326fc5b9c",
                "6a71916b-4ab2-64da-02e7-ca929d5995fe",
                "4b696446-b627-0cbd-f8d7-f4eeee4bd20f",
                "863c96d8-703a-3194-f9e5-fc5bd1e7302a"
            ]
        );
        assert_eq!(lines[0]["parentUuid"], Value::Null);
        for (line, before) in lines[1..].iter().zip(&uuids) {
            assert_eq!(line["parentUuid"], *before);
        }
        assert_eq!(
            lines[0]["message"],
            json!({"role": "user", "content": "hi"})
        );
        assert_eq!(lines[1]["message"]["content"][0]["input"], json!({"n": 1}));
        assert_eq!(
            lines[1]["message"]["content"][1]["input"],
            json!({"_raw": "{oops"})
        );
        assert_eq!(lines[1]["message"]["usage"]["input_tokens"], 40);
        let result = |line: &Value| line["message"]["content"][0].clone();
        assert_eq!(
            result(&lines[2]),
            json!({"type": "tool_result", "tool_use_id": "c1", "content": "one"})
        );
        assert_eq!(result(&lines[3])["content"], "");
        assert_eq!(
            lines[4]["message"]["content"],
            json!([{"type": "text", "text": "done"}])
        );
        assert_eq!(lines[0]["timestamp"], "2023-11-14T22:13:20.002Z");
        assert_eq!(lines.len(), 5);
    }

    #[test]
    fn an_empty_reply_is_no_line_and_what_was_summed_up_stays() {
        let mut advice = Message::text(Role::User, "[SYSTEM: …]");
        advice.injected = true;
        let lines = exported(vec![
            Event::TurnStarted {
                turn: 1,
                input: "hi".into(),
            },
            message(Role::Assistant, "", &[]),
            Event::Message { message: advice },
            message(Role::Assistant, "one", &[]),
            Event::Compacted {
                at: Some(1),
                longest: None,
                summary: "s".into(),
                before: 2,
                after: 1,
            },
            message(Role::Assistant, "two", &[]),
        ]);
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[1]["parentUuid"], lines[0]["uuid"]);
        assert_eq!(
            (&lines[0]["isMeta"], &lines[1]["isMeta"]),
            (&Value::Null, &json!(true))
        );
    }
}
