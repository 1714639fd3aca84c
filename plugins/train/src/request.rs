//! What the model asks for.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

const DEFAULT_TIMEOUT: u32 = 30 * 60;
/// Thirty days.
const MAX_TIMEOUT: u32 = 30 * 24 * 3600;
pub(crate) const DEFAULT_WAIT: u32 = 60;
pub(crate) const MAX_WAIT: u32 = 3600;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    pub(crate) script: String,
    #[serde(default)]
    pub(crate) arguments: Vec<String>,
    #[serde(default)]
    pub(crate) dependencies: Vec<String>,
    pub(crate) name: Option<String>,
    pub(crate) flavor: Option<String>,
    timeout: Option<Duration>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    wait: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Duration {
    Seconds(u32),
    Text(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct One {
    pub(crate) id: String,
    pub(crate) wait: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cancel {
    pub(crate) id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Logs {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) after: u32,
    limit: Option<u32>,
    pub(crate) wait: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    limit: Option<u32>,
}

impl Run {
    pub(crate) fn timeout_seconds(&self) -> Result<u32, String> {
        let seconds = match &self.timeout {
            None => DEFAULT_TIMEOUT,
            Some(Duration::Seconds(seconds)) => *seconds,
            Some(Duration::Text(text)) => seconds(text)?,
        };
        match seconds {
            1..=MAX_TIMEOUT => Ok(seconds),
            _ => Err(format!("timeout of {seconds} s; give 1 s to 30d")),
        }
    }

    pub(crate) fn wait_seconds(&self) -> u32 {
        self.wait.unwrap_or(DEFAULT_WAIT).min(MAX_WAIT)
    }
}

impl Logs {
    pub(crate) fn limit(&self) -> u32 {
        self.limit.unwrap_or(200).clamp(1, 1000)
    }
}

impl List {
    pub(crate) fn limit(&self) -> u32 {
        self.limit.unwrap_or(20).clamp(1, 100)
    }
}

/// `90`, `30m`, `1.5h`, `1h30m` in seconds.
fn seconds(text: &str) -> Result<u32, String> {
    let wrong =
        || format!("timeout `{text}` is not like `30m`, `2h`, `1h30m` or a number of seconds");
    let mut rest = text.trim();
    let mut total = 0.0;
    while !rest.is_empty() {
        let end = rest
            .find(|next: char| !next.is_ascii_digit() && next != '.')
            .unwrap_or(rest.len());
        let number: f64 = rest[..end].parse().map_err(|_| wrong())?;
        let unit = rest[end..].chars().next();
        let factor = match unit {
            None | Some('s') => 1.0,
            Some('m') => 60.0,
            Some('h') => 3600.0,
            Some('d') => 86_400.0,
            Some(_) => return Err(wrong()),
        };
        total += number * factor;
        rest = &rest[end + unit.map_or(0, char::len_utf8)..];
    }
    if total <= 0.0 || total > f64::from(u32::MAX) {
        return Err(wrong());
    }
    Ok(total.ceil() as u32)
}

/// The text of a script that is given inline or as the path of a `.py` file in the workspace.
pub(crate) fn source(script: &str, root: &str, real: Option<&str>) -> Result<String, String> {
    let name = script.trim();
    if name.is_empty() {
        return Err("no script given".to_owned());
    }
    if !is_path(name) {
        return Ok(script.to_owned());
    }
    let below = match name.strip_prefix('/') {
        None => name,
        Some(_) => [Some("/workspace"), real]
            .into_iter()
            .flatten()
            .find_map(|folder| {
                name.strip_prefix(folder.trim_end_matches('/'))?
                    .strip_prefix('/')
            })
            .ok_or_else(|| format!("`{name}` is outside the workspace"))?,
    };
    if below.split('/').any(|part| part == "..") {
        return Err(format!("`{name}` must not contain `..`"));
    }
    std::fs::read_to_string(Path::new(root).join(below))
        .map_err(|error| format!("cannot read the script `{name}`: {error}"))
}

/// One line that ends in `.py` and has no character that only code has.
fn is_path(text: &str) -> bool {
    text.ends_with(".py") && !text.contains(['\n', '(', ')', '=', '"', '\'', ';', '#'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts() {
        for (text, expected) in [
            ("90", 90),
            ("30m", 1800),
            ("1.5h", 5400),
            ("1h30m", 5400),
            (" 2d", 172_800),
        ] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for text in ["", "x", "5y", "-1", "0", "m", "1..2h", "99999999d"] {
            assert!(seconds(text).is_err(), "{text}");
        }
        let run = |raw: &str| serde_json::from_str::<Run>(raw).unwrap().timeout_seconds();
        assert_eq!(run(r#"{"script":"x"}"#), Ok(1800));
        assert_eq!(run(r#"{"script":"x","timeout":60}"#), Ok(60));
        assert!(run(r#"{"script":"x","timeout":0}"#).is_err());
        assert!(
            run(r#"{"script":"x","timeout":"31d"}"#)
                .unwrap_err()
                .contains("30d")
        );
    }

    #[test]
    fn code_and_paths_are_told_apart() {
        for code in [
            "print('hello')",
            "import a\nimport train.py",
            "x = 1",
            "print(1) # train.py",
        ] {
            assert_eq!(source(code, "/none", None).as_deref(), Ok(code));
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("train.py"), "code").unwrap();
        let root = folder.path().to_str().unwrap();
        for name in [
            "train.py",
            "./train.py",
            " train.py",
            "/workspace/train.py",
            "/home/ada/p/train.py",
        ] {
            assert_eq!(
                source(name, root, Some("/home/ada/p")).as_deref(),
                Ok("code"),
                "{name}"
            );
        }
        for name in [
            "none.py",
            "/etc/train.py",
            "../train.py",
            "/home/ada/p2/train.py",
            "",
        ] {
            assert!(source(name, root, Some("/home/ada/p")).is_err(), "{name}");
        }
    }
}
