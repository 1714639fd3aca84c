//! Asking a person: at the terminal, or through lines of JSON on standard input.

use async_trait::async_trait;
use ml_intern_agent::approval::{Answer, Decision, Rule};
use ml_intern_agent::event::PermissionRequest;
use ml_intern_agent::ports::{Approver, Observer};
use ml_intern_agent::{Event, Stamp};
use serde::Deserialize;
use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// Bytes of one line of input; an edited script may be long.
const LINE_BYTES: usize = 4 << 20;

/// Reads what was allowed for good.
pub(crate) fn remembered(path: &Path) -> Vec<Rule> {
    // Without the file, or with a line that does not parse, people are asked again: that is the safe side.
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn keep(path: &Path, rule: &Rule) -> Result<(), String> {
    let line = serde_json::to_string(rule).map_err(|error| error.to_string())?;
    let write = || {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(format!("{line}\n").as_bytes())
    };
    write().map_err(|error: std::io::Error| format!("cannot write {}: {error}", path.display()))
}

/// A person at the terminal. The question is drawn by the screen, in its place among the events.
pub(crate) struct Terminal {
    lines: tokio::sync::Mutex<mpsc::Receiver<String>>,
    rules: PathBuf,
}

impl Terminal {
    pub(crate) fn new(rules: PathBuf) -> std::io::Result<Self> {
        Ok(Self {
            lines: tokio::sync::Mutex::new(stdin_lines()?),
            rules,
        })
    }
}

#[async_trait]
impl Approver for Terminal {
    async fn ask(&self, _request: &PermissionRequest) -> Option<Answer> {
        let mut lines = self.lines.lock().await;
        let line = lines.recv().await?;
        Some(typed(line.trim()))
    }

    fn remember(&self, rule: &Rule) -> Result<(), String> {
        keep(&self.rules, rule)
    }
}

impl Observer for Terminal {
    /// What was typed before the question is drawn cannot be its answer.
    fn event(&self, _stamp: Stamp, event: &Event) {
        // While another question is open, what is typed answers that one.
        if let (Event::PermissionRequested { .. }, Ok(mut lines)) = (event, self.lines.try_lock()) {
            while lines.try_recv().is_ok() {}
        }
    }
}

fn typed(line: &str) -> Answer {
    let decision = match line.to_ascii_lowercase().as_str() {
        "y" | "yes" => Decision::Allow,
        "s" | "session" => Decision::AllowSession,
        "a" | "always" => Decision::AllowAlways,
        _ => Decision::Deny,
    };
    let words = !matches!(line.to_ascii_lowercase().as_str(), "" | "n" | "no")
        && decision == Decision::Deny;
    Answer {
        decision,
        feedback: words.then(|| line.to_owned()),
        edited: None,
    }
}

/// A program that answers `permission.requested` lines with `permission.answer` lines.
pub(crate) struct JsonLines {
    waiting: Arc<Mutex<Waiting>>,
    rules: PathBuf,
}

#[derive(Default)]
struct Waiting {
    questions: HashMap<String, oneshot::Sender<Answer>>,
    /// Answers that came before their question.
    early: HashMap<String, Answer>,
    closed: bool,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Input {
    #[serde(rename = "permission.answer")]
    Answer {
        id: String,
        decision: Decision,
        feedback: Option<String>,
        edited: Option<serde_json::Value>,
    },
}

impl JsonLines {
    pub(crate) fn new(rules: PathBuf) -> std::io::Result<Self> {
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let mut lines = stdin_lines()?;
        let inbox = waiting.clone();
        tokio::spawn(async move {
            while let Some(line) = lines.recv().await {
                receive(&inbox, &line);
            }
            let mut inbox = inbox.lock().unwrap_or_else(PoisonError::into_inner);
            inbox.closed = true;
            inbox.questions.clear();
        });
        Ok(Self { waiting, rules })
    }
}

fn receive(inbox: &Mutex<Waiting>, line: &str) {
    if line.trim().is_empty() {
        return;
    }
    let Input::Answer {
        id,
        decision,
        feedback,
        edited,
    } = match serde_json::from_str(line) {
        Ok(input) => input,
        Err(error) => {
            crate::ui::err(&format!(
                "a line on standard input is no permission.answer and was ignored: {error}; write {{\"type\":\"permission.answer\",\"id\":…,\"decision\":\"allow|deny|allow_session|allow_always\"}}"
            ));
            return;
        }
    };
    let answer = Answer {
        decision,
        feedback,
        edited,
    };
    let mut inbox = inbox.lock().unwrap_or_else(PoisonError::into_inner);
    match inbox.questions.remove(&id) {
        // The call may have been cancelled meanwhile.
        Some(question) => drop(question.send(answer)),
        None => drop(inbox.early.insert(id, answer)),
    }
}

#[async_trait]
impl Approver for JsonLines {
    async fn ask(&self, request: &PermissionRequest) -> Option<Answer> {
        let answer = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(answer) = waiting.early.remove(&request.id) {
                return Some(answer);
            }
            if waiting.closed {
                return None;
            }
            let (sender, receiver) = oneshot::channel();
            waiting.questions.insert(request.id.clone(), sender);
            receiver
        };
        answer.await.ok()
    }

    fn remember(&self, rule: &Rule) -> Result<(), String> {
        keep(&self.rules, rule)
    }
}

/// Lines of standard input, read by a thread of their own: a read cannot be cancelled, and must not hold the program up.
fn stdin_lines() -> std::io::Result<mpsc::Receiver<String>> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::Builder::new()
        .name("stdin".into())
        .spawn(move || {
            let mut stdin = std::io::stdin().lock();
            loop {
                let mut line = Vec::new();
                let read =
                    std::io::Read::take(&mut stdin, LINE_BYTES as u64).read_until(b'\n', &mut line);
                match read {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => return,
                }
                let line = String::from_utf8_lossy(&line).into_owned();
                if sender.blocking_send(line).is_err() {
                    return;
                }
            }
        })?;
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_neither_yes_nor_no_is_a_no_with_words() {
        assert_eq!(typed("y").decision, Decision::Allow);
        assert_eq!(typed("ALWAYS").decision, Decision::AllowAlways);
        assert_eq!(typed("").feedback, None);
        let answer = typed("use less memory");
        assert_eq!(
            (answer.decision, answer.feedback.as_deref()),
            (Decision::Deny, Some("use less memory"))
        );
    }

    #[test]
    fn an_answer_waits_for_its_question_and_nonsense_is_ignored() {
        let inbox = Mutex::new(Waiting::default());
        receive(
            &inbox,
            "{\"type\":\"permission.answer\",\"id\":\"a\",\"decision\":\"allow\"}",
        );
        receive(
            &inbox,
            "{\"type\":\"permission.answer\",\"id\":\"b\",\"decision\":\"perhaps\"}",
        );
        receive(&inbox, "[[[[");
        let inbox = inbox.into_inner().unwrap();
        assert_eq!(inbox.early.len(), 1);
        assert_eq!(inbox.early["a"].decision, Decision::Allow);
    }
}
