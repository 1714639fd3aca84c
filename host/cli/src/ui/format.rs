//! Small pieces of text.

use super::clean::one_line;
use super::style::Style;
use ml_intern_agent::money::MicroUsd;
use serde_json::Value;

/// Lines of a diff that are shown.
const DIFF_LINES: usize = 40;

/// Characters of an argument that is shown as it is.
const PLAIN: usize = 200;

/// Arguments as a few words: plain values as they are, of texts in several lines and of long ones the length.
pub(crate) fn summary(arguments: &Value, width: usize) -> String {
    let Value::Object(fields) = arguments else {
        return String::new();
    };
    let words = fields.iter().filter_map(|(name, value)| match value {
        Value::String(text) if text.chars().count() <= PLAIN && !text.contains('\n') => {
            Some(text.clone())
        }
        Value::String(text) => Some(format!("{name}: {} characters", text.chars().count())),
        Value::Number(number) => Some(format!("{name}={number}")),
        Value::Bool(flag) => Some(format!("{name}={flag}")),
        Value::Array(items) => Some(format!("{} {name}", items.len())),
        _ => None,
    });
    one_line(&words.collect::<Vec<_>>().join(" · "), width)
}

pub(crate) fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{:.1} s", ms as f64 / 1e3),
        60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms / 1_000 % 60),
        _ => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
    }
}

/// US dollars, with the cents that matter.
pub(crate) fn cost(usd: Option<MicroUsd>) -> String {
    usd.map_or_else(|| "cost unknown".to_owned(), |usd| usd.to_string())
}

/// The unified diff in a result, in colours; nothing where there is none.
pub(crate) fn edited_diff(content: &str, style: Style) -> Vec<String> {
    let mut lines = content
        .lines()
        .skip_while(|line| !line.starts_with("@@ "))
        .peekable();
    if lines.peek().is_none() || !content.lines().any(|line| line.starts_with("+++ ")) {
        return Vec::new();
    }
    let total = lines.clone().count();
    let shown = lines.take(DIFF_LINES).map(|line| {
        let line = super::clean(line);
        match line.as_bytes().first() {
            Some(b'+') => style.green(&line),
            Some(b'-') => style.red(&line),
            Some(b'@') => style.cyan(&line),
            _ => style.dim(&line),
        }
    });
    let mut shown = shown.collect::<Vec<_>>();
    if total > DIFF_LINES {
        shown.push(style.dim(&format!("… {} more lines", total - DIFF_LINES)));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn long_texts_and_those_in_lines_are_told_by_their_length() {
        let arguments = json!({"path": "a.py", "old": "x\ny", "new": "é".repeat(201), "n": 2, "items": [1, 2], "no": null});
        assert_eq!(
            summary(&arguments, 200),
            "a.py · old: 3 characters · new: 201 characters · n=2 · 2 items"
        );
    }
}
