//! A whole answer: what comes when the request did not ask for a stream, and from servers that
//! answer a request for a stream with one JSON document.

use crate::errors;
use crate::stream::Reply;
use ml_intern_plugin::chat::Response;
use ml_intern_plugin::sink;
use ml_intern_plugin::{Control, Error, Price};

/// Reads the answer; `emit` gets its parts for display, and its answer `stop` cancels it.
///
/// # Errors
/// As for a stream; a body without choices is `upstream` (retryable).
pub(crate) fn parse(
    mut reply: Reply<'_>,
    body: &[u8],
    price: Option<&Price>,
    emit: &mut dyn FnMut(sink::Delta) -> Control,
) -> Result<Response, Error> {
    reply.json(body, emit)?;
    if reply.is_empty() {
        let start = errors::bounded(&String::from_utf8_lossy(body), 200);
        return Err(errors::broken(&format!(
            "the server's answer holds no reply: {start}"
        )));
    }
    reply.complete();
    reply.finish(price)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ml_intern_plugin::chat::{Part, Stop};

    fn parsed(body: &str) -> Result<Response, Error> {
        parse(Reply::new("m", 3), body.as_bytes(), None, &mut |_| {
            Control::Proceed
        })
    }

    #[test]
    fn calls_without_index_are_separate_calls() {
        let response = parsed(
            r#"{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[
                {"id":"a","type":"function","function":{"name":"read","arguments":"{\"path\":1}"}},
                {"type":"function","function":{"name":"read","arguments":{"path":"2"}}},
                {"id":"a","function":{"name":"list","arguments":""}}]},"finish_reason":"tool_calls"}],
                "usage":{"prompt_tokens":10,"completion_tokens":2,"prompt_tokens_details":null}}"#,
        )
        .unwrap();
        let calls = response.parts.iter().map(|part| match part {
            Part::Call(call) => (
                call.id.as_str(),
                call.name.as_str(),
                call.arguments.as_str(),
            ),
            other => panic!("{other:?}"),
        });
        let calls: Vec<_> = calls.collect();
        assert_eq!(
            calls,
            [
                ("a", "read", r#"{"path":1}"#),
                ("call_3_1", "read", r#"{"path":"2"}"#),
                ("call_3_2", "list", "")
            ]
        );
        assert!(matches!(response.stop, Stop::ToolUse));
        assert_eq!((response.usage.input, response.usage.output), (10, 2));
        assert!(response.cost_usd.is_none());
    }

    #[test]
    fn text_reasoning_and_an_empty_reply() {
        let response = parsed(r#"{"choices":[{"message":{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"reasoning":"r"},"finish_reason":"stop"}]}"#).unwrap();
        assert!(
            matches!(&response.parts[..], [Part::Reasoning(r), Part::Text(t)] if r.text == "r" && t == "ab")
        );
        let empty =
            parsed(r#"{"choices":[{"message":{"content":""},"finish_reason":"stop"}]}"#).unwrap();
        assert!(empty.parts.is_empty() && matches!(empty.stop, Stop::EndTurn));
    }

    #[test]
    fn what_is_no_reply_is_a_retryable_failure() {
        for body in [
            "{}",
            r#"{"choices":[]}"#,
            r#"{"choices":null}"#,
            "<html>oops</html>",
            "",
            "[]",
            "null",
        ] {
            let error = parsed(body).unwrap_err();
            assert!(
                matches!(&error, Error::Upstream(upstream) if upstream.retryable),
                "{body}: {error:?}"
            );
        }
        let error = parsed(r#"{"error":{"message":"no such model","code":"model_not_found"}}"#)
            .unwrap_err();
        assert!(
            matches!(&error, Error::NotFound(message) if message.contains("`m`")),
            "{error:?}"
        );
    }
}
