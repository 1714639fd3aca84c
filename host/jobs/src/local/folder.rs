//! The folder of one job: `spec.json`, `plan.json`, `script.py`, `state.json`, `log.jsonl`,
//! `lock`, and the request files `cancel` and `suspend`.
//!
//! The lock says who may write `state.json`: the supervisor holds it from before the folder
//! gets its name until its process is gone, however it went.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use ml_intern_exec::{ExecError, Isolation, View};
use rustix::fs::{FlockOperation, flock};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::install::Install;
use crate::{Job, JobError, Outbound, State};

/// The largest file of ours that is read whole. A specification holds a script of at most
/// [`MAX_SCRIPT_BYTES`](super::submit::MAX_SCRIPT_BYTES), which JSON may double.
const MAX_JSON_BYTES: u64 = 16 << 20;

/// What the supervisor needs to know beyond the specification.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Plan {
    /// Marks every process of the job; a later host finds survivors by it.
    pub(super) mark: String,
    pub(super) workspace: PathBuf,
    pub(super) path: Vec<PathBuf>,
    pub(super) python: PathBuf,
    pub(super) install: Option<Install>,
    /// Jobs that may run at once.
    pub(super) slots: u32,
    pub(super) memory_bytes: u64,
    /// As it was when the job was submitted: what the user changes later is for later jobs.
    #[serde(default)]
    pub(super) confinement: Confinement,
    pub(super) outbound: Option<Outbound>,
}

/// How a job is held: the level by its word, and what is seen.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Confinement {
    isolation: Option<String>,
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
    protected: Vec<PathBuf>,
    hidden: Vec<PathBuf>,
    home: Option<PathBuf>,
}

impl Confinement {
    pub(super) fn new(level: Isolation, view: &View) -> Self {
        Self {
            isolation: Some(level.as_str().to_owned()),
            read: view.read.clone(),
            write: view.write.clone(),
            protected: view.protected.clone(),
            hidden: view.hidden.clone(),
            home: view.home.clone(),
        }
    }

    pub(super) fn level(&self) -> Result<Isolation, JobError> {
        match &self.isolation {
            None => Ok(Isolation::None),
            Some(word) => word
                .parse()
                .map_err(|error: ExecError| JobError::InvalidInput(error.to_string())),
        }
    }

    pub(super) fn view(&self) -> View {
        View {
            read: self.read.clone(),
            write: self.write.clone(),
            protected: self.protected.clone(),
            hidden: self.hidden.clone(),
            home: self.home.clone(),
            tmp: None,
        }
    }
}

/// The content of `state.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Status {
    pub(super) state: State,
    pub(super) message: Option<String>,
    pub(super) created_ms: u64,
    pub(super) started_ms: Option<u64>,
    pub(super) finished_ms: Option<u64>,
    pub(super) exit_code: Option<i32>,
    pub(super) signal: Option<i32>,
}

impl Status {
    pub(super) fn queued() -> Self {
        Self {
            state: State::Queued,
            message: None,
            created_ms: now_ms(),
            started_ms: None,
            finished_ms: None,
            exit_code: None,
            signal: None,
        }
    }

    pub(super) fn finish(&mut self, state: State, message: Option<String>) {
        self.state = state;
        self.message = message;
        self.finished_ms = Some(now_ms());
    }
}

#[derive(Debug, Clone)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder of `id` below `root`, which need not exist. None when `id` is not of the
    /// form that we give out, so that no id reaches outside `root`.
    pub(super) fn of(root: &Path, id: &str) -> Option<Self> {
        is_id(id).then(|| Self {
            path: root.join(id),
        })
    }

    pub(super) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn id(&self) -> String {
        self.path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn exists(&self) -> bool {
        self.path.is_dir()
    }

    /// The state, or why it cannot be read.
    pub(super) fn status(&self) -> Result<Status, JobError> {
        read_json(&self.file("state.json"))
    }

    pub(super) fn set_status(&self, status: &Status) -> Result<(), JobError> {
        write_json(&self.file("state.json"), status)
    }

    pub(super) fn plan(&self) -> Result<Plan, JobError> {
        read_json(&self.file("plan.json"))
    }

    /// The job's lock, unless its supervisor lives.
    pub(super) fn try_lock(&self) -> Result<Option<File>, JobError> {
        try_lock(&self.file("lock"))
    }

    /// A status for a job whose own cannot be read.
    pub(super) fn damaged(&self, problem: &JobError) -> Status {
        let created_ms = fs::metadata(self.file("spec.json"))
            .and_then(|facts| facts.modified())
            .map_or(0, ms_since_epoch);
        Status {
            message: Some(format!("its state file is damaged: {}", explain(problem))),
            created_ms,
            ..Status::queued()
        }
    }

    pub(super) fn job(&self, status: Status) -> Job {
        Job {
            id: self.id(),
            state: status.state,
            message: status.message,
            flavor: Some(super::FLAVOR.to_owned()),
            url: None,
            created_ms: status.created_ms,
            started_ms: status.started_ms,
            finished_ms: status.finished_ms,
            cost_usd: Some(0.0),
        }
    }
}

/// An error with its cause, in one line.
pub(super) fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Opens a lock file, makes it if necessary, and takes it unless another process has it.
pub(super) fn try_lock(path: &Path) -> Result<Option<File>, JobError> {
    let failed = |source| JobError::Io {
        action: format!("lock `{}`", path.display()),
        source,
    };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(failed(error.into())),
    }
}

/// Replaces a file in one step, readable by its owner only. After a crash it holds the old
/// or the new content, never a part.
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), JobError> {
    let failed = |source| JobError::Io {
        action: format!("write `{}`", path.display()),
        source,
    };
    let bytes = serde_json::to_vec(value).map_err(|error| failed(error.into()))?;
    let fresh = path.with_extension(format!("{}.new", std::process::id()));
    let write = || -> io::Result<()> {
        let mut file = File::options()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    write().map_err(failed)
}

pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, JobError> {
    let failed = |source| JobError::Io {
        action: format!("read `{}`", path.display()),
        source,
    };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_JSON_BYTES).read_to_end(&mut bytes))
        .map_err(failed)?;
    serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))
}

/// Makes a folder for its owner only; scripts and logs may hold secrets.
pub(super) fn make_private(path: &Path) -> Result<(), JobError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(JobError::io(format!(
            "make the folder `{}`",
            path.display()
        )))
}

/// Whether `id` has the form `job-YYYYMMDD-xxxxxx`.
pub(super) fn is_id(id: &str) -> bool {
    let mut parts = id.split('-');
    let digits = |part: Option<&str>, count: usize, base: u32| {
        part.is_some_and(|part| {
            part.len() == count
                && part
                    .chars()
                    .all(|digit| digit.is_digit(base) && !digit.is_ascii_uppercase())
        })
    };
    parts.next() == Some("job")
        && digits(parts.next(), 8, 10)
        && digits(parts.next(), 6, 16)
        && parts.next().is_none()
}

/// A new id, with the date in UTC for the people who read it.
pub(super) fn fresh_id() -> Result<String, JobError> {
    let random = ml_intern_exec::random_hex(3).map_err(JobError::io("draw a random id"))?;
    let (year, month, day) = civil(now_ms() / 86_400_000);
    Ok(format!("job-{year:04}{month:02}{day:02}-{random}"))
}

pub(super) fn now_ms() -> u64 {
    ms_since_epoch(SystemTime::now())
}

fn ms_since_epoch(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| u64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}

/// Year, month and day of a number of days since 1970 in the Gregorian calendar.
fn civil(mut days: u64) -> (u64, u64, u64) {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_ids_name_a_folder() {
        assert!(is_id("job-20261123-7f3a9c"));
        assert!(is_id(&fresh_id().unwrap()));
        for id in [
            "",
            "job",
            "../job-20261123-7f3a9c",
            "job-20261123-7f3a9c/..",
            "job-20261123-7F3A9C",
            "job-20261123-7f3a9c-1",
            "job-2026112-7f3a9c",
            "job-٢٠٢٦١١٢٣-7f3a9c",
        ] {
            assert!(!is_id(id), "{id:?}");
        }
    }

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(11_017), (2000, 3, 1));
        assert_eq!(civil(20_780), (2026, 11, 23));
        assert_eq!(civil(20_818), (2026, 12, 31));
    }

    #[test]
    fn a_lock_has_one_holder() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let held = try_lock(&path).unwrap();
        assert!(held.is_some());
        assert!(try_lock(&path).unwrap().is_none());
        drop(held);
        assert!(try_lock(&path).unwrap().is_some());
    }

    #[test]
    fn a_torn_state_is_an_error_that_names_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::at(directory.path().to_owned());
        for content in ["", "{\"state\": \"run", "null", "{\"state\": \"flying\"}"] {
            fs::write(folder.file("state.json"), content).unwrap();
            let error = folder.status().unwrap_err();
            assert!(error.to_string().contains("state.json"), "{error}");
        }
        let status = Status::queued();
        folder.set_status(&status).unwrap();
        assert_eq!(folder.status().unwrap(), status);
    }
}
