//! Native programs, each granted by name. What holds them is whoever runs them for the host.

use std::path::{Component, Path};
use std::sync::Arc;

use ml_intern_manifest::ProcessRules;
use wasmtime::component::{HasData, Linker};

use crate::call::{AuditRecord, Call, Verdict};
use crate::process::{Command, Host, Outcome};
use crate::state::PluginState;
use crate::types::Error;

/// The largest output kept of each stream, in bytes.
const MAX_OUTPUT: u32 = 16 << 20;
/// Characters of a command in an audit record.
const MAX_SHOWN: usize = 256;

pub(crate) struct View<'a> {
    rules: Arc<ProcessRules>,
    call: &'a Call,
}

struct Process;

impl HasData for Process {
    type Data<'a> = View<'a>;
}

impl<'a> View<'a> {
    pub(crate) fn of(state: &'a mut PluginState) -> Self {
        let call = state.call();
        Self {
            rules: Arc::clone(&call.effective().process),
            call,
        }
    }
}

pub(crate) fn link(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    crate::process::add_to_linker::<_, Process>(linker, |state| View::of(state))
}

impl Host for View<'_> {
    async fn run(&mut self, mut command: Command) -> wasmtime::Result<Result<Outcome, Error>> {
        if let Err(denial) = self.rules.check(&command.program) {
            return Ok(Err(self.call.refuse(denial, shown(&command))));
        }
        if let Err(problem) = check(&command) {
            return Ok(Err(Error::InvalidInput(problem)));
        }
        let Some(processes) = &self.call.setup.services.processes else {
            return Ok(Err(Error::Unsupported(
                "this host runs no programs".to_owned(),
            )));
        };
        let left = u32::try_from(self.call.clock.left().as_millis()).unwrap_or(u32::MAX);
        command.timeout_ms = command.timeout_ms.min(left);
        command.max_output_bytes = command.max_output_bytes.min(MAX_OUTPUT);
        let program = command.program.clone();
        let target = shown(&command);
        let run = processes.run(command, self.call.caller());
        // A program whose grant is taken back ends at once, with all its children.
        let denial = self
            .call
            .revoked(|effective| effective.process.check(&program));
        let result = tokio::select! {
            result = run => result,
            denial = denial => return Ok(Err(self.call.refuse(denial, target))),
        };
        match &result {
            Err(Error::Denied(denial)) => self.call.audit(&AuditRecord::new(
                "process",
                target,
                Verdict::Denied(denial.detail.clone()),
            )),
            Err(_) | Ok(_) => self.call.allowed("process", target, self.rules.describe()),
        }
        Ok(result)
    }
}

/// The command as an audit record shows it.
fn shown(command: &Command) -> String {
    let words = std::iter::once(&command.program).chain(&command.arguments);
    let line = words.map(String::as_str).collect::<Vec<_>>().join(" ");
    line.chars().take(MAX_SHOWN).collect()
}

fn check(command: &Command) -> Result<(), String> {
    let mut texts = vec![("program", &command.program)];
    texts.extend(command.arguments.iter().map(|text| ("argument", text)));
    texts.extend(command.env.iter().flat_map(|(key, value)| {
        [
            ("environment variable", key),
            ("environment variable", value),
        ]
    }));
    texts.extend(command.cwd.iter().map(|text| ("cwd", text)));
    if let Some((what, _)) = texts.iter().find(|(_, text)| text.contains('\0')) {
        return Err(format!("the {what} holds a NUL byte"));
    }
    if let Some((key, _)) = command
        .env
        .iter()
        .find(|(key, _)| key.is_empty() || key.contains('='))
    {
        return Err(format!("not the name of an environment variable: `{key}`"));
    }
    match &command.cwd {
        Some(cwd) if !stays_inside(cwd) => Err(format!(
            "cwd must be relative to the workspace, without `..`: `{cwd}`"
        )),
        _ => Ok(()),
    }
}

fn stays_inside(path: &str) -> bool {
    let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    Path::new(path).components().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(cwd: Option<&str>, env: &[(&str, &str)], argument: &str) -> Command {
        Command {
            program: "git".to_owned(),
            arguments: vec![argument.to_owned()],
            env: env
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            cwd: cwd.map(str::to_owned),
            stdin: None,
            timeout_ms: 1,
            max_output_bytes: 1,
        }
    }

    #[test]
    fn a_command_stays_in_the_workspace_and_holds_no_tricks() {
        for cwd in [None, Some("src"), Some("./a/b"), Some("")] {
            check(&command(cwd, &[("A", "b=c")], "status")).unwrap();
        }
        for cwd in ["..", "/etc", "a/../..", "a/..", "a\0b"] {
            assert!(check(&command(Some(cwd), &[], "")).is_err(), "{cwd:?}");
        }
        for env in [("", "x"), ("A=B", "x"), ("A", "x\0")] {
            assert!(check(&command(None, &[env], "")).is_err(), "{env:?}");
        }
        assert!(check(&command(None, &[], "a\0b")).is_err());
    }
}
