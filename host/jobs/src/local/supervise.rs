//! The process beside a job: waits for a slot, runs it, writes its log and its state.
//!
//! It is the only writer of `state.json` while it lives. Others ask by files in the folder:
//! `cancel` ends the job, `suspend` stops it for as long as the file is there.

use std::any::Any;
use std::fs::File;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ml_intern_exec::{
    Command, Ended, GRACE, Isolation, Limits, Network, Outcome, Room, Signal, Tree, View,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::folder::{Folder, Plan, Status, explain, make_private, now_ms, read_json, try_lock};
use super::install::{Step, interpreter};
use super::log::{LogWriter, MAX_LOG_BYTES};
use super::python::from_exec;
use crate::{JobError, Spec, State, Workload};

/// Carries the job's environment, credentials included, as a JSON list of pairs. An
/// environment is readable by the same user only, as the job's own is, and is gone with the
/// process; a file would stay.
pub(super) const ENVIRONMENT_VARIABLE: &str = "ML_INTERN_JOB_ENV";

/// How often request files and free slots are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Serves the way out of a job's network: called with the rules that [`Outbound::rules`] holds, a
/// listener, and the job's folder, within a tokio runtime. What it returns is dropped when the job
/// is over.
///
/// [`Outbound::rules`]: crate::Outbound::rules
pub type ServeProxy = fn(&str, TcpListener, &Path) -> Box<dyn Any + Send + Sync>;

/// Supervises the job in `dir` to its end. Returns the exit code for the process: 0 when the
/// job's state was recorded, whatever it is.
///
/// Called by a process that does nothing else: it becomes the parent of all orphans below it
/// and reacts to SIGTERM and SIGINT by cancelling the job.
pub fn supervise(dir: &Path, serve: ServeProxy) -> i32 {
    // A thread of its own, because the caller may be inside a tokio runtime already.
    let result = std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(JobError::io("start the supervisor"))?
                .block_on(supervise_to_end(dir, serve))
        });
        worker.join()
    });
    let problem = match result {
        Ok(Ok(())) => return 0,
        Ok(Err(error)) => explain(&error),
        // The panic's own message is on standard error already.
        Err(_) => "the supervisor panicked".to_owned(),
    };
    // Standard error is `supervisor.log`; there is nobody else to tell.
    writeln!(std::io::stderr(), "{problem}").unwrap_or_default();
    1
}

async fn supervise_to_end(dir: &Path, serve: ServeProxy) -> Result<(), JobError> {
    let folder = Folder::at(dir.to_owned());
    let _lock = own_lock(&folder)?;
    let mut status = folder.status()?;
    if status.state.is_final() {
        return Err(JobError::Conflict("the job has ended already".to_owned()));
    }
    ml_intern_exec::become_subreaper().map_err(JobError::io("become a subreaper"))?;
    let prepared = Work::load(&folder, serve).await;
    let work = match prepared {
        Ok(work) => work,
        Err(error) => {
            status.finish(State::Failed, Some(explain(&error)));
            return folder.set_status(&status);
        }
    };
    let cancel = CancellationToken::new();
    let shared = Mutex::new(status);
    let watcher = watch(&folder, &work.plan.mark, &cancel, &shared);
    tokio::select! {
        ended = run(&folder, &work, &cancel, &shared) => ended,
        failed = watcher => failed,
    }?;
    Ok(())
}

/// The job's lock: inherited as standard input from the submitter, or taken now.
fn own_lock(folder: &Folder) -> Result<Option<File>, JobError> {
    use std::os::fd::AsFd as _;
    let path = folder.file("lock");
    let wanted = std::fs::metadata(&path).map_err(JobError::io("find the job's lock"))?;
    // Looked at through a copy; the lock belongs to the open file and stays with standard input.
    let inherited = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .and_then(|copy| File::from(copy).metadata());
    if let Ok(inherited) = inherited
        && (inherited.dev(), inherited.ino()) == (wanted.dev(), wanted.ino())
    {
        return Ok(None);
    }
    match try_lock(&path)? {
        Some(lock) => Ok(Some(lock)),
        None => Err(JobError::Conflict(
            "another supervisor runs this job".to_owned(),
        )),
    }
}

/// Everything about the job that does not change.
struct Work {
    spec: Spec,
    plan: Plan,
    env: Vec<(String, String)>,
    isolation: Isolation,
    /// The files of this job, beside what the plan shows.
    own: Own,
    room: Option<Arc<Room>>,
}

/// Files and folders of one job that its programs see.
struct Own {
    script: PathBuf,
    venv: PathBuf,
    tmp: PathBuf,
}

impl Work {
    async fn load(folder: &Folder, serve: ServeProxy) -> Result<Self, JobError> {
        let env = std::env::var(ENVIRONMENT_VARIABLE)
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .ok_or_else(|| {
                JobError::InvalidInput(format!(
                    "`{ENVIRONMENT_VARIABLE}` does not hold the job's environment"
                ))
            })?;
        let plan = folder.plan()?;
        let isolation = plan.confinement.level()?;
        let own = Own {
            script: folder.file("script.py"),
            venv: folder.file("venv"),
            tmp: folder.file("tmp"),
        };
        make_private(&own.tmp)?;
        if let Some(install) = &plan.install {
            make_private(&own.venv)?;
            make_private(&install.cache)?;
        }
        let room = match isolation {
            Isolation::Full => Some(open_room(&plan, folder, serve).await?),
            _ => None,
        };
        Ok(Self {
            spec: read_json(&folder.file("spec.json"))?,
            plan,
            env,
            isolation,
            own,
            room,
        })
    }

    /// What a program of the job sees; one that installs packages also their cache.
    fn view(&self, installs: bool) -> View {
        let mut view = self.plan.confinement.view();
        view.read.push(self.own.script.clone());
        view.tmp = Some(self.own.tmp.clone());
        if let Some(install) = &self.plan.install {
            view.write.push(self.own.venv.clone());
            view.write.extend(installs.then(|| install.cache.clone()));
        }
        view
    }
}

/// The job's network: its proxy, if it was granted anything, and nobody else.
async fn open_room(plan: &Plan, folder: &Folder, serve: ServeProxy) -> Result<Arc<Room>, JobError> {
    let network = plan.outbound.clone().map(|outbound| {
        let path = folder.path().to_owned();
        Network {
            serve: Box::new(move |listener| serve(&outbound.rules, listener, &path)),
            direct: outbound.direct,
        }
    });
    let room = Room::open(network).await.map_err(from_exec)?;
    Ok(Arc::new(room))
}

/// Applies what others ask for; ends only when that fails.
async fn watch(
    folder: &Folder,
    mark: &str,
    cancel: &CancellationToken,
    status: &Mutex<Status>,
) -> Result<(), JobError> {
    let mut terminate =
        signal(SignalKind::terminate()).map_err(JobError::io("wait for SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(JobError::io("wait for SIGINT"))?;
    let tree = Tree::own_descendants(mark);
    loop {
        tokio::select! {
            _ = terminate.recv() => cancel.cancel(),
            _ = interrupt.recv() => cancel.cancel(),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if cancel.is_cancelled() || folder.file("cancel").exists() {
            cancel.cancel();
            // Stopping processes again would only get in the way of ending them.
            return std::future::pending().await;
        }
        let asked = folder.file("suspend").exists();
        let state = lock(status).state;
        if asked && matches!(state, State::Running | State::Suspended) {
            // Again each time: a process that was being forked may have escaped the last one.
            tree.signal(Signal::STOP);
        }
        if asked && state == State::Running {
            set_state(folder, status, State::Suspended)?;
        } else if !asked && state == State::Suspended {
            tree.signal(Signal::CONT);
            set_state(folder, status, State::Running)?;
        }
    }
}

/// No panic happens while the lock is held, so a poisoned one is as good.
fn lock(status: &Mutex<Status>) -> std::sync::MutexGuard<'_, Status> {
    status
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn set_state(folder: &Folder, status: &Mutex<Status>, state: State) -> Result<(), JobError> {
    let mut status = lock(status);
    status.state = state;
    folder.set_status(&status)
}

async fn run(
    folder: &Folder,
    work: &Work,
    cancel: &CancellationToken,
    status: &Mutex<Status>,
) -> Result<(), JobError> {
    let slot = tokio::select! {
        slot = slot(folder, work.plan.slots) => Some(slot?),
        () = cancel.cancelled() => None,
    };
    let Some(_slot) = slot else {
        lock(status).finish(State::Cancelled, Some("cancelled while queued".to_owned()));
        return folder.set_status(&lock(status));
    };
    {
        let mut status = lock(status);
        status.state = State::Running;
        status.started_ms = Some(now_ms());
        folder.set_status(&status)?;
    }
    let mut log = LogWriter::create(&folder.file("log.jsonl"), MAX_LOG_BYTES)
        .map_err(JobError::io("make the job's log"))?;
    let verdict = steps(work, cancel, &mut log).await;
    // Temporary files may be larger than everything else; what cannot be removed stays.
    std::fs::remove_dir_all(&work.own.tmp).unwrap_or_default();
    let complete = log.finish();
    let mut status = lock(status);
    match verdict {
        Ok(verdict) => {
            status.exit_code = verdict.exit_code;
            status.signal = verdict.signal;
            status.finish(verdict.state, verdict.message);
        }
        Err(error) => status.finish(State::Failed, Some(explain(&error))),
    }
    if !complete {
        let text = status.message.take().unwrap_or_default();
        let note = "its log is incomplete because writing it failed";
        status.message = Some(if text.is_empty() {
            note.to_owned()
        } else {
            format!("{text}; {note}")
        });
    }
    folder.set_status(&status)
}

/// Waits for one of the files that stand for running jobs.
async fn slot(folder: &Folder, count: u32) -> Result<File, JobError> {
    let root = folder.path().parent().unwrap_or(folder.path());
    let slots = root.join("slots");
    make_private(&slots)?;
    loop {
        for number in 0..count.max(1) {
            if let Some(held) = try_lock(&slots.join(number.to_string()))? {
                return Ok(held);
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// How the job ended.
struct Verdict {
    state: State,
    message: Option<String>,
    exit_code: Option<i32>,
    signal: Option<i32>,
}

/// Installs what the script needs, then runs it.
async fn steps(
    work: &Work,
    cancel: &CancellationToken,
    log: &mut LogWriter,
) -> Result<Verdict, JobError> {
    let Workload::Script(script) = &work.spec.workload else {
        return Err(JobError::Unsupported("not a script".to_owned()));
    };
    let timeout = Duration::from_secs(work.spec.timeout_seconds.into());
    let deadline = Instant::now() + timeout;
    let venv = work.own.venv.clone();
    let mut python = work.plan.python.clone();
    let mut path = work.plan.path.clone();
    let mut env = work.env.clone();
    if let Some(install) = &work.plan.install {
        let mut quiet = install.env();
        quiet.extend(work.env.iter().cloned());
        for step in install.steps(&python, &venv) {
            log.push(&format!("[{}]", step.title));
            let mut command = command(work, &step.program, step.arguments.clone(), &quiet, &path);
            command.view = work.view(true);
            let outcome = execute(command, deadline, cancel, log).await?;
            if let Some(verdict) = failure(&outcome, timeout, Some(&step)) {
                return Ok(verdict);
            }
        }
        python = interpreter(&venv);
        path.insert(0, venv.join("bin"));
        env.push((
            "VIRTUAL_ENV".to_owned(),
            venv.to_string_lossy().into_owned(),
        ));
    }
    let mut arguments = vec![work.own.script.to_string_lossy().into_owned()];
    arguments.extend(script.arguments.iter().cloned());
    let command = command(work, &python, arguments, &env, &path);
    let outcome = execute(command, deadline, cancel, log).await?;
    Ok(failure(&outcome, timeout, None).unwrap_or(Verdict {
        state: State::Succeeded,
        message: None,
        exit_code: outcome.exit_code,
        signal: None,
    }))
}

fn command(
    work: &Work,
    program: &Path,
    arguments: Vec<String>,
    env: &[(String, String)],
    path: &[std::path::PathBuf],
) -> Command {
    let mut command = Command::new(program.to_string_lossy(), &work.plan.workspace);
    command.arguments = arguments;
    command.env = env.to_vec();
    command.path = path.to_vec();
    command.mark = Some(work.plan.mark.clone());
    command.subreaper = true;
    command.keep_children = false;
    // The log has it all; nothing needs to be kept here.
    command.max_output_bytes = 0;
    command.limits.memory_bytes = work.plan.memory_bytes;
    command.isolation = work.isolation;
    command.view = work.view(false);
    command.room.clone_from(&work.room);
    command
}

async fn execute(
    mut command: Command,
    deadline: Instant,
    cancel: &CancellationToken,
    log: &mut LogWriter,
) -> Result<Outcome, JobError> {
    command.limits = Limits {
        wall: deadline.saturating_duration_since(Instant::now()),
        // The wall limit holds; a job may use all processors until then.
        cpu: Duration::from_secs(365 * 24 * 3600),
        ..command.limits
    };
    let outcome = ml_intern_exec::run(command, cancel, |_, line| log.push(line))
        .await
        .map_err(from_exec)?;
    // What the program left behind, also what it had forked away, ends with it.
    if outcome.survivors > 0 {
        log.push(&format!(
            "[{} processes could not be ended]",
            outcome.survivors
        ));
    }
    Ok(outcome)
}

/// The verdict on a run that did not end well.
fn failure(outcome: &Outcome, timeout: Duration, step: Option<&Step>) -> Option<Verdict> {
    let subject = step.map_or("the script", |step| step.title);
    let (state, message) = match (outcome.ended, outcome.exit_code, outcome.signal) {
        (Ended::Itself, Some(0), _) => return None,
        (Ended::Cancelled, ..) => (State::Cancelled, None),
        (Ended::TimedOut, ..) => (
            State::TimedOut,
            Some(format!("ran longer than its {} seconds", timeout.as_secs())),
        ),
        (Ended::TooManyProcesses, ..) => (
            State::Failed,
            Some("killed because it had too many processes".to_owned()),
        ),
        (Ended::Itself, Some(code), _) => {
            let hint = step.map_or(String::new(), |step| format!("; {}", step.hint));
            (
                State::Failed,
                Some(format!("{subject} ended with exit code {code}{hint}")),
            )
        }
        (Ended::Itself, None, signal) => {
            let signal = signal.unwrap_or(0);
            let hint = if signal == Signal::KILL.as_raw() {
                ", as the kernel does when memory runs out"
            } else {
                ""
            };
            (
                State::Failed,
                Some(format!("{subject} was killed by signal {signal}{hint}")),
            )
        }
    };
    Some(Verdict {
        state,
        message,
        exit_code: outcome.exit_code,
        signal: outcome.signal,
    })
}

/// How long a cancelled job may take to end: the grace of its tree, killing, and looking.
pub(super) const CANCEL_PATIENCE: Duration = Duration::from_secs(GRACE.as_secs() + 8);
