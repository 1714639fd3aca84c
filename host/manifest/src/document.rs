//! Reading a TOML document into a value, with every error placed: file, line, column, key.

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{Error, Position};
use crate::plugin_ref::printable;

/// Manifests are written by hand; a larger text is a mistake or an attack on the parser.
const MAX_BYTES: usize = 256 * 1024;

/// The parser quotes what it found, which may be the whole file. In characters.
const MAX_MESSAGE: usize = 1000;
const MAX_KEY: usize = 200;

/// Parses `text`; `file` is the path that errors show.
pub(crate) fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, Error> {
    parse_up_to(file, text, MAX_BYTES)
}

/// As [`parse`], with another limit for the size of the text in bytes.
pub(crate) fn parse_up_to<T: DeserializeOwned>(
    file: &str,
    text: &str,
    max: usize,
) -> Result<T, Error> {
    if text.len() > max {
        return Err(Error::Document {
            position: position(file, text, 0),
            key: String::new(),
            message: format!("the file has {} bytes; at most {max} are read", text.len()),
        });
    }
    toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        Error::Document {
            position: position(file, text, offset),
            key: printable(&key_at(text, offset), MAX_KEY),
            message: printable(&explain(error.message()), MAX_MESSAGE),
        }
    })
}

fn position(file: &str, text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Position {
        file: file.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

/// The dotted key whose value (or name) covers `offset`; empty where the text is not TOML.
fn key_at(text: &str, offset: usize) -> String {
    let Ok(root) = DeTable::parse(text) else {
        return String::new();
    };
    let mut path = String::new();
    descend_table(root.get_ref(), offset, &mut path);
    path
}

fn descend_table(table: &DeTable<'_>, offset: usize, path: &mut String) {
    for (key, value) in table {
        if key.span().contains(&offset) || holds(value, offset) {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(key.get_ref());
            if !key.span().contains(&offset) {
                descend_value(value, offset, path);
            }
            return;
        }
    }
}

fn descend_value(value: &Spanned<DeValue<'_>>, offset: usize, path: &mut String) {
    match value.get_ref() {
        DeValue::Table(table) => descend_table(table, offset, path),
        DeValue::Array(array) => {
            if let Some(index) = array.iter().position(|item| holds(item, offset)) {
                path.push_str(&format!("[{index}]"));
                descend_value(&array[index], offset, path);
            }
        }
        _ => {}
    }
}

/// Whether the value, or anything in it, covers the offset: the span of `[a]` is its header
/// only, and the keys below it lie outside.
fn holds(value: &Spanned<DeValue<'_>>, offset: usize) -> bool {
    if value.span().contains(&offset) {
        return true;
    }
    match value.get_ref() {
        DeValue::Table(table) => table
            .iter()
            .any(|(key, value)| key.span().contains(&offset) || holds(value, offset)),
        DeValue::Array(array) => array.iter().any(|item| holds(item, offset)),
        _ => false,
    }
}

/// Turns serde's wording into ours: `unknown field` gets a suggestion, `missing field` says key.
fn explain(message: &str) -> String {
    let message = message.trim_end();
    if let Some(rest) = message.strip_prefix("unknown field ") {
        return unknown("key", rest);
    }
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        return unknown("value", rest);
    }
    if let Some(rest) = message.strip_prefix("missing field ") {
        return format!("the key {rest} is missing");
    }
    if let Some(rest) = message.strip_prefix("invalid type: ") {
        return rest.replacen(", expected", " where this is expected:", 1);
    }
    message.to_owned()
}

/// `rest` is serde's "`found`, expected one of `a`, `b`", with every name in backticks. The found
/// name may itself hold backticks, so the list is taken from the last "expected".
fn unknown(what: &str, rest: &str) -> String {
    let Some((found, expected)) = rest.rsplit_once(", expected ") else {
        return format!("unknown {what} {rest}");
    };
    let names: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    match suggestion(found.trim_matches('`'), &names) {
        Some(name) => format!("unknown {what} {found}; did you mean `{name}`?"),
        None => format!("unknown {what} {found}; expected {expected}"),
    }
}

/// The candidate close enough to `found` to be what was meant: a third of its letters may differ.
pub fn suggestion<'a>(found: &str, candidates: &[&'a str]) -> Option<&'a str> {
    // The distance takes time in proportion to both lengths, and no key of ours is this long.
    if found.len() > 64 {
        return None;
    }
    let allowed = (found.chars().count() / 3).max(1);
    candidates
        .iter()
        .map(|name| (strsim::damerau_levenshtein(found, name), *name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use crate::{Error, PluginManifest, RunManifest};

    const HEAD: &str = "[plugin]\nid = \"a/b\"\nversion = \"1.0.0\"\ndescription = \"d\"\nlicense = \"MIT\"\nabi = \"0.1\"\n";

    /// The error of `tables` below a good `[plugin]` table, without the file name.
    fn plugin_error(tables: &str) -> String {
        match PluginManifest::parse("plugin.toml", &format!("{HEAD}{tables}")) {
            Err(error) => error
                .to_string()
                .trim_start_matches("plugin.toml:")
                .to_owned(),
            Ok(_) => panic!("accepted: {tables}"),
        }
    }

    fn run_error(text: &str) -> String {
        match RunManifest::parse("ml-intern.toml", text) {
            Err(error) => error
                .to_string()
                .trim_start_matches("ml-intern.toml:")
                .to_owned(),
            Ok(_) => panic!("accepted: {text}"),
        }
    }

    #[test]
    fn unknown_keys_are_placed_and_get_a_suggestion() {
        assert_eq!(
            plugin_error("[[request.http]]\nhosts = \"a.org\"\n"),
            "8:1: `request.http[0].hosts`: unknown key `hosts`; did you mean `host`?"
        );
        assert_eq!(
            plugin_error("[limits]\nmemroy = \"1MiB\"\n"),
            "8:1: `limits.memroy`: unknown key `memroy`; did you mean `memory`?"
        );
        assert_eq!(
            plugin_error("[requst]\n"),
            "7:2: `requst`: unknown key `requst`; did you mean `request`?"
        );
        assert!(
            plugin_error("[request]\nzzz = 1\n")
                .contains("unknown key `zzz`; expected one of `http`")
        );
        assert_eq!(
            run_error("[agent]\nmodell = \"a/b\"\n"),
            "2:1: `agent.modell`: unknown key `modell`; did you mean `model`?"
        );
        assert_eq!(
            run_error("[plugins.a.grant]\nhttp = [{ hots = \"a.org\" }]\n"),
            "2:11: `plugins.a.grant.http[0].hots`: unknown key `hots`; did you mean `host`?"
        );
        assert_eq!(
            run_error("[agent]\npermission-mode = \"aks\"\n"),
            "2:19: `agent.permission-mode`: unknown value `aks`; did you mean `ask`?"
        );
        assert!(run_error("[agent]\n\"a`, expected `b\" = 1\n").contains("unknown key"));
    }

    #[test]
    fn wrong_values_are_placed_at_the_value() {
        let cases = [
            (
                "[[request.http]]\nhost = \"*\"\n",
                "8:8: `request.http[0].host`: not a host: `*`",
            ),
            (
                "[[request.http]]\nhost = \"a.org\"\n[[request.http]]\nhost = \"b c\"\n",
                "10:8: `request.http[1].host`: not a host",
            ),
            (
                "[[request.http]]\nhost = \"a.org\"\nmethods = [\"get\"]\n",
                "`: unknown value `get`",
            ),
            (
                "[[request.http]]\nhost = \"a.org\"\nmethods = []\n",
                "9:11: `request.http[0].methods`: the list is empty",
            ),
            (
                "[[request.http]]\nhost = \"a.org\"\nmethods = [\"GET\", \"GET\"]\n",
                "9:11: `request.http[0].methods`: item 2 of the list is written twice",
            ),
            (
                "[[request.http]]\nhost = \"a.org\"\npaths = [\"x\"]\n",
                "9:9: `request.http[0].paths`: not a path",
            ),
            (
                "[[request.http]]\nhost = \"a.org\"\nport = 0\n",
                "9:8: `request.http[0].port`: `0` is out of bounds",
            ),
            (
                "[[request.http]]\nhost = \"a.org\"\nport = 70000\n",
                "9:8: `request.http[0].port`: ",
            ),
            (
                "[[request.http]]\nhost = \"a.org\"\nmax-response = \"2GiB\"\n",
                "9:16: `request.http[0].max-response`: `2GiB` is out of bounds; write a value from 1KiB to 1GiB",
            ),
            ("[[request.http]]\nport = 80\n", "the key `host` is missing"),
            (
                "[[request.http]]\nhost = \"a.org\"\nbase-url = \"u\"\n",
                "both given",
            ),
            (
                "[[request.http]]\nbase-url = \"u\"\nport = 80\n",
                "come from the base URL",
            ),
            (
                "[[request.http]]\nbase-url = \"u\"\n",
                "which is not declared",
            ),
            (
                "[[request.http]]\nhost = \"a.org\"\n[[request.http]]\nhost = \"a.org\"\n",
                "request.http[1] is written twice",
            ),
            (
                "[[request.credential]]\nname = \"hf\"\n",
                "the key `hosts` is missing",
            ),
            (
                "[[request.credential]]\nname = \"hf\"\nhosts = [\"*\"]\n",
                "9:9: `request.credential[0].hosts`: not a host",
            ),
            (
                "[[request.credential]]\nname = \"hf\"\nhosts = [\"a.org\"]\nheader = \"Host\"\n",
                "10:10: `request.credential[0].header`",
            ),
            (
                "[[request.credential]]\nname = \"hf\"\nhosts = [\"a.org\"]\nformat = \"{}\\r\\nX: {}\"\n",
                "10:10: `request.credential[0].format`",
            ),
            (
                "[[request.credential]]\nname = \"hf\"\nhosts = [\"a.org\"]\nenv = [\"path\"]\n",
                "`path` does not fit",
            ),
            (
                "[[request.config]]\nkey = \"k\"\nenv = \"AWS_SECRET_ACCESS_KEY\"\n",
                "secrets belong under [[request.credential]]",
            ),
            (
                "[[request.config]]\nkey = \"k\"\nenv = [\"A_REGION\", \"A_TOKEN\"]\n",
                "9:7: `request.config[0].env`: `A_TOKEN` does not fit",
            ),
            (
                "[[request.config]]\nkey = \"k\"\nenv = [\"A\", \"A\"]\n",
                "the variable `A` is written twice",
            ),
            (
                "[[request.config]]\nkey = \"k\"\nenv = []\n",
                "0 variables; write one to 8",
            ),
            (
                "[[request.config]]\nkey = \"k\"\nenv = [\"A\", \"B\", \"C\", \"D\", \"E\", \"F\", \"G\", \"H\", \"I\"]\n",
                "9 variables; write one to 8",
            ),
            (
                "[[request.config]]\nkey = \"k\"\nenv = 1\n",
                "a string or a list of strings",
            ),
            (
                "[[request.credential]]\nname = \"aws\"\nhosts = [\"a.org\"]\nsign = \"aws-sigv4\"\nservice = \"x\"\n",
                "the key `region` is missing; `sign` needs it",
            ),
            (
                "[[request.credential]]\nname = \"aws\"\nhosts = [\"a.org\"]\nsign = \"aws-sigv4\"\nregion = \"r\"\n",
                "the key `service` is missing; `sign` needs it",
            ),
            (
                "[[request.credential]]\nname = \"aws\"\nhosts = [\"a.org\"]\nsign = \"aws-sigv4\"\nservice = \"x\"\nregion = \"r\"\n",
                "`region` names the configuration key `r`, which is not declared",
            ),
            (
                "[[request.http]]\nbase-url = \"r\"\n[[request.credential]]\nname = \"aws\"\nbase-url = \"r\"\nsign = \"aws-sigv4\"\nservice = \"x\"\nregion = \"r\"\n[[request.config]]\nkey = \"r\"\n",
                "`r` is both a base URL and a region",
            ),
            (
                "[[request.credential]]\nname = \"aws\"\nhosts = [\"a.org\"]\nsign = \"aws-sigv4\"\nservice = \"x\"\nregion = \"r\"\nformat = \"{}\"\n",
                "remove `header` and `format`",
            ),
            (
                "[[request.credential]]\nname = \"aws\"\nhosts = [\"a.org\"]\nsign = \"aws-sigv4\"\nservice = \"x\"\nregion = \"r\"\nenv = [\"A\"]\n",
                "a list of two or three",
            ),
            (
                "[[request.credential]]\nname = \"aws\"\nhosts = [\"a.org\"]\nsign = \"aws-sigv4\"\nservice = \"s3\"\n",
                "S3 is not among them",
            ),
            (
                "[[request.credential]]\nname = \"aws\"\nhosts = [\"a.org\"]\nsign = \"aws\"\n",
                "expected `aws-sigv4`",
            ),
            (
                "[[request.credential]]\nname = \"aws\"\nhosts = [\"a.org\"]\nservice = \"x\"\n",
                "`service` and `region` belong to `sign`",
            ),
            (
                "[[request.config]]\nkey = \"k\"\n[[request.config]]\nkey = \"k\"\n",
                "the config key `k` is written twice",
            ),
            (
                "[[request.fs]]\nmount = \"/etc\"\naccess = \"read\"\n",
                "8:9: `request.fs[0].mount`: `/etc` does not fit; the only mount is `/workspace`",
            ),
            (
                "[[request.fs]]\nmount = \"/workspace\"\naccess = \"write\"\n",
                "unknown value `write`; expected `read` or `read-write`",
            ),
            (
                "[request.process]\nprograms = [\"/bin/sh\"]\n",
                "8:12: `request.process.programs`",
            ),
            ("[request.process]\nprograms = [\"*\"]\n", "there is no `*`"),
            (
                "[request.jobs]\nflavors = [\"*\"]\n",
                "the key `max-usd` is missing",
            ),
            (
                "[request.jobs]\nflavors = [\"*\"]\nmax-usd = nan\n",
                "9:11: `request.jobs.max-usd`: `NaN` is out of bounds",
            ),
            (
                "[request.jobs]\nflavors = [\"*\"]\nmax-usd = -1\n",
                "`-1` is out of bounds",
            ),
            (
                "[limits]\nmemory = \"8TiB\"\n",
                "8:10: `limits.memory`: not a size",
            ),
            (
                "[limits]\nmemory = \"1B\"\n",
                "write a value from 1MiB to 2GiB",
            ),
            (
                "[limits]\ntimeout = \"10h2m\"\n",
                "write a value from 100ms to 10h1m",
            ),
            ("[limits]\nconcurrent = -1\n", "8:14: `limits.concurrent`"),
            (
                "[limits]\ncpu = 5\n",
                "8:7: `limits.cpu`: integer `5` where this is expected: a string",
            ),
        ];
        for (tables, expected) in cases {
            let error = plugin_error(tables);
            assert!(error.contains(expected), "{error}\n{expected}");
        }
    }

    #[test]
    fn the_header_is_checked() {
        for (from, to, expected) in [
            ("a/b", "a", "2:6: `plugin.id`: not a plugin id"),
            (
                "1.0.0",
                "1.0",
                "3:11: `plugin.version`: not a version: `1.0`",
            ),
            (
                "\"d\"",
                "\"\"",
                "4:15: `plugin.description`: write one line",
            ),
            ("\"d\"", "\"a\\nb\"", "4:15: `plugin.description`: control"),
            ("\"d\"", "\"a\\u202eb\"", "direction-changing"),
            ("0.1", "0.1.0", "6:7: `plugin.abi`: not an ABI version"),
            ("0.1", "0.01", "not an ABI version"),
            (
                "license = \"MIT\"\n",
                "",
                "`plugin`: the key `license` is missing",
            ),
            (
                "abi = \"0.1\"",
                "abi = \"0.1\"\nabi = \"0.1\"",
                "7:1: duplicate key",
            ),
            ("[plugin]", "[plugin", "1:"),
        ] {
            let error = PluginManifest::parse("plugin.toml", &HEAD.replacen(from, to, 1))
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{error}\n{expected}");
        }
        assert!(
            PluginManifest::parse("p", "")
                .unwrap_err()
                .to_string()
                .contains("`plugin` is missing")
        );
    }

    #[test]
    fn an_error_shows_nothing_that_commands_a_terminal() {
        let key = "\"\\u001b]0;x\\u202e\" = 1\n";
        assert_eq!(
            plugin_error(&format!("[limits]\n{key}")),
            "8:1: `limits.\\u{1b}]0;x\\u{202e}`: unknown key `\\u{1b}]0;x\\u{202e}`; expected one of `memory`, `cpu`, `timeout`, `output`, `concurrent`, `log`, `random`, `handles`, `argument`, `host-calls`, `headers`, `file-bytes`, `files`, `requests-per-minute`, `requests-at-once`"
        );
        let long = plugin_error(&format!("[limits]\n{} = 1\n", "x".repeat(100_000)));
        assert!(long.len() < 2000, "{} bytes", long.len());
    }

    #[test]
    fn hostile_texts_end_in_an_error() {
        let many = format!(
            "{HEAD}{}",
            "[[request.http]]\nhost = \"a.org\"\n".repeat(65)
        );
        let deep = format!("x = {}", "[".repeat(10_000));
        let dotted = format!("{} = 1", "a.".repeat(5_000) + "a");
        let large = format!("#{}", "x".repeat(300_000));
        for text in [
            many,
            deep,
            dotted,
            large,
            "\0".to_owned(),
            "\u{feff}[".to_owned(),
            "é".repeat(10) + " = [",
        ] {
            assert!(
                matches!(
                    PluginManifest::parse("p", &text),
                    Err(Error::Document { .. })
                ),
                "{}",
                &text[..1]
            );
        }
    }

    #[test]
    fn columns_count_characters() {
        assert!(
            run_error("agent = { instructions = \"éé\", x = 1 }").starts_with("1:32: `agent.x`")
        );
    }
}
