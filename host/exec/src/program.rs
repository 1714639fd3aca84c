//! Finding a program by its name, in directories that no environment variable can change.

use std::path::{Path, PathBuf};

use rustix::fs::Access;

use crate::ExecError;

/// Where programs are looked up after the caller's own directories, and the end of the
/// program's own `PATH`. A constant, so that the environment of the host cannot put another
/// `git` before the system's.
pub const FIXED_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The longest program name: `NAME_MAX` of Linux file systems for a name, `PATH_MAX` for a path.
const MAX_PROGRAM_BYTES: usize = 4096;

/// Returns the executable file that `program` names: looked up in `extra` and then in
/// [`FIXED_PATH`], or taken as it is when it is an absolute path.
///
/// # Errors
/// [`ExecError::InvalidInput`] for an empty name, a relative path (`./x`, `bin/x`), a NUL
/// byte, or an entry of `extra` that is not an absolute directory name;
/// [`ExecError::NotFound`] when no executable file of that name is there.
pub fn resolve(program: &str, extra: &[PathBuf]) -> Result<PathBuf, ExecError> {
    check(program)?;
    let path = search_path(extra)?;
    if program.starts_with('/') {
        let file = PathBuf::from(program);
        return if is_executable(&file) {
            Ok(file)
        } else {
            Err(ExecError::NotFound {
                program: program.to_owned(),
                searched: "that path, which is no executable file".to_owned(),
            })
        };
    }
    path.split(':')
        .map(|directory| Path::new(directory).join(program))
        .find(|file| is_executable(file))
        .ok_or_else(|| ExecError::NotFound {
            program: program.to_owned(),
            searched: format!("`{path}`"),
        })
}

/// The `PATH` of the program: `extra`, then [`FIXED_PATH`].
pub(crate) fn search_path(extra: &[PathBuf]) -> Result<String, ExecError> {
    let mut path = String::new();
    for directory in extra {
        let text = directory
            .to_str()
            .filter(|text| text.starts_with('/') && !text.contains([':', '\0']));
        let Some(text) = text else {
            return Err(ExecError::InvalidInput(format!(
                "a program directory must be an absolute UTF-8 path without `:`, not `{}`",
                directory.display()
            )));
        };
        path.push_str(text);
        path.push(':');
    }
    path.push_str(FIXED_PATH);
    Ok(path)
}

fn check(program: &str) -> Result<(), ExecError> {
    let problem = if program.is_empty() {
        "the program name is empty"
    } else if program.len() > MAX_PROGRAM_BYTES {
        "the program name is longer than 4096 bytes"
    } else if program.contains('\0') {
        "the program name contains a NUL byte"
    } else if program == "." || program == ".." {
        "the program name is a directory"
    } else if program.contains('/') && !program.starts_with('/') {
        return Err(ExecError::InvalidInput(format!(
            "give a program name or an absolute path, not the relative path `{program}`"
        )));
    } else {
        return Ok(());
    };
    Err(ExecError::InvalidInput(problem.to_owned()))
}

fn is_executable(file: &Path) -> bool {
    file.is_file() && rustix::fs::access(file, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_name_is_found_on_the_fixed_path() {
        let sh = resolve("sh", &[]).unwrap();
        assert!(sh.is_absolute() && sh.ends_with("sh"), "{sh:?}");
        assert!(resolve("/bin/sh", &[]).is_ok());
    }

    #[test]
    fn extra_directories_come_first_and_only_executables_count() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("sh");
        std::fs::write(&file, "#!/bin/sh\n").unwrap();
        let extra = [directory.path().to_owned()];
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_ne!(resolve("sh", &extra).unwrap(), file);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(resolve("sh", &extra).unwrap(), file);
    }

    #[test]
    fn unusable_names_are_refused_and_missing_ones_say_where_was_looked() {
        for name in ["", ".", "..", "./sh", "bin/sh", "../sh", "s\0h"] {
            let error = resolve(name, &[]).unwrap_err();
            assert!(
                matches!(error, ExecError::InvalidInput(_)),
                "{name:?} {error}"
            );
        }
        let error = resolve("no-such-program-here", &[]).unwrap_err();
        assert!(error.to_string().contains("/usr/local/bin"), "{error}");
        assert!(matches!(
            resolve("/usr", &[]),
            Err(ExecError::NotFound { .. })
        ));
    }

    #[test]
    fn a_relative_or_divided_directory_is_refused() {
        for directory in ["bin", "", "/a:/b"] {
            assert!(resolve("sh", &[PathBuf::from(directory)]).is_err());
        }
    }
}
