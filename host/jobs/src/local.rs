//! Jobs as processes of this machine that outlive the host.
//!
//! `<root>/<id>/` holds everything about one job (see `folder.rs`), `<root>/keys/` the
//! idempotency keys, `<root>/slots/` one lock for each job that may run at once, and
//! `<root>/cache/` downloaded packages. A host that starts later finds all jobs there; a
//! job whose supervisor is gone is settled as failed by whoever looks first, and whatever
//! it left running is ended.

mod folder;
mod install;
mod log;
mod metadata;
mod python;
mod submit;
mod supervise;

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ml_intern_exec::{GRACE, Isolation, Support, Tree, View, toolchains};

use crate::{Backend, Flavor, Job, JobError, LogLine, Spec, State};
use folder::{Confinement, Folder, Status, explain, is_id, make_private};
use log::Position;
use supervise::CANCEL_PATIENCE;
pub use supervise::{ServeProxy, supervise};

/// The one flavor: this machine.
const FLAVOR: &str = "local";

/// What is said of a job whose supervisor is not there any more.
const SUPERVISOR_GONE: &str = "its supervisor ended unexpectedly";

/// How often a waiting call looks at the files.
const POLL: Duration = Duration::from_millis(50);

/// Read positions remembered for followers of logs.
const MAX_POSITIONS: usize = 256;

/// Lines of one answer, whatever the caller asks for.
const MAX_LINES: u32 = 10_000;

/// What the local back end is made of. The caller fills it from its configuration; nothing
/// here reads the environment.
#[derive(Clone)]
pub struct LocalOptions {
    /// The folder of all jobs, absolute; made if necessary.
    pub root: PathBuf,
    /// The program, as an absolute path, and its first arguments, that end in
    /// [`supervise`] with the folder appended as the last argument.
    pub supervisor: Vec<OsString>,
    /// Where scripts run, absolute.
    pub workspace: PathBuf,
    /// The interpreter to prefer; otherwise `python3` is looked up.
    pub python: Option<PathBuf>,
    /// Directories of programs searched before the system's: pyenv, conda.
    pub path: Vec<PathBuf>,
    /// Variables of every job, below those of its specification.
    pub env: Vec<(String, String)>,
    /// Credential name → variables for the jobs that ask for it. Never written to disk.
    pub credentials: BTreeMap<String, Vec<(String, String)>>,
    /// Jobs that may run at once; more wait.
    pub running: u32,
    /// Writable memory of each process of a job; of all together where they are isolated and the
    /// machine lets us bound that.
    pub memory_bytes: u64,
    /// Whether jobs are isolated, as strongly as this machine can. Where it cannot, none is
    /// started. Without this a job has the rights of the user.
    pub isolated: bool,
    /// What isolated jobs see beside the workspace, tool chains of `path` and their own files.
    pub view: View,
}

impl LocalOptions {
    /// Options with one running job for each processor, four at most (a training run is
    /// parallel in itself), and all memory.
    pub fn new(
        root: impl Into<PathBuf>,
        supervisor: Vec<OsString>,
        workspace: impl Into<PathBuf>,
    ) -> Self {
        Self {
            root: root.into(),
            supervisor,
            workspace: workspace.into(),
            python: None,
            path: Vec::new(),
            env: Vec::new(),
            credentials: BTreeMap::new(),
            running: ml_intern_exec::cpus().min(4),
            memory_bytes: ml_intern_exec::memory_bytes(),
            isolated: false,
            view: View::default(),
        }
    }
}

/// The local back end. Any number of them, in any number of processes, may share a root.
pub struct LocalBackend {
    options: LocalOptions,
    positions: Mutex<HashMap<String, Position>>,
}

impl LocalBackend {
    /// Makes the folder of all jobs.
    ///
    /// # Errors
    /// [`JobError::InvalidInput`] for a path that is not absolute; [`JobError::Io`] when the
    /// folder cannot be made.
    pub fn new(options: LocalOptions) -> Result<Self, JobError> {
        for path in [&options.root, &options.workspace] {
            if !path.is_absolute() {
                return Err(JobError::InvalidInput(format!(
                    "a folder of the local back end must be absolute, not `{}`",
                    path.display()
                )));
            }
        }
        make_private(&options.root)?;
        Ok(Self {
            options,
            positions: Mutex::default(),
        })
    }

    /// How a job is held, and what it sees.
    async fn confinement(&self) -> Result<Confinement, JobError> {
        if !self.options.isolated {
            return Ok(Confinement::default());
        }
        let support = Support::of_this_machine().await;
        if support.level == Isolation::None {
            return Err(JobError::Unsupported(format!(
                "this machine cannot isolate jobs ({}); accept that they have your rights in ml-intern.toml with: [programs] isolation = \"none\"",
                support.missing.join("; ")
            )));
        }
        let options = &self.options;
        let mut view = options.view.clone();
        view.write.push(options.workspace.clone());
        let tools = toolchains(&options.path, view.home.as_deref(), &view.write);
        view.read.extend(tools);
        Ok(Confinement::new(support.level, &view))
    }

    fn folder(&self, id: &str) -> Result<Folder, JobError> {
        Folder::of(&self.options.root, id)
            .filter(Folder::exists)
            .ok_or_else(|| JobError::NotFound(format!("no local job `{id}`")))
    }

    fn folders(&self) -> Result<Vec<Folder>, JobError> {
        let entries =
            std::fs::read_dir(&self.options.root).map_err(JobError::io("list the local jobs"))?;
        let mut folders = Vec::new();
        for entry in entries {
            let entry = entry.map_err(JobError::io("list the local jobs"))?;
            if entry.file_name().to_str().is_some_and(is_id) {
                folders.push(Folder::at(entry.path()));
            }
        }
        Ok(folders)
    }

    async fn unfinished(&self) -> Result<usize, JobError> {
        let mut count = 0;
        for folder in self.folders()? {
            count += usize::from(!self.settle(&folder).await?.state.is_final());
        }
        Ok(count)
    }

    /// The job as it is, after recording the end of one whose supervisor is gone.
    async fn settle(&self, folder: &Folder) -> Result<Job, JobError> {
        let seen = folder.status();
        if let Ok(status) = &seen
            && status.state.is_final()
        {
            return Ok(folder.job(status.clone()));
        }
        let Some(_lock) = folder.try_lock()? else {
            // Its supervisor lives, or another host is settling it.
            return Ok(folder.job(match seen {
                Ok(status) => status,
                Err(error) => Status {
                    state: State::Running,
                    ..folder.damaged(&error)
                },
            }));
        };
        // The supervisor may have written its last word between the look and the lock.
        let (mut status, message) = match folder.status() {
            Ok(status) if status.state.is_final() => return Ok(folder.job(status)),
            Ok(status) => (status, SUPERVISOR_GONE.to_owned()),
            Err(error) => {
                let status = folder.damaged(&error);
                let damage = status.message.clone().unwrap_or_default();
                (status, damage)
            }
        };
        let left = match folder.plan() {
            Ok(plan) => Tree::marked(plan.mark).end(GRACE).await,
            // Without the mark nothing can be found; the message below says what is damaged.
            Err(_) => 0,
        };
        let message = match left {
            0 => message,
            count => format!("{message}; {count} of its processes could not be ended"),
        };
        status.finish(State::Failed, Some(message));
        folder.set_status(&status)?;
        Ok(folder.job(status))
    }

    /// Looks again and again until `done` or the time is over; returns the last look.
    async fn until(
        &self,
        folder: &Folder,
        timeout: Duration,
        done: impl Fn(State) -> bool + Send + Sync,
    ) -> Result<Job, JobError> {
        let until = Instant::now() + timeout;
        loop {
            let job = self.settle(folder).await?;
            let now = Instant::now();
            if done(job.state) || now >= until {
                return Ok(job);
            }
            tokio::time::sleep(POLL.min(until - now)).await;
        }
    }

    fn position(&self, id: &str) -> Position {
        let positions = self
            .positions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        positions.get(id).copied().unwrap_or_default()
    }

    fn remember(&self, id: &str, position: Position) {
        let mut positions = self
            .positions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if positions.len() >= MAX_POSITIONS {
            positions.clear();
        }
        positions.insert(id.to_owned(), position);
    }

    /// Asks the supervisor by a file and waits until the job is in the state `wanted`.
    async fn request(
        &self,
        folder: &Folder,
        wanted: State,
        ask: impl FnOnce() -> std::io::Result<()>,
    ) -> Result<Job, JobError> {
        ask().map_err(JobError::io(format!("ask for `{}`", wanted.as_str())))?;
        let job = self
            .until(folder, CANCEL_PATIENCE, |state| {
                state == wanted || state.is_final()
            })
            .await?;
        if job.state == wanted || job.state.is_final() {
            return Ok(job);
        }
        Err(JobError::Conflict(format!(
            "job `{}` is still {} after {} seconds",
            job.id,
            job.state.as_str(),
            CANCEL_PATIENCE.as_secs()
        )))
    }
}

#[async_trait]
impl Backend for LocalBackend {
    async fn flavors(&self) -> Result<Vec<Flavor>, JobError> {
        let memory_mib = ml_intern_exec::memory_bytes() >> 20;
        Ok(vec![Flavor {
            name: FLAVOR.to_owned(),
            title: "this machine".to_owned(),
            cpus: ml_intern_exec::cpus(),
            memory_mib: u32::try_from(memory_mib).unwrap_or(u32::MAX),
            accelerator: None,
            accelerators: 0,
            accelerator_memory_mib: 0,
            hourly_usd: Some(0.0),
        }])
    }

    async fn submit(&self, spec: Spec) -> Result<Job, JobError> {
        submit::submit(self, spec).await
    }

    async fn get(&self, id: &str) -> Result<Job, JobError> {
        self.settle(&self.folder(id)?).await
    }

    /// A job whose files cannot even be locked is listed as failed with the reason.
    async fn list(&self, limit: u32) -> Result<Vec<Job>, JobError> {
        let mut jobs = Vec::new();
        for folder in self.folders()? {
            jobs.push(match self.settle(&folder).await {
                Ok(job) => job,
                Err(error) => folder.job(Status {
                    state: State::Failed,
                    message: Some(explain(&error)),
                    ..folder.damaged(&error)
                }),
            });
        }
        jobs.sort_by(|left, right| (right.created_ms, &right.id).cmp(&(left.created_ms, &left.id)));
        jobs.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(jobs)
    }

    async fn logs(
        &self,
        id: &str,
        after: u32,
        limit: u32,
        wait: Duration,
    ) -> Result<Vec<LogLine>, JobError> {
        let folder = self.folder(id)?;
        let limit = usize::try_from(limit.min(MAX_LINES)).unwrap_or(usize::MAX);
        let until = Instant::now() + wait;
        loop {
            // Asked before reading: the last lines are written before the last state.
            let over = self.settle(&folder).await?.state.is_final();
            let (lines, position) =
                log::read_after(&folder.file("log.jsonl"), after, limit, self.position(id))
                    .map_err(JobError::io(format!("read the log of `{id}`")))?;
            self.remember(id, position);
            let now = Instant::now();
            if !lines.is_empty() || limit == 0 || over || now >= until {
                return Ok(lines);
            }
            tokio::time::sleep(POLL.min(until - now)).await;
        }
    }

    async fn wait(&self, id: &str, timeout: Duration) -> Result<Job, JobError> {
        self.until(&self.folder(id)?, timeout, State::is_final)
            .await
    }

    async fn cancel(&self, id: &str) -> Result<Job, JobError> {
        let folder = self.folder(id)?;
        let job = self.settle(&folder).await?;
        if job.state.is_final() {
            return Ok(job);
        }
        let file = folder.file("cancel");
        self.request(&folder, State::Cancelled, || std::fs::write(file, ""))
            .await
    }

    /// Stops every process of a running job. Its timeout goes on counting.
    async fn suspend(&self, id: &str) -> Result<Job, JobError> {
        if !cfg!(target_os = "linux") {
            return Err(JobError::Unsupported(
                "only on Linux can a local job be suspended; cancel it instead".to_owned(),
            ));
        }
        let folder = self.folder(id)?;
        let job = self.settle(&folder).await?;
        match job.state {
            State::Suspended => Ok(job),
            State::Running => {
                let file = folder.file("suspend");
                self.request(&folder, State::Suspended, || std::fs::write(file, ""))
                    .await
            }
            other => Err(JobError::Conflict(format!(
                "job `{id}` is {}; only a running job can be suspended",
                other.as_str()
            ))),
        }
    }

    async fn resume(&self, id: &str) -> Result<Job, JobError> {
        let folder = self.folder(id)?;
        let job = self.settle(&folder).await?;
        match job.state {
            State::Running => Ok(job),
            State::Suspended => {
                let file = folder.file("suspend");
                self.request(&folder, State::Running, || std::fs::remove_file(file))
                    .await
            }
            other => Err(JobError::Conflict(format!(
                "job `{id}` is {}; only a suspended job can be resumed",
                other.as_str()
            ))),
        }
    }
}
