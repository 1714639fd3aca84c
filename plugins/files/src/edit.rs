//! `edit`: replace a piece of a file.

use serde::Deserialize;

use crate::matching::{self, Change, Mode};
use crate::path::Workspace;
use crate::seen::{self, Memory};
use crate::store::{self, Found};
use crate::text::{self, BOM};
use crate::{Failure, diff, python};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Edit {
    path: String,
    old_str: String,
    new_str: String,
    #[serde(default)]
    replace_all: bool,
    #[serde(default)]
    mode: Mode,
}

pub(crate) fn run(
    workspace: &Workspace,
    memory: &dyn Memory,
    call: &Edit,
) -> Result<String, Failure> {
    if call.old_str == call.new_str {
        return Err("old_str and new_str are the same; nothing to do"
            .to_owned()
            .into());
    }
    let place = workspace.place(&call.path)?;
    let name = &place.name;
    let old = match store::load(&place)? {
        Found::Missing => {
            return Err(format!("`{}` does not exist; use `write` to create it", call.path).into());
        }
        Found::Folder => return Err(format!("`{}` is a folder", call.path).into()),
        Found::Large(_, size) => {
            return Err(format!(
                "`{name}` has {size} bytes, too many to be edited here; use a shell"
            )
            .into());
        }
        Found::Content(bytes) => bytes,
    };
    let content = text::decode(name, &old)?;
    seen::check(memory, &place, &old)?;

    let (bom, body) = match content.strip_prefix(BOM) {
        Some(body) => (&content[..BOM.len_utf8()], body),
        None => ("", content),
    };
    let change = Change {
        old: call.old_str.strip_prefix(BOM).unwrap_or(&call.old_str),
        new: call.new_str.strip_prefix(BOM).unwrap_or(&call.new_str),
        mode: call.mode,
        all: call.replace_all,
    };
    let edited = matching::apply(body, &change).map_err(|reason| format!("`{name}`: {reason}"))?;
    let new = format!("{bom}{}", edited.text);
    store::replace(&place, new.as_bytes())?;
    seen::note(memory, &place, new.as_bytes())?;

    let plural = if edited.count == 1 { "" } else { "s" };
    let note = edited
        .note
        .map(|note| format!(" ({note})"))
        .unwrap_or_default();
    let mut answer = format!(
        "edited `{name}`: {} replacement{plural}{note}\n{}",
        edited.count,
        diff::render(name, content, &new)
    );
    python::warn(name, &new, &mut answer);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::tests::Map;
    use std::fs;
    use std::path::Path;

    /// Edits a file that was read just before.
    #[track_caller]
    fn edit(content: &str, old: &str, new: &str) -> (String, Result<String, String>) {
        let folder = tempfile::tempdir().unwrap();
        let memory = Map::default();
        fs::write(folder.path().join("f"), content).unwrap();
        let place = Workspace::new(folder.path(), None).place("f").unwrap();
        seen::note(&memory, &place, content.as_bytes()).unwrap();
        let answer = call(folder.path(), &memory, "f", old, new);
        (fs::read_to_string(folder.path().join("f")).unwrap(), answer)
    }

    fn call(
        folder: &Path,
        memory: &Map,
        path: &str,
        old: &str,
        new: &str,
    ) -> Result<String, String> {
        let call = Edit {
            path: path.to_owned(),
            old_str: old.to_owned(),
            new_str: new.to_owned(),
            replace_all: false,
            mode: Mode::Replace,
        };
        run(&Workspace::new(folder, None), memory, &call).map_err(|failure| match failure {
            Failure::Tool(text) => text,
            Failure::Host(error) => panic!("{error:?}"),
        })
    }

    #[test]
    fn answers_with_a_summary_and_the_difference() {
        let (content, answer) = edit("a=1\nb=2\n", "b=2", "b=3");
        assert_eq!(content, "a=1\nb=3\n");
        let answer = answer.unwrap();
        assert!(
            answer.starts_with("edited `f`: 1 replacement\n--- a/f\n"),
            "{answer}"
        );
        assert!(answer.ends_with(" a=1\n-b=2\n+b=3"), "{answer}");
    }

    #[test]
    fn byte_order_mark_and_line_ends_stay() {
        let (content, answer) = edit("\u{feff}import os\n", "import os", "import sys");
        assert_eq!(content, "\u{feff}import sys\n");
        assert!(answer.unwrap().starts_with("edited `f`: 1 replacement\n"));
        assert_eq!(edit("a\r\nb\r\n", "a", "z").0, "z\r\nb\r\n");
        assert_eq!(edit("a\r\nb\r\n", "a\nb", "x\ny\nz").0, "x\r\ny\r\nz\r\n");
    }

    #[test]
    fn checks_come_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Map::default();
        let same = call(folder.path(), &memory, "none", "x", "x").unwrap_err();
        assert!(same.contains("the same"), "{same}");
        let missing = call(folder.path(), &memory, "none", "x", "y").unwrap_err();
        assert!(missing.contains("does not exist"), "{missing}");
        fs::write(folder.path().join("f"), "x").unwrap();
        let unread = call(folder.path(), &memory, "f", "x", "y").unwrap_err();
        assert!(unread.contains("read it first"), "{unread}");
        fs::write(folder.path().join("b"), b"\0x").unwrap();
        let binary = call(folder.path(), &memory, "b", "x", "y").unwrap_err();
        assert!(binary.contains("binary"), "{binary}");
    }

    #[test]
    fn an_edit_after_an_edit_needs_no_reading() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Map::default();
        fs::write(folder.path().join("f"), "x").unwrap();
        let place = Workspace::new(folder.path(), None).place("f").unwrap();
        seen::note(&memory, &place, b"x").unwrap();
        call(folder.path(), &memory, "f", "x", "y").unwrap();
        call(folder.path(), &memory, "./f", "y", "z").unwrap();
        fs::write(folder.path().join("f"), "zz").unwrap();
        let changed = call(folder.path(), &memory, "f", "z", "y").unwrap_err();
        assert!(changed.contains("changed since"), "{changed}");
    }

    #[test]
    fn a_refused_edit_leaves_the_file() {
        let (content, answer) = edit("x\nx\n", "x", "y");
        assert_eq!(content, "x\nx\n");
        assert!(answer.unwrap_err().contains("replace_all"));
    }
}
