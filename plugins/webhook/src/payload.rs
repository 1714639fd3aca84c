//! A notice as the JSON that is posted.

use ml_intern_plugin::{Error, Notice, Severity};
use serde::Serialize;
use serde_json::value::RawValue;

#[derive(Serialize)]
struct Payload<'a> {
    id: &'a str,
    kind: &'a str,
    severity: &'a str,
    title: &'a str,
    body: &'a str,
    url: Option<&'a str>,
    data: Option<&'a RawValue>,
    /// Milliseconds since 1970-01-01 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_ms: Option<u64>,
}

/// The body of the request. Every attempt sends the same bytes.
///
/// # Errors
/// `invalid-input` when the notice's data is not JSON.
pub(crate) fn body(notice: &Notice, sent_ms: Option<u64>) -> Result<Vec<u8>, Error> {
    let data = notice
        .data
        .as_deref()
        .map(|data| serde_json::from_slice::<&RawValue>(data.as_bytes()));
    let data = data
        .transpose()
        .map_err(|error| Error::InvalidInput(format!("the notice's data is not JSON: {error}")))?;
    let payload = Payload {
        id: &notice.id,
        kind: &notice.kind,
        severity: severity(notice.severity),
        title: &notice.title,
        body: &notice.body,
        url: notice.url.as_deref(),
        data,
        sent_ms,
    };
    Ok(serde_json::to_vec(&payload)?)
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Success => "success",
        Severity::Warning => "warning",
        Severity::Error => "error",
        Severity::Approval => "approval",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice() -> Notice {
        Notice {
            id: "n1".into(),
            kind: "job_finished".into(),
            severity: Severity::Success,
            title: "Jöb \"7\"\n".into(),
            body: "# done\u{0}".into(),
            url: None,
            data: Some(" {\"a\": 1.50, \"b\":[]}\n".into()),
        }
    }

    #[test]
    fn every_field_in_a_fixed_order() {
        let text = String::from_utf8(body(&notice(), Some(5)).unwrap()).unwrap();
        let expected = r##"{"id":"n1","kind":"job_finished","severity":"success","title":"Jöb \"7\"\n","body":"# done\u0000","url":null,"data":{"a": 1.50, "b":[]},"sent_ms":5}"##;
        assert_eq!(text, expected);
    }

    #[test]
    fn what_is_absent_is_null_and_a_clock_may_be_absent() {
        let bare = Notice {
            data: None,
            url: Some("https://a/b".into()),
            severity: Severity::Approval,
            ..notice()
        };
        let text = String::from_utf8(body(&bare, None).unwrap()).unwrap();
        assert!(
            text.contains(r#""severity":"approval""#)
                && text.ends_with(r#""url":"https://a/b","data":null}"#),
            "{text}"
        );
    }

    #[test]
    fn data_that_is_no_json_cannot_break_out() {
        for bad in ["", "{", "1,\"id\":\"x\"", "{} {}", "nul"] {
            let broken = Notice {
                data: Some(bad.into()),
                ..notice()
            };
            assert!(
                matches!(body(&broken, None), Err(Error::InvalidInput(_))),
                "{bad}"
            );
        }
    }
}
