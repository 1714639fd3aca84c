//! `read`: numbered lines of a text file.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader};

use serde::Deserialize;

use crate::Failure;
use crate::path::{Place, Workspace};
use crate::seen::{self, Memory};
use crate::store::{self, Found};
use crate::text::{self, BOM, MAX_OUTPUT, grouped};

pub(crate) const DEFAULT_LINES: usize = 2000;
const MAX_LINE: usize = 4000;
/// Most of a large file that is looked through for a page; ends a wild `offset` in bounded time.
const MAX_SCAN: u64 = 256 * 1024 * 1024;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Read {
    path: String,
    /// First line, from 1.
    offset: Option<usize>,
    limit: Option<usize>,
}

pub(crate) fn run(
    workspace: &Workspace,
    memory: &dyn Memory,
    call: &Read,
) -> Result<String, Failure> {
    let place = workspace.place(&call.path)?;
    let mut page = Page::new(call);
    match store::load(&place)? {
        Found::Missing => Err(format!("`{}` does not exist", call.path).into()),
        Found::Folder => {
            let path = &call.path;
            Err(format!(
                "`{path}` is a folder; use the tool `list` (or `ls` in a shell) for its files"
            )
            .into())
        }
        Found::Content(bytes) => {
            let body = text::decode(&place.name, &bytes)?;
            for line in text::lines(body.strip_prefix(BOM).unwrap_or(body)) {
                page.take(line);
            }
            seen::note(memory, &place, &bytes)?;
            Ok(page.finish(&place.name)?)
        }
        Found::Large(file, size) => Ok(large(&place, file, size, page)?),
    }
}

/// A page of a file that is too large to hold: reading stops where the page ends.
fn large(place: &Place, file: File, size: u64, mut page: Page) -> Result<String, String> {
    let name = &place.name;
    let mut reader = BufReader::with_capacity(64 * 1024, file);
    let mut line = Vec::new();
    let mut scanned = 0;
    while !page.is_full() {
        line.clear();
        // A line without an end must not fill the memory; what is over is read as a next line.
        let mut bounded = std::io::Read::take(&mut reader, store::MAX_BYTES);
        let count = bounded.read_until(b'\n', &mut line);
        let count =
            count.map_err(|error| format!("cannot read `{name}`: {}", store::reason(&error)))?;
        if count == 0 {
            return page.finish(name);
        }
        scanned += count as u64;
        if scanned > MAX_SCAN {
            let line = page.seen;
            return Err(format!(
                "line {line} of `{name}` is as far as this tool looks; use a shell"
            ));
        }
        if page.seen == 0 && text::looks_binary(&line) {
            return text::decode(name, &line).and(Err(format!("`{name}` is binary")));
        }
        let text = String::from_utf8_lossy(&line);
        page.take(text.trim_end_matches(['\n', '\r']));
    }
    let Page {
        text, first, shown, ..
    } = page;
    let last = first + shown - 1;
    let size = grouped(usize::try_from(size).unwrap_or(usize::MAX));
    Ok(format!(
        "{text}\n\n[showing {first}–{last} of a file of {size} bytes, too large to edit here; go on with offset {}]",
        last + 1
    ))
}

/// The lines asked for, collected while a file goes by.
struct Page {
    text: String,
    first: usize,
    limit: usize,
    shown: usize,
    /// Lines that went by, shown or not.
    seen: usize,
    characters: usize,
    cut: bool,
}

impl Page {
    fn new(call: &Read) -> Self {
        Self {
            text: String::new(),
            first: call.offset.unwrap_or(1).max(1),
            limit: call
                .limit
                .filter(|limit| *limit > 0)
                .unwrap_or(DEFAULT_LINES),
            shown: 0,
            seen: 0,
            characters: 0,
            cut: false,
        }
    }

    fn is_full(&self) -> bool {
        self.cut || self.shown == self.limit
    }

    fn take(&mut self, line: &str) {
        self.seen += 1;
        if self.seen < self.first || self.is_full() {
            return;
        }
        let (line, dots) = text::cut(line, MAX_LINE);
        // Six columns, a tab, and the newline in front.
        let width = if line.is_ascii() {
            line.len()
        } else {
            line.chars().count()
        };
        let width = width + dots.len() + 8;
        if self.characters + width > MAX_OUTPUT && self.shown > 0 {
            self.cut = true;
            return;
        }
        self.characters += width;
        self.shown += 1;
        let newline = if self.shown > 1 { "\n" } else { "" };
        let number = self.seen;
        write!(self.text, "{newline}{number:>6}\t{line}{dots}").expect("writing to a string");
    }

    /// The page of a file that went by completely.
    fn finish(self, name: &str) -> Result<String, String> {
        let (first, total) = (self.first, self.seen);
        if total == 0 {
            return Ok("(the file is empty)".to_owned());
        }
        if self.shown == 0 {
            let lines = if total == 1 { "line" } else { "lines" };
            return Err(format!(
                "`{name}` has {total} {lines}; offset {first} is past its end"
            ));
        }
        let last = first + self.shown - 1;
        if last == total {
            return Ok(self.text);
        }
        let text = self.text;
        let next = last + 1;
        Ok(format!(
            "{text}\n\n[showing {first}–{last} of {total} lines; go on with offset {next}]"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::tests::Map;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn with(name: &str, content: impl AsRef<[u8]>) -> Self {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(name), content).unwrap();
            Self(folder)
        }

        fn read(&self, raw: &str) -> Result<String, String> {
            let call: Read = serde_json::from_str(raw).unwrap();
            let workspace = Workspace::new(self.0.path(), None);
            run(&workspace, &Map::default(), &call).map_err(|failure| match failure {
                Failure::Tool(text) => text,
                Failure::Host(error) => panic!("{error:?}"),
            })
        }
    }

    #[test]
    fn numbers_lines_like_cat() {
        let folder = Folder::with("a", "x\r\ny\n");
        assert_eq!(
            folder.read(r#"{"path":"a"}"#).unwrap(),
            "     1\tx\n     2\ty"
        );
        assert_eq!(
            folder.read(r#"{"path":"a","offset":2,"limit":1}"#).unwrap(),
            "     2\ty"
        );
        let folder = Folder::with("a", "\u{feff}x");
        assert_eq!(folder.read(r#"{"path":"a"}"#).unwrap(), "     1\tx");
    }

    #[test]
    fn a_long_line_is_cut_at_4000_characters() {
        let folder = Folder::with("a", "é".repeat(4001));
        let text = folder.read(r#"{"path":"a"}"#).unwrap();
        assert_eq!(text.chars().count(), 4010);
        assert!(text.ends_with("é..."));
    }

    #[test]
    fn says_what_was_left_out_and_how_to_go_on() {
        let lines: String = (1..=5000).map(|n| format!("{n}\n")).collect();
        let folder = Folder::with("a", lines);
        let text = folder.read(r#"{"path":"a","limit":3}"#).unwrap();
        assert!(
            text.ends_with("[showing 1–3 of 5000 lines; go on with offset 4]"),
            "{text}"
        );
        let text = folder.read(r#"{"path":"a"}"#).unwrap();
        assert!(text.contains("showing 1–2000 of 5000"), "bounded by lines");
        let error = folder.read(r#"{"path":"a","offset":5001}"#).unwrap_err();
        assert!(error.contains("has 5000 lines"), "{error}");
    }

    #[test]
    fn output_is_bounded_in_characters() {
        let folder = Folder::with("a", format!("{}\n", "w".repeat(1000)).repeat(100));
        let text = folder.read(r#"{"path":"a"}"#).unwrap();
        assert!(text.chars().count() < MAX_OUTPUT + 100);
        assert!(
            text.contains("showing 1–24 of 100"),
            "{}",
            &text[text.len() - 80..]
        );
    }

    #[test]
    fn a_large_file_is_read_in_pages() {
        let line = format!("{}\n", "l".repeat(99));
        let folder = Folder::with("a", line.repeat(100_000));
        let text = folder
            .read(r#"{"path":"a","offset":90000,"limit":2}"#)
            .unwrap();
        assert!(text.starts_with(" 90000\tlll"), "{text}");
        assert!(
            text.contains("showing 90000–90001 of a file of 10,000,000 bytes"),
            "{text}"
        );
        let error = folder.read(r#"{"path":"a","offset":100001}"#).unwrap_err();
        assert!(error.contains("has 100000 lines"), "{error}");
    }

    #[test]
    fn what_is_no_text_file_is_explained() {
        let folder = Folder::with("a", b"\xff\xfe\0");
        assert!(
            folder
                .read(r#"{"path":"a"}"#)
                .unwrap_err()
                .contains("binary")
        );
        assert!(folder.read(r#"{"path":"."}"#).unwrap_err().contains("ls"));
        assert!(
            folder
                .read(r#"{"path":"none"}"#)
                .unwrap_err()
                .contains("`none` does not exist")
        );
        let folder = Folder::with("e", "");
        assert_eq!(
            folder.read(r#"{"path":"e"}"#).unwrap(),
            "(the file is empty)"
        );
    }
}
