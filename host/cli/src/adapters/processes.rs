//! The `process` capability, on `host/exec`.

use super::confinement::Confinement;
use super::network::Rooms;
use super::permission::{Deed, Permissions};
use async_trait::async_trait;
use ml_intern_agent::approval::Effect;
use ml_intern_agent::state::OpenCall;
use ml_intern_exec::{Command, ExecError, GRACE, Isolation, StreamKind, Tree};
use ml_intern_runtime::{Caller, Processes, Stream, process, types};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Folder in the workspace for outputs too long to show; begins with a dot so that listings skip it.
pub(crate) const SPILL: &str = ".ml-intern/output";

pub(crate) struct NativePrograms {
    pub(crate) workspace: PathBuf,
    pub(crate) permissions: Arc<Permissions>,
    pub(crate) confinement: Arc<Confinement>,
    rooms: Rooms,
    /// `/tmp` of the session's programs, made for the first one.
    tmp: OnceLock<Option<tempfile::TempDir>>,
}

impl NativePrograms {
    pub(crate) fn new(
        workspace: PathBuf,
        permissions: Arc<Permissions>,
        confinement: Arc<Confinement>,
    ) -> Self {
        Self {
            workspace,
            permissions,
            confinement,
            rooms: Rooms::default(),
            tmp: OnceLock::new(),
        }
    }

    /// What one command leaves in `/tmp` the next one finds there; other programs do not, and the
    /// session's end removes it.
    fn tmp(&self) -> Result<PathBuf, types::Error> {
        let make = || tempfile::Builder::new().prefix("ml-intern-").tempdir().ok();
        let folder = self.tmp.get_or_init(make).as_ref();
        let folder = folder.ok_or_else(|| {
            types::Error::Internal("no folder for temporary files could be made".to_owned())
        })?;
        Ok(folder.path().to_owned())
    }

    /// Keeps a command from the rest of the machine.
    async fn confine(
        &self,
        native: &mut Command,
        level: Isolation,
        caller: &Caller,
    ) -> Result<(), types::Error> {
        native.isolation = level;
        if level == Isolation::None {
            return Ok(());
        }
        native.view = self.confinement.view().clone();
        native.view.tmp = Some(self.tmp()?);
        if level == Isolation::Full {
            native.room = Some(self.rooms.of(caller).await.map_err(typed)?);
        }
        Ok(())
    }

    async fn permit(
        &self,
        command: &mut process::Command,
        caller: &Caller,
    ) -> Result<(), types::Error> {
        let detail = json!({ "program": command.program, "arguments": command.arguments, "cwd": command.cwd });
        let summary = format!("to run `{}`", command.program);
        let deed = Deed {
            effect: Effect::Process,
            summary,
            detail,
            blocked: None,
            price_usd: None,
            capability: "process",
        };
        let Some(edited) = self.permissions.ask(caller, deed).await? else {
            return Ok(());
        };
        let arguments = edited.get("arguments").and_then(strings).ok_or_else(|| {
            types::Error::Denied(types::Denial {
                capability: "process".into(),
                detail: "the user edited the command, but `arguments` is not a list of strings"
                    .into(),
            })
        })?;
        self.permissions.note(
            caller,
            format!(
                "[the user edited the command; what ran is {} with {arguments:?}]",
                command.program
            ),
        );
        command.arguments = arguments;
        Ok(())
    }

    fn command(&self, command: process::Command, caller: &Caller) -> Command {
        let cwd = command.cwd.as_deref().map_or_else(
            || self.workspace.clone(),
            |below| self.workspace.join(below),
        );
        let mut native = Command::new(command.program, cwd);
        native.arguments = command.arguments;
        native.env = self.confinement.environment();
        native.env.extend(command.env);
        native.mark = Some(mark(&caller.session, &caller.call));
        native.stdin = command.stdin;
        native.path.clone_from(&self.confinement.path);
        native.limits.wall = Duration::from_millis(command.timeout_ms.into());
        native.max_output_bytes = command.max_output_bytes as usize;
        native.spill_dir = Some(self.workspace.join(SPILL));
        native
    }
}

/// Ends the programs that these calls left running when an earlier host died, and says how many it could not end.
/// Who looks at what an interrupted call did must not race with it.
pub(crate) async fn end_left_over(session: &str, calls: &[OpenCall]) -> usize {
    let mut left = 0;
    for call in calls
        .iter()
        .filter(|call| call.started.is_some() && call.result.is_none())
    {
        left += Tree::marked(mark(session, &call.id)).end(GRACE).await;
    }
    left
}

/// The same in every process of the session, so that a later one finds what an earlier one started. A call that a
/// tool makes has the mark of the model's call that it is within: that one is open, whatever happens inside.
fn mark(session: &str, call: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let call = call.split('/').next().unwrap_or(call);
    format!("{session}-{call}").chars().map(plain).collect()
}

fn strings(value: &Value) -> Option<Vec<String>> {
    value
        .as_array()?
        .iter()
        .map(|item| item.as_str().map(str::to_owned))
        .collect()
}

#[async_trait]
impl Processes for NativePrograms {
    async fn run(
        &self,
        mut command: process::Command,
        caller: Caller,
    ) -> Result<process::Outcome, types::Error> {
        let level = self.confinement.level().await.map_err(|detail| {
            types::Error::Denied(types::Denial {
                capability: "process".into(),
                detail,
            })
        })?;
        self.permit(&mut command, &caller).await?;
        // A program may not outlive its call, which a person's answer may have made shorter or longer.
        command.timeout_ms = command
            .timeout_ms
            .min(u32::try_from(caller.clock.left().as_millis()).unwrap_or(u32::MAX));
        let observer = caller.observer.clone();
        let show = move |stream: StreamKind, line: &str| {
            let stream = match stream {
                StreamKind::Stdout => Stream::Stdout,
                StreamKind::Stderr => Stream::Stderr,
            };
            observer.output(stream, line);
        };
        let mut native = self.command(command, &caller);
        self.confine(&mut native, level, &caller).await?;
        let outcome = ml_intern_exec::run(native, &caller.cancel, show)
            .await
            .map_err(typed)?;
        let timed_out = outcome.timed_out();
        Ok(process::Outcome {
            exit_code: outcome.exit_code,
            stdout: outcome.stdout,
            stderr: outcome.stderr,
            truncated: outcome.truncated,
            timed_out,
            spill: outcome.spill.map(|path| relative(&path, &self.workspace)),
        })
    }
}

fn relative(path: &Path, workspace: &Path) -> String {
    path.strip_prefix(workspace)
        .unwrap_or(path)
        .to_string_lossy()
        .into_owned()
}

fn typed(error: ExecError) -> types::Error {
    let text = format!("{:#}", anyhow::Error::from(error));
    types::Error::InvalidInput(text)
}
