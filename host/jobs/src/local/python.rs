//! Choosing the interpreter of a script.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ml_intern_exec::{Command, ExecError};
use tokio_util::sync::CancellationToken;

use super::LocalOptions;
use super::folder::Confinement;
use super::metadata::{Version, parse_version, satisfies};
use crate::JobError;

/// An interpreter that cannot say its version in this time is broken.
const VERSION_TIMEOUT: Duration = Duration::from_secs(20);

/// What runs the script.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// An interpreter of this machine.
    pub(super) python: PathBuf,
    /// Found `uv`, which makes environments faster and brings other versions.
    pub(super) uv: Option<PathBuf>,
    /// A version that only `uv` can bring.
    pub(super) fetch: Option<String>,
}

/// Finds an interpreter for a wanted version (`3.12`) and a `requires-python`.
///
/// # Errors
/// [`JobError::NotFound`] without any Python; [`JobError::InvalidInput`] when no version
/// fits. Both say what to install or to set.
pub(super) async fn choose(
    options: &LocalOptions,
    confinement: &Confinement,
    wanted: Option<&str>,
    requires: Option<&str>,
) -> Result<Choice, JobError> {
    if let Some(wanted) = wanted {
        check_wanted(wanted)?;
    }
    if let Some(requires) = requires {
        satisfies([3, 0, 0], requires)?;
    }
    let uv = ml_intern_exec::resolve("uv", &options.path).ok();
    let mut seen = Vec::new();
    for file in candidates(options, wanted) {
        let version = version_of(options, confinement, &file).await?;
        let fits = wanted.is_none_or(|wanted| in_series(version, wanted))
            && requires.map_or(Ok(true), |requires| satisfies(version, requires))?;
        if fits {
            return Ok(Choice {
                python: file,
                uv,
                fetch: None,
            });
        }
        seen.push((file, version));
    }
    let Some((python, version)) = seen.into_iter().next() else {
        return Err(JobError::NotFound(format!(
            "no `python3` on this machine: install Python 3, or name its folder in the program directories; looked in `{}`",
            ml_intern_exec::FIXED_PATH
        )));
    };
    let asked = wanted.or(requires).unwrap_or_default();
    if uv.is_some() {
        return Ok(Choice {
            python,
            uv,
            fetch: Some(asked.to_owned()),
        });
    }
    let [major, minor, patch] = version;
    Err(JobError::InvalidInput(format!(
        "the script wants Python `{asked}`, and `{}` is {major}.{minor}.{patch}: install that version or `uv`, or change the script",
        python.display()
    )))
}

fn candidates(options: &LocalOptions, wanted: Option<&str>) -> Vec<PathBuf> {
    let find = |name: &str| ml_intern_exec::resolve(name, &options.path).ok();
    let named = wanted.and_then(|wanted| {
        let series: Vec<&str> = wanted.split('.').take(2).collect();
        find(&format!("python{}", series.join(".")))
    });
    let mut all: Vec<PathBuf> = [options.python.clone(), named, find("python3")]
        .into_iter()
        .flatten()
        .collect();
    all.dedup();
    all
}

fn check_wanted(wanted: &str) -> Result<(), JobError> {
    let parts: Vec<&str> = wanted.split('.').collect();
    let number = |part: &&str| {
        !part.is_empty() && part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if parts.len() <= 3 && parts.iter().all(number) {
        return Ok(());
    }
    Err(JobError::InvalidInput(format!(
        "a Python version looks like `3.12`, not `{wanted}`"
    )))
}

fn in_series(version: Version, wanted: &str) -> bool {
    let parts = wanted.split('.').count().min(3);
    parse_version(wanted).is_some_and(|wanted| wanted[..parts] == version[..parts])
}

async fn version_of(
    options: &LocalOptions,
    confinement: &Confinement,
    file: &Path,
) -> Result<Version, JobError> {
    let mut command = Command::new(file.to_string_lossy(), &options.workspace);
    // Isolated: neither the workspace nor user packages can run code here.
    command.arguments = [
        "-I",
        "-S",
        "-c",
        "import sys; print('%d.%d.%d' % sys.version_info[:3])",
    ]
    .map(String::from)
    .to_vec();
    command.limits.wall = VERSION_TIMEOUT;
    // The first one on the path may be one that a plugin put into the workspace.
    command.isolation = confinement.level()?;
    command.view = confinement.view();
    command.keep_children = false;
    let outcome = ml_intern_exec::run(command, &CancellationToken::new(), |_, _| {})
        .await
        .map_err(from_exec)?;
    let text = String::from_utf8_lossy(&outcome.stdout);
    match parse_version(&text) {
        Some(version) if outcome.exit_code == Some(0) => Ok(version),
        _ => Err(JobError::InvalidInput(format!(
            "`{}` does not answer as a Python interpreter; name another one",
            file.display()
        ))),
    }
}

/// The same remedy in this crate's words.
pub(super) fn from_exec(error: ExecError) -> JobError {
    match error {
        ExecError::InvalidInput(text) => JobError::InvalidInput(text),
        error @ ExecError::NotFound { .. } => JobError::NotFound(error.to_string()),
        ExecError::Isolation(text) => {
            JobError::Unsupported(format!("the job cannot be isolated: {text}"))
        }
        ExecError::Spawn { program, source } => JobError::Io {
            action: format!("start `{}`", program.display()),
            source,
        },
        ExecError::Io { action, source } => JobError::Io {
            action: action.to_owned(),
            source,
        },
        other => JobError::Io {
            action: "run the program".to_owned(),
            source: std::io::Error::other(other),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_versions_reach_a_program_name() {
        for good in ["3", "3.12", "3.12.1"] {
            assert!(check_wanted(good).is_ok(), "{good}");
        }
        for bad in ["", "3.", "../x", "3.12;", "3.12.1.1", "-3", ">=3.1", "3333"] {
            assert!(check_wanted(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_series_matches_as_many_parts_as_it_names() {
        assert!(in_series([3, 11, 7], "3"));
        assert!(in_series([3, 11, 7], "3.11"));
        assert!(!in_series([3, 11, 7], "3.1"));
        assert!(!in_series([3, 11, 7], "3.11.6"));
    }
}
