//! Running a command to its end: read, watch the clock, and leave nothing behind.

use std::future::pending;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use crate::kill::{GRACE, Tree};
use crate::output::{Capture, Lines, StreamKind};
use crate::spawn::{Process, spawn};
use crate::{Command, ExecError, Isolation, machine};

/// After the program ended, its pipes are read until they are silent this long: what it
/// wrote is in the pipe already, and a background child may hold the other end for ever.
const DRAIN_SILENCE: Duration = Duration::from_millis(50);

/// The end of that, if a background child keeps talking.
const DRAIN_AT_MOST: Duration = Duration::from_secs(1);

/// How often the size of the tree is checked. The kernel's own limit exempts root and counts
/// the user's other programs; a look costs a few milliseconds.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// When a tree is put into a control group: most commands are over by then, and what grows large
/// takes longer.
#[cfg(target_os = "linux")]
const GROUP_AFTER: Duration = Duration::from_millis(20);

/// How long dropping an unfinished run may block while its tree is killed.
const DROP_PATIENCE: Duration = Duration::from_millis(500);

/// Why a run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The program ended by itself, or by a signal that was not ours.
    Itself,
    /// [`Limits::wall`](crate::Limits::wall) was over.
    TimedOut,
    Cancelled,
    /// The tree had more than [`Limits::processes`](crate::Limits::processes) processes.
    TooManyProcesses,
}

/// What came of a run, whatever ended it.
#[derive(Debug)]
pub struct Outcome {
    /// None when a signal ended the program.
    pub exit_code: Option<i32>,
    /// The signal that ended the program.
    pub signal: Option<i32>,
    /// The first and the last half of `max_output_bytes`, joined; the cut, if there is one,
    /// is in the middle.
    pub stdout: Vec<u8>,
    /// Like `stdout`.
    pub stderr: Vec<u8>,
    /// Whether a part of either stream is missing.
    pub truncated: bool,
    pub ended: Ended,
    /// Holds both streams from their beginning, in the order they were read, when something
    /// was cut and the command named a directory.
    pub spill: Option<PathBuf>,
    /// From start to the end of the whole tree.
    pub wall: Duration,
    /// Processes of the tree that could not be ended; 0 unless one hangs in the kernel.
    pub survivors: usize,
}

impl Outcome {
    pub fn timed_out(&self) -> bool {
        self.ended == Ended::TimedOut
    }
}

/// Runs a command to its end and hands each line of output to `on_line` as it comes (lossy
/// UTF-8, at most [`LINE_BYTES`](crate::LINE_BYTES); `\r` ends a line too).
///
/// On a timeout or when `cancel` fires, the whole tree gets SIGTERM, [`GRACE`] to end, then
/// SIGKILL; the outcome holds the output so far. Dropping the future kills the tree at once.
/// After a normal end, background children live on unless `keep_children` is false; output
/// they write to the program's own streams from then on is lost.
///
/// # Errors
/// The command is not usable, the program is missing or does not start, or a pipe fails.
pub async fn run(
    command: Command,
    cancel: &CancellationToken,
    on_line: impl FnMut(StreamKind, &str) + Send,
) -> Result<Outcome, ExecError> {
    let started = Instant::now();
    let mark = match &command.mark {
        Some(mark) => mark.clone(),
        None => machine::random_hex(16).map_err(io("draw a random mark"))?,
    };
    let (mut running, pipes) = Running::start(&command, mark.clone()).await?;
    let sink = Sink {
        capture: Capture::new(command.kept_bytes(), command.spill_dir.as_deref(), &mark),
        stdout_lines: Lines::default(),
        stderr_lines: Lines::default(),
        on_line,
    };
    let mut reader = Reader::new(pipes, command.stdin, sink);

    let first = running.until_ended(
        &mut reader,
        started,
        &command.limits,
        command.isolation,
        cancel,
    );
    let (ended, status) = first.await?;
    let (status, survivors) = match status {
        Some(status) => {
            let survivors = if command.keep_children || running.is_alone().await {
                0
            } else {
                running.tree.end(GRACE).await
            };
            reader.drain().await?;
            (status, survivors)
        }
        None => running.stop(&mut reader).await?,
    };
    if command.subreaper {
        running.tree.reap_orphans();
    }
    running.disarm(command.keep_children && ended == Ended::Itself);
    let mut sink = reader.sink;
    sink.finish();
    Ok(Outcome {
        exit_code: status.code(),
        signal: status.signal(),
        truncated: sink.capture.stdout.truncated() || sink.capture.stderr.truncated(),
        spill: sink.capture.spilled(),
        stdout: sink.capture.stdout.into_bytes(),
        stderr: sink.capture.stderr.into_bytes(),
        ended,
        wall: started.elapsed(),
        survivors,
    })
}

fn io(action: &'static str) -> impl FnOnce(std::io::Error) -> ExecError {
    move |source| ExecError::Io { action, source }
}

/// The program and its tree, killed when dropped while it is there.
struct Running {
    process: Option<Process>,
    tree: Tree,
    subreaper: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        // A process namespace ends with its handle.
        if let Some(Process::Plain { .. }) = self.process {
            self.tree.kill_now(DROP_PATIENCE);
        }
    }
}

impl Running {
    async fn start(command: &Command, mark: String) -> Result<(Self, Pipes), ExecError> {
        let spawned = spawn(command, &mark).await?;
        let running = Self {
            process: Some(spawned.process),
            tree: Tree::new(spawned.leader, mark, command.subreaper),
            subreaper: command.subreaper,
        };
        let pipes = Pipes {
            stdin: spawned.stdin,
            stdout: spawned.stdout,
            stderr: spawned.stderr,
        };
        Ok((running, pipes))
    }

    async fn wait(&mut self) -> Result<ExitStatus, ExecError> {
        let process = self.process.as_mut().expect("taken at the end only");
        process.wait().await.map_err(io("wait for the program"))
    }

    /// Living processes that the program started, itself included.
    async fn count(&self) -> usize {
        let own = self.process.as_ref().map_or(0, Process::own);
        self.tree.count().await.saturating_sub(own)
    }

    /// Whether a program in a process namespace left nobody behind; elsewhere some may hide.
    async fn is_alone(&self) -> bool {
        let namespace = self
            .process
            .as_ref()
            .is_some_and(|process| process.own() > 0);
        namespace && self.count().await == 0
    }

    /// From here on dropping kills nothing that may live.
    fn disarm(&mut self, keep: bool) {
        if let Some(process) = self.process.take()
            && keep
        {
            process.keep();
        }
    }

    /// Reads until the program ends (then with its status) or has to be stopped (without).
    async fn until_ended<F: FnMut(StreamKind, &str) + Send>(
        &mut self,
        reader: &mut Reader<F>,
        started: Instant,
        limits: &crate::Limits,
        isolation: Isolation,
        cancel: &CancellationToken,
    ) -> Result<(Ended, Option<ExitStatus>), ExecError> {
        let deadline = tokio::time::sleep_until((started + limits.wall).into());
        tokio::pin!(deadline);
        let mut watch = tokio::time::interval(WATCH_EVERY);
        watch.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        watch.tick().await; // the first tick is immediate
        let grouped = group_later(self.tree.clone(), *limits, isolation);
        tokio::pin!(grouped);
        let mut waits_for_group = true;
        loop {
            tokio::select! {
                status = self.process.as_mut().expect("taken at the end only").wait() => {
                    let status = status.map_err(io("wait for the program"))?;
                    return Ok((Ended::Itself, Some(status)));
                }
                () = cancel.cancelled() => return Ok((Ended::Cancelled, None)),
                () = &mut deadline => return Ok((Ended::TimedOut, None)),
                _ = watch.tick() => {
                    if self.subreaper {
                        self.tree.reap_orphans();
                    }
                    if self.count().await as u64 > limits.processes {
                        return Ok((Ended::TooManyProcesses, None));
                    }
                }
                group = &mut grouped, if waits_for_group => {
                    waits_for_group = false;
                    self.hold(group);
                }
                more = reader.step() => more?,
            }
        }
    }

    #[cfg(target_os = "linux")]
    fn hold(&mut self, group: Option<crate::cgroup::Group>) {
        if let (Some(process), Some(group)) = (&mut self.process, group) {
            process.hold(group);
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn hold(&mut self, _group: Option<()>) {}

    /// Ends the tree while its last words are still read.
    async fn stop<F: FnMut(StreamKind, &str) + Send>(
        &mut self,
        reader: &mut Reader<F>,
    ) -> Result<(ExitStatus, usize), ExecError> {
        let tree = self.tree.clone();
        let end = tree.end(GRACE);
        tokio::pin!(end);
        let survivors = loop {
            tokio::select! {
                survivors = &mut end => break survivors,
                more = reader.step() => more?,
            }
        };
        // The leader is among those that ended, unless it hangs in the kernel: then there is
        // no status to wait for.
        let status = tokio::time::timeout(GRACE, self.wait()).await;
        reader.drain().await?;
        match status {
            Ok(status) => Ok((status?, survivors)),
            Err(_) => Ok((
                ExitStatus::from_raw(rustix::process::Signal::KILL.as_raw()),
                survivors.max(1),
            )),
        }
    }
}

/// Puts an isolated program's tree into a control group after a while, where that is possible.
#[cfg(target_os = "linux")]
async fn group_later(
    tree: Tree,
    limits: crate::Limits,
    isolation: Isolation,
) -> Option<crate::cgroup::Group> {
    if isolation == Isolation::None {
        return None;
    }
    tokio::time::sleep(GROUP_AFTER).await;
    let group = move || crate::cgroup::Group::around(&tree, &limits);
    // None when the runtime is shutting down.
    tokio::task::spawn_blocking(group).await.ok().flatten()
}

#[cfg(not(target_os = "linux"))]
async fn group_later(_tree: Tree, _limits: crate::Limits, _isolation: Isolation) -> Option<()> {
    None
}

/// Where output goes.
struct Sink<F> {
    capture: Capture,
    stdout_lines: Lines,
    stderr_lines: Lines,
    on_line: F,
}

impl<F: FnMut(StreamKind, &str)> Sink<F> {
    fn push(&mut self, kind: StreamKind, bytes: &[u8]) {
        self.capture.push(kind, bytes);
        let lines = match kind {
            StreamKind::Stdout => &mut self.stdout_lines,
            StreamKind::Stderr => &mut self.stderr_lines,
        };
        lines.push(bytes, |line| (self.on_line)(kind, line));
    }

    fn finish(&mut self) {
        self.stdout_lines
            .finish(|line| (self.on_line)(StreamKind::Stdout, line));
        self.stderr_lines
            .finish(|line| (self.on_line)(StreamKind::Stderr, line));
    }
}

/// The host's ends of a program's streams.
struct Pipes {
    stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    stdout: Box<dyn AsyncRead + Send + Unpin>,
    stderr: Box<dyn AsyncRead + Send + Unpin>,
}

/// The three pipes of a program.
struct Reader<F> {
    stdout: Pipe<Box<dyn AsyncRead + Send + Unpin>>,
    stderr: Pipe<Box<dyn AsyncRead + Send + Unpin>>,
    stdin: Feed,
    sink: Sink<F>,
}

/// One output pipe; none once it is at its end.
struct Pipe<R> {
    pipe: Option<R>,
    buffer: Box<[u8]>,
}

impl<R: AsyncRead + Unpin> Pipe<R> {
    fn new(pipe: R) -> Self {
        Self {
            pipe: Some(pipe),
            buffer: vec![0; 16 << 10].into_boxed_slice(),
        }
    }

    /// The next bytes; empty at the end, and never again after that.
    async fn read(&mut self) -> std::io::Result<&[u8]> {
        let Some(pipe) = &mut self.pipe else {
            return pending().await;
        };
        let count = pipe.read(&mut self.buffer).await?;
        if count == 0 {
            self.pipe = None;
        }
        Ok(&self.buffer[..count])
    }
}

/// What is still to be written to standard input.
struct Feed {
    pipe: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    bytes: Vec<u8>,
    sent: usize,
}

impl Feed {
    /// Writes a part, and closes the pipe after the last one. A program that stops reading
    /// is not an error: `head` does so.
    async fn write(&mut self) {
        let Some(pipe) = &mut self.pipe else {
            return pending().await;
        };
        let rest = &self.bytes[self.sent..];
        match pipe.write(rest).await {
            Ok(count) if count > 0 && count < rest.len() => self.sent += count,
            _ => self.pipe = None,
        }
    }
}

impl<F: FnMut(StreamKind, &str)> Reader<F> {
    fn new(pipes: Pipes, stdin: Option<Vec<u8>>, sink: Sink<F>) -> Self {
        Self {
            stdout: Pipe::new(pipes.stdout),
            stderr: Pipe::new(pipes.stderr),
            stdin: Feed {
                pipe: pipes.stdin,
                bytes: stdin.unwrap_or_default(),
                sent: 0,
            },
            sink,
        }
    }

    /// Moves one piece of data, whichever pipe has one; waits for ever when all are closed.
    async fn step(&mut self) -> Result<(), ExecError> {
        let failed = io("read the program's output");
        tokio::select! {
            bytes = self.stdout.read() => match bytes {
                Ok(bytes) => self.sink.push(StreamKind::Stdout, bytes),
                Err(error) => return Err(failed(error)),
            },
            bytes = self.stderr.read() => match bytes {
                Ok(bytes) => self.sink.push(StreamKind::Stderr, bytes),
                Err(error) => return Err(failed(error)),
            },
            () = self.stdin.write() => {}
        }
        Ok(())
    }

    /// Reads what is left in the pipes of a program that ended.
    async fn drain(&mut self) -> Result<(), ExecError> {
        self.stdin.pipe = None;
        let until = Instant::now() + DRAIN_AT_MOST;
        while (self.stdout.pipe.is_some() || self.stderr.pipe.is_some()) && Instant::now() < until {
            match tokio::time::timeout(DRAIN_SILENCE, self.step()).await {
                Ok(more) => more?,
                Err(_) => break,
            }
        }
        Ok(())
    }
}
