//! Where a plugin is built: its folder, and how compilers are started in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ml_intern_exec::{Command, Ended, Limits, Outcome, run};
use ml_intern_manifest::PluginManifest;
use tokio_util::sync::CancellationToken;

use crate::error::Error;

/// What of the environment would be said to the compiler of the host's own code, or is refused by
/// `ml_intern_exec`.
const NOT_PASSED_ON: [&str; 7] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_TARGET_DIR",
    "RUSTC_WORKSPACE_WRAPPER",
    "CLIPPY_ARGS",
    "GOFLAGS",
];

/// Kept of what a compiler writes, beside what goes to the progress callback.
const KEPT_BYTES: usize = 1 << 20;

/// Lines that an error quotes.
const QUOTED_LINES: usize = 12;

/// How a build is done.
#[derive(Debug, Clone)]
pub struct Options {
    /// The environment of the compilers: `PATH`, `HOME`, proxies. Nothing else is inherited.
    pub environment: Vec<(String, String)>,
    /// Where the tool chains of Python and JavaScript are kept for the next build and for other
    /// plugins; the plugin's own `build/` where it is none.
    pub cache: Option<PathBuf>,
    /// Time of each program at most. The first build of a plugin in Rust or Go fetches and compiles
    /// what it depends on.
    pub time_limit: Duration,
    /// Whether the folder's SDK is replaced by the one that this program carries.
    pub renew_sdk: bool,
    /// Ends the build and every program of it.
    pub cancel: CancellationToken,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            environment: Vec::new(),
            cache: None,
            time_limit: Duration::from_secs(20 * 60),
            renew_sdk: false,
            cancel: CancellationToken::new(),
        }
    }
}

/// What a build tells while it runs.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    /// A step begins, such as "compiling with clang 14".
    Step(&'a str),
    /// A line that a compiler wrote.
    Line(&'a str),
}

/// A plugin that is being built.
pub(crate) struct Workshop<'a> {
    /// The plugin's, absolute.
    pub(crate) folder: PathBuf,
    /// `build/` in it; it exists.
    pub(crate) build: PathBuf,
    /// The name in its id.
    pub(crate) name: String,
    /// Whether `plugin.toml` asks for the network.
    pub(crate) requests_http: bool,
    pub(crate) options: &'a Options,
    progress: &'a mut (dyn FnMut(Progress<'_>) + Send),
}

/// A program of a tool chain, with its arguments.
pub(crate) struct Program {
    /// A name, or an absolute path.
    pub(crate) program: String,
    pub(crate) arguments: Vec<String>,
    /// Beside or instead of those of [`Options::environment`].
    pub(crate) env: Vec<(String, String)>,
    /// Where it runs; the plugin's folder where it is none.
    pub(crate) cwd: Option<PathBuf>,
    /// Whether its lines go to the progress callback.
    pub(crate) shown: bool,
}

impl Program {
    pub(crate) fn new<S: Into<String>>(
        program: impl Into<String>,
        arguments: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            cwd: None,
            shown: true,
        }
    }

    /// For a question such as `--version`, whose answer nobody wants to read.
    pub(crate) fn quiet(mut self) -> Self {
        self.shown = false;
        self
    }

    pub(crate) fn arg(mut self, value: impl AsRef<Path>) -> Self {
        self.arguments.push(value.as_ref().display().to_string());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }
}

impl<'a> Workshop<'a> {
    pub(crate) fn new(
        folder: &Path,
        manifest: &PluginManifest,
        options: &'a Options,
        progress: &'a mut (dyn FnMut(Progress<'_>) + Send),
    ) -> Result<Self, Error> {
        let folder = folder.canonicalize().map_err(Error::file("read", folder))?;
        let build = folder.join("build");
        fs::create_dir_all(&build).map_err(Error::file("write", &build))?;
        Ok(Self {
            folder,
            build,
            name: manifest.plugin.id.name().to_owned(),
            requests_http: !manifest.request.http.is_empty(),
            options,
            progress,
        })
    }

    /// A folder in `build/` with nothing in it.
    pub(crate) fn fresh(&self, name: &str) -> Result<PathBuf, Error> {
        let folder = self.build.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(Error::file("remove", &folder))?;
        }
        fs::create_dir_all(&folder).map_err(Error::file("write", &folder))?;
        Ok(folder)
    }

    pub(crate) fn step(&mut self, text: &str) {
        (self.progress)(Progress::Step(text));
    }

    /// A value of the environment that the build was given.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        let mut all = self.options.environment.iter();
        all.find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The absolute path of an installed program; none where there is none.
    pub(crate) fn find(&self, program: &str) -> Option<PathBuf> {
        ml_intern_exec::resolve(program, &self.path()).ok()
    }

    /// Runs a program to its end. Its exit code is the caller's matter.
    ///
    /// # Errors
    /// It does not start, the time is over, or the build was cancelled.
    pub(crate) async fn start(&mut self, program: Program) -> Result<Outcome, Error> {
        let name = short(&program.program);
        let cwd = program.cwd.unwrap_or_else(|| self.folder.clone());
        let mut command = Command::new(program.program, cwd);
        command.arguments = program.arguments;
        command.path = self.path();
        command.env = self.environment();
        command.env.extend(program.env);
        command.keep_children = false;
        command.max_output_bytes = KEPT_BYTES;
        command.limits = Limits {
            wall: self.options.time_limit,
            ..Limits::default()
        };
        let progress = &mut *self.progress;
        let shown = program.shown;
        let outcome = run(command, &self.options.cancel, move |_, line| {
            if shown {
                progress(Progress::Line(line));
            }
        })
        .await?;
        match outcome.ended {
            Ended::Itself => Ok(outcome),
            Ended::Cancelled => Err(Error::Cancelled),
            Ended::TimedOut => Err(Error::TimedOut {
                program: name,
                seconds: self.options.time_limit.as_secs(),
            }),
            Ended::TooManyProcesses => Err(Error::Failed {
                program: name,
                how: ": it started too many processes".to_owned(),
            }),
        }
    }

    /// Runs a program that has to succeed; the answer is its standard output.
    ///
    /// # Errors
    /// As [`start`](Self::start), and [`Error::Failed`] with the last lines that it wrote.
    pub(crate) async fn run(&mut self, program: Program) -> Result<String, Error> {
        let name = short(&program.program);
        let outcome = self.start(program).await?;
        if outcome.exit_code == Some(0) {
            return Ok(String::from_utf8_lossy(&outcome.stdout).into_owned());
        }
        Err(Error::Failed {
            program: name,
            how: complaint(&outcome),
        })
    }

    /// The folders of `PATH` that a program may be looked for in.
    fn path(&self) -> Vec<PathBuf> {
        let path = self.variable("PATH").unwrap_or_default();
        let folders = std::env::split_paths(path);
        // Relative ones mean something else in every folder.
        folders.filter(|folder| folder.is_absolute()).collect()
    }

    fn environment(&self) -> Vec<(String, String)> {
        let all = self.options.environment.iter();
        all.filter(|(name, _)| {
            !NOT_PASSED_ON.contains(&name.as_str()) && ml_intern_exec::check_env_name(name).is_ok()
        })
        .cloned()
        .collect()
    }
}

fn short(program: &str) -> String {
    let name = Path::new(program).file_name();
    name.map_or(program.to_owned(), |name| {
        name.to_string_lossy().into_owned()
    })
}

fn complaint(outcome: &Outcome) -> String {
    let ended = match (outcome.exit_code, outcome.signal) {
        (Some(code), _) => format!(" with exit code {code}"),
        (None, Some(signal)) => format!(", ended by signal {signal}"),
        (None, None) => String::new(),
    };
    let told = [&outcome.stderr, &outcome.stdout]
        .into_iter()
        .find(|stream| !stream.is_empty());
    let Some(told) = told else {
        return ended;
    };
    let told = String::from_utf8_lossy(told);
    let lines: Vec<&str> = told.trim_end().lines().collect();
    let from = lines.len().saturating_sub(QUOTED_LINES);
    format!("{ended}:\n{}", lines[from..].join("\n"))
}

#[cfg(test)]
mod tests;
