//! `write`: a whole file.

use serde::Deserialize;

use crate::path::Workspace;
use crate::seen::{self, Memory};
use crate::store::{self, Found};
use crate::{Failure, diff, python, text};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Write {
    path: String,
    content: String,
}

pub(crate) fn run(
    workspace: &Workspace,
    memory: &dyn Memory,
    call: &Write,
) -> Result<String, Failure> {
    let place = workspace.place(&call.path)?;
    let bytes = call.content.as_bytes();
    let name = &place.name;
    let size = text::grouped(bytes.len());
    let mut answer = match store::load(&place)? {
        Found::Missing if call.path.ends_with('/') => {
            return Err(format!("`{}` names a folder; give a file in it", call.path).into());
        }
        Found::Missing => {
            store::create(&place, bytes)?;
            format!("created `{name}` ({size} bytes)")
        }
        Found::Folder => return Err(format!("`{}` is a folder", call.path).into()),
        Found::Large(_, old) => {
            return Err(format!(
                "`{name}` has {old} bytes, too many to be replaced here; remove it first"
            )
            .into());
        }
        // Nothing to lose, whoever wrote it: an earlier try of this call, perhaps, that was cut short.
        Found::Content(old) if old == bytes => {
            format!("`{name}` has this content already ({size} bytes)")
        }
        Found::Content(old) => {
            seen::check(memory, &place, &old)?;
            store::replace(&place, bytes)?;
            let old = String::from_utf8_lossy(&old);
            format!(
                "wrote `{name}` ({size} bytes)\n{}",
                diff::render(name, &old, &call.content)
            )
        }
    };
    seen::note(memory, &place, bytes)?;
    python::warn(name, &call.content, &mut answer);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::tests::Map;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    fn write(folder: &Path, memory: &Map, path: &str, content: &str) -> Result<String, String> {
        let call = Write {
            path: path.to_owned(),
            content: content.to_owned(),
        };
        run(&Workspace::new(folder, None), memory, &call).map_err(|failure| match failure {
            Failure::Tool(text) => text,
            Failure::Host(error) => panic!("{error:?}"),
        })
    }

    fn know(folder: &Path, memory: &Map, path: &str) {
        let place = Workspace::new(folder, None).place(path).unwrap();
        seen::note(memory, &place, &fs::read(&place.path).unwrap()).unwrap();
    }

    #[test]
    fn a_new_file_is_counted_in_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Map::default();
        let answer = write(folder.path(), &memory, "a/b.txt", "éé").unwrap();
        assert_eq!(answer, "created `a/b.txt` (4 bytes)");
        // What we wrote we know.
        let answer = write(folder.path(), &memory, "a/b.txt", "é\n").unwrap();
        assert!(
            answer.starts_with("wrote `a/b.txt` (3 bytes)\n"),
            "{answer}"
        );
        assert!(
            answer.contains("\n-éé") && answer.contains("\n+é"),
            "{answer}"
        );
    }

    #[test]
    fn an_existing_file_must_be_known_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Map::default();
        fs::write(folder.path().join("a"), "old").unwrap();
        let error = write(folder.path(), &memory, "a", "new").unwrap_err();
        assert!(error.contains("read it first"), "{error}");
        know(folder.path(), &memory, "a");
        fs::write(folder.path().join("a"), "changed").unwrap();
        let error = write(folder.path(), &memory, "a", "new").unwrap_err();
        assert!(error.contains("changed since"), "{error}");
        assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"changed");
    }

    #[test]
    fn the_same_content_again_is_fine_and_then_known() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Map::default();
        fs::write(folder.path().join("a"), "same").unwrap();
        let answer = write(folder.path(), &memory, "a", "same").unwrap();
        assert_eq!(answer, "`a` has this content already (4 bytes)");
        assert!(write(folder.path(), &memory, "a", "other").is_ok());
    }

    #[test]
    fn mode_and_link_survive() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Map::default();
        let file = folder.path().join("real.sh");
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        symlink("real.sh", folder.path().join("link")).unwrap();
        know(folder.path(), &memory, "link");
        write(folder.path(), &memory, "link", "new").unwrap();
        assert!(folder.path().join("link").is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o755
        );
    }

    #[test]
    fn folders_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Map::default();
        assert!(write(folder.path(), &memory, ".", "x").is_err());
        assert!(write(folder.path(), &memory, "new/", "x").is_err());
        assert!(write(folder.path(), &memory, "../x", "x").is_err());
    }

    #[test]
    fn a_training_script_that_loses_its_model_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let answer = write(
            folder.path(),
            &Map::default(),
            "t.py",
            "SFTConfig(push_to_hub=True)\n",
        );
        let answer = answer.unwrap();
        assert_eq!(answer.matches("warning:").count(), 1, "{answer}");
        assert!(answer.contains("hub_model_id"), "{answer}");
    }
}
