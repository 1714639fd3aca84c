//! The virtual environment of a job that has dependencies.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::JobError;

/// What to install before the script runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Install {
    pub(super) dependencies: Vec<String>,
    pub(super) uv: Option<PathBuf>,
    /// A version that only `uv` can bring.
    pub(super) fetch: Option<String>,
    /// Shared by all jobs, so that packages are fetched once.
    pub(super) cache: PathBuf,
}

/// One logged program of the preparation.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The log line before it, and the subject of "… failed".
    pub(super) title: &'static str,
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    /// What the user may do when it fails.
    pub(super) hint: &'static str,
}

impl Install {
    pub(super) fn steps(&self, python: &Path, venv: &Path) -> Vec<Step> {
        let venv_text = venv.to_string_lossy().into_owned();
        let inside = interpreter(venv).to_string_lossy().into_owned();
        let mut steps = Vec::new();
        match &self.uv {
            Some(uv) => {
                let python = self
                    .fetch
                    .clone()
                    .unwrap_or_else(|| python.to_string_lossy().into_owned());
                let flag = |text: &str| text.to_owned();
                steps.push(Step {
                    title: "making the virtual environment",
                    program: uv.clone(),
                    arguments: vec![flag("venv"), flag("--python"), python, venv_text],
                    hint: "see the log",
                });
                if !self.dependencies.is_empty() {
                    let mut arguments = ["pip", "install", "--python", &inside].map(flag).to_vec();
                    arguments.extend(self.dependencies.iter().cloned());
                    steps.push(Step {
                        title: "installing the dependencies",
                        program: uv.clone(),
                        arguments,
                        hint: "see the log for the package that has no fitting version",
                    });
                }
            }
            None => {
                steps.push(Step {
                    title: "making the virtual environment",
                    program: python.to_owned(),
                    arguments: vec!["-m".into(), "venv".into(), venv_text],
                    hint: "install the system's `python3-venv` package, or `uv`",
                });
                let mut arguments: Vec<String> = ["-m", "pip", "install", "--progress-bar", "off"]
                    .map(String::from)
                    .to_vec();
                arguments.extend(self.dependencies.iter().cloned());
                steps.push(Step {
                    title: "installing the dependencies",
                    program: interpreter(venv),
                    arguments,
                    hint: "see the log for the package that has no fitting version",
                });
            }
        }
        steps
    }

    /// Whether anything comes from elsewhere: only packages in files do not.
    pub(super) fn needs_network(&self) -> bool {
        let is_file = |text: &String| {
            let place = text
                .split_once('@')
                .map_or(text.as_str(), |(_, place)| place);
            place.trim_start().starts_with("file:")
        };
        self.fetch.is_some() || !self.dependencies.iter().all(is_file)
    }

    /// Variables of the preparation only: quiet, never asking, one cache.
    pub(super) fn env(&self) -> Vec<(String, String)> {
        let cache = |part: &str| self.cache.join(part).to_string_lossy().into_owned();
        vec![
            ("PIP_CACHE_DIR".to_owned(), cache("pip")),
            ("PIP_DISABLE_PIP_VERSION_CHECK".to_owned(), "1".to_owned()),
            ("PIP_NO_INPUT".to_owned(), "1".to_owned()),
            ("UV_CACHE_DIR".to_owned(), cache("uv")),
            ("UV_NO_PROGRESS".to_owned(), "1".to_owned()),
        ]
    }
}

/// The interpreter of a virtual environment.
pub(super) fn interpreter(venv: &Path) -> PathBuf {
    venv.join("bin").join("python")
}

/// Refuses what pip would read as an option (`--index-url …`) or as several arguments.
pub(super) fn check_dependency(text: &str) -> Result<(), JobError> {
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed.starts_with('-') || text.contains(char::is_control) {
        return Err(JobError::InvalidInput(format!(
            "a dependency is a requirement such as `torch>=2.4`, not `{}`",
            text.escape_debug()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(uv: Option<&str>, fetch: Option<&str>) -> Install {
        Install {
            dependencies: vec!["rich".into()],
            uv: uv.map(PathBuf::from),
            fetch: fetch.map(String::from),
            cache: "/c".into(),
        }
    }

    #[test]
    fn only_packages_in_files_need_no_network() {
        let needs = |dependencies: &[&str]| {
            let mut install = install(None, None);
            install.dependencies = dependencies.iter().map(|&text| text.into()).collect();
            install.needs_network()
        };
        assert!(needs(&["rich"]) && needs(&["a @ https://a.org/file:.whl"]));
        assert!(needs(&["a @ file:///a.whl", "rich"]));
        assert!(!needs(&["a @ file:///a.whl"]) && !needs(&[]));
        assert!(install(None, Some("3.13")).needs_network());
    }

    #[test]
    fn options_are_no_dependencies() {
        for bad in ["", " ", "-r x.txt", " --index-url=x", "a\nb", "a\0"] {
            assert!(check_dependency(bad).is_err(), "{bad:?}");
        }
        assert!(check_dependency("torch>=2.4 ; python_version > '3.9'").is_ok());
    }

    #[test]
    fn pip_runs_inside_the_environment_and_uv_beside_it() {
        let python = Path::new("/usr/bin/python3");
        let steps = install(None, None).steps(python, Path::new("/j/venv"));
        assert_eq!(steps[0].program, python);
        assert_eq!(steps[1].program, Path::new("/j/venv/bin/python"));
        assert_eq!(steps[1].arguments.last().unwrap(), "rich");
        let steps = install(Some("/bin/uv"), Some("3.13")).steps(python, Path::new("/j/venv"));
        assert_eq!(steps[0].arguments, ["venv", "--python", "3.13", "/j/venv"]);
        assert_eq!(
            steps[1].arguments,
            ["pip", "install", "--python", "/j/venv/bin/python", "rich"]
        );
    }
}
