//! `search`: lines that match, over the files of a folder.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use regex_lite::{Regex, RegexBuilder};
use serde::Deserialize;

use crate::Failure;
use crate::glob::Glob;
use crate::list::SKIPPED;
use crate::path::{Place, Workspace};
use crate::store::{self, Found};
use crate::text::{self, MAX_OUTPUT};

pub(crate) const MAX_MATCHES: usize = 200;
pub(crate) const MAX_CONTEXT: usize = 10;
const MAX_LINE: usize = 400;
/// Ends a search through a data set in bounded time.
const MAX_FILES: usize = 20_000;
const MAX_BYTES: u64 = 256 * 1024 * 1024;
/// Folders within folders; a workspace nests far less.
const MAX_DEPTH: usize = 64;
/// Room for a compiled expression: rejects those that would take the plugin's memory.
const MAX_PROGRAM: usize = 1 << 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Search {
    pattern: String,
    #[serde(default)]
    literal: bool,
    #[serde(default)]
    ignore_case: bool,
    path: Option<String>,
    glob: Option<String>,
    #[serde(default)]
    context: usize,
}

pub(crate) fn run(workspace: &Workspace, call: &Search) -> Result<String, Failure> {
    if call.pattern.is_empty() {
        return Err("no pattern given".to_owned().into());
    }
    let asked = call.path.as_deref().unwrap_or(".");
    let place = workspace.place(asked)?;
    let metadata = fs::metadata(&place.path)
        .map_err(|error| format!("cannot search `{asked}`: {}", store::reason(&error)))?;
    let mut search = Hits {
        regex: compile(call)?,
        needle: plain(call),
        glob: call.glob.as_deref().map(Glob::new).transpose()?,
        context: call.context.min(MAX_CONTEXT),
        text: String::new(),
        matches: 0,
        files: 0,
        bytes: 0,
        skipped: 0,
        cut: None,
    };
    if metadata.is_dir() {
        search.folder(&place, "", 0);
    } else {
        search.file(&place);
    }
    Ok(search.finish())
}

/// The expression. Classes like `\w` are ASCII: the small engine has no Unicode tables, which would be
/// several times the size of the rest of the component.
fn compile(call: &Search) -> Result<Regex, String> {
    let pattern = match call.literal {
        true => regex_lite::escape(&call.pattern),
        false => call.pattern.clone(),
    };
    RegexBuilder::new(&pattern)
        .case_insensitive(call.ignore_case)
        .size_limit(MAX_PROGRAM)
        .build()
        .map_err(|error| format!("pattern: {error}; set `literal` to search for the text itself"))
}

/// The text to find when the pattern is no expression.
fn plain(call: &Search) -> Option<String> {
    let text = call.literal || regex_lite::escape(&call.pattern) == call.pattern;
    (text && !call.ignore_case).then(|| call.pattern.clone())
}

struct Hits {
    regex: Regex,
    /// The pattern, where it is nothing but text: the standard library finds that much faster.
    needle: Option<String>,
    glob: Option<Glob>,
    context: usize,
    text: String,
    matches: usize,
    files: usize,
    bytes: u64,
    /// Too large, or unreadable.
    skipped: usize,
    /// Which bound ended the search.
    cut: Option<&'static str>,
}

impl Hits {
    fn folder(&mut self, place: &Place, prefix: &str, depth: usize) {
        let Ok(entries) = fs::read_dir(&place.path) else {
            self.skipped += 1;
            return;
        };
        let mut entries: Vec<_> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let name = entry.file_name().into_string().ok()?;
                Some((name, entry.file_type().ok()?))
            })
            .filter(|(name, _)| name != SKIPPED)
            .collect();
        entries.sort_by(|(left, _), (right, _)| left.cmp(right));
        for (name, kind) in entries {
            if self.cut.is_some() {
                return;
            }
            let relative = format!("{prefix}{name}");
            let below = Place {
                name: match place.name.is_empty() {
                    true => name.clone(),
                    false => format!("{}/{name}", place.name),
                },
                path: Path::new(&place.path).join(&name),
            };
            // Links are left out: what they name in the workspace is found under its own name.
            if kind.is_dir() && depth < MAX_DEPTH {
                self.folder(&below, &format!("{relative}/"), depth + 1);
            } else if kind.is_file()
                && self
                    .glob
                    .as_ref()
                    .is_none_or(|glob| glob.matches(&relative))
            {
                self.file(&below);
            }
        }
    }

    fn file(&mut self, place: &Place) {
        if self.files == MAX_FILES {
            self.cut = Some("files");
            return;
        }
        self.files += 1;
        let bytes = match store::load(place) {
            Ok(Found::Content(bytes)) => bytes,
            _ => {
                self.skipped += 1;
                return;
            }
        };
        self.bytes += bytes.len() as u64;
        if self.bytes > MAX_BYTES {
            self.cut = Some("bytes");
            return;
        }
        if !text::looks_binary(&bytes) {
            self.lines(&place.name, &String::from_utf8_lossy(&bytes));
        }
    }

    /// Prints the matching lines of one file with their surroundings, each line once.
    fn lines(&mut self, name: &str, content: &str) {
        // Lines are matched one by one: `^` and `$` are a line's, and `\s` does not run across them.
        let lines: Vec<&str> = text::lines(content).collect();
        let hits: Vec<bool> = lines.iter().map(|line| self.is_match(line)).collect();
        let mut shown = 0;
        for index in (0..lines.len()).filter(|index| hits[*index]) {
            if self.matches == MAX_MATCHES {
                self.cut = Some("matches");
                return;
            }
            self.matches += 1;
            let first = index.saturating_sub(self.context).max(shown);
            if self.context > 0 && first > shown && !self.text.is_empty() {
                self.text.push_str("--\n");
            }
            for (before, line) in lines.iter().enumerate().take(index).skip(first) {
                self.line(name, before, '-', line);
            }
            if index >= shown {
                self.line(name, index, ':', lines[index]);
            }
            let last = (index + self.context).min(lines.len() - 1);
            for after in (index + 1).max(shown)..=last {
                // A match among them is printed as one when its turn comes.
                if hits[after] {
                    break;
                }
                self.line(name, after, '-', lines[after]);
                shown = after + 1;
            }
            shown = shown.max(index + 1);
            if self.cut.is_some() {
                return;
            }
        }
    }

    fn is_match(&self, line: &str) -> bool {
        match &self.needle {
            Some(needle) => line.contains(needle.as_str()),
            None => self.regex.is_match(line),
        }
    }

    fn line(&mut self, name: &str, index: usize, mark: char, line: &str) {
        let (line, dots) = text::cut(line, MAX_LINE);
        if self.text.len() + name.len() + line.len() + 16 > MAX_OUTPUT {
            self.cut = Some("output");
            return;
        }
        let number = index + 1;
        writeln!(self.text, "{name}{mark}{number}{mark} {line}{dots}")
            .expect("writing to a string");
    }

    fn finish(mut self) -> String {
        if self.text.is_empty() {
            self.text = format!("no match in {} files", self.files);
        } else {
            self.text.truncate(self.text.trim_end().len());
        }
        if self.skipped > 0 {
            write!(
                self.text,
                "\n[{} files skipped: too large or not readable]",
                self.skipped
            )
            .expect("writing to a string");
        }
        let bound = match self.cut {
            None => return self.text,
            Some("matches") => format!("{MAX_MATCHES} matches"),
            Some("files") => format!("{MAX_FILES} files"),
            Some("bytes") => format!("{} MiB of files", MAX_BYTES >> 20),
            Some(_) => format!("{MAX_OUTPUT} characters"),
        };
        let text = self.text;
        format!(
            "{text}\n[stopped at {bound}; there may be more: narrow `pattern`, `path` or `glob`]"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        write("a.py", b"import os\r\n\r\ndef main():\r\n    pass\r\n");
        write("src/b.py", b"def helper(x):\n    return x\n");
        write("src/c.txt", "größe = 1\ndef\n".as_bytes());
        write("weights.bin", b"def\0");
        write(".git/HEAD", b"def");
        folder
    }

    fn search(folder: &tempfile::TempDir, raw: &str) -> Result<String, String> {
        let call = serde_json::from_str(raw).unwrap();
        run(&Workspace::new(folder.path(), None), &call).map_err(|failure| match failure {
            Failure::Tool(text) => text,
            Failure::Host(error) => panic!("{error:?}"),
        })
    }

    #[test]
    fn finds_lines_in_text_files_in_order() {
        let folder = sample();
        let text = search(&folder, r#"{"pattern":"def \\w+\\("}"#).unwrap();
        assert_eq!(text, "a.py:3: def main():\nsrc/b.py:1: def helper(x):");
        let text = search(&folder, r#"{"pattern":"^def$"}"#).unwrap();
        assert_eq!(text, "src/c.txt:2: def");
        let text = search(&folder, r#"{"pattern":"pass$","path":"a.py"}"#).unwrap();
        assert_eq!(text, "a.py:4:     pass");
    }

    #[test]
    fn options_narrow_the_search() {
        let folder = sample();
        let text = search(&folder, r#"{"pattern":"def","glob":"*.py","path":"src"}"#).unwrap();
        assert_eq!(text, "src/b.py:1: def helper(x):");
        let text = search(&folder, r#"{"pattern":"(x)","literal":true}"#).unwrap();
        assert_eq!(text, "src/b.py:1: def helper(x):");
        let text = search(&folder, r#"{"pattern":"GRößE = \\d","ignore_case":true}"#).unwrap();
        assert_eq!(text, "src/c.txt:1: größe = 1");
        assert_eq!(
            search(&folder, r#"{"pattern":"zebra"}"#).unwrap(),
            "no match in 4 files"
        );
    }

    #[test]
    fn context_lines_are_printed_once() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("f"), "1\nx\n3\nx\n5\n6\n7\n8\nx\n").unwrap();
        let text = search(&folder, r#"{"pattern":"x","context":1}"#).unwrap();
        assert_eq!(
            text,
            "f-1- 1\nf:2: x\nf-3- 3\nf:4: x\nf-5- 5\n--\nf-8- 8\nf:9: x"
        );
        let text = search(&folder, r#"{"pattern":"x","context":3}"#).unwrap();
        assert_eq!(text.lines().count(), 9, "{text}");
    }

    #[test]
    fn is_bounded_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("f"), "x\n".repeat(500)).unwrap();
        let text = search(&folder, r#"{"pattern":"x"}"#).unwrap();
        assert!(
            text.ends_with(
                "[stopped at 200 matches; there may be more: narrow `pattern`, `path` or `glob`]"
            ),
            "{text}"
        );
        fs::write(
            folder.path().join("f"),
            format!("{}\n", "x".repeat(5000)).repeat(200),
        )
        .unwrap();
        let text = search(&folder, r#"{"pattern":"x"}"#).unwrap();
        assert!(
            text.len() < MAX_OUTPUT + 200 && text.contains("25000 characters"),
            "{}",
            text.len()
        );
    }

    #[test]
    fn a_bad_or_huge_expression_is_refused() {
        let folder = sample();
        assert!(
            search(&folder, r#"{"pattern":"("}"#)
                .unwrap_err()
                .contains("literal")
        );
        assert!(search(&folder, r#"{"pattern":"(((a{999}){999}){999})"}"#).is_err());
        assert!(search(&folder, r#"{"pattern":""}"#).is_err());
        assert!(
            search(&folder, r#"{"pattern":"x","path":"none"}"#)
                .unwrap_err()
                .contains("not found")
        );
    }
}
