//! Recorded programs, jobs and answers of the session. The runtime has asked the grants before it comes here.

mod jobs;
mod session;

pub(super) use jobs::RecordedJobs;
pub(super) use session::RecordedSession;

use async_trait::async_trait;
use ml_intern_manifest::{ProgramRecording, toml_string};
use ml_intern_runtime::{Caller, Processes, process, types};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Problems that are kept; more say nothing new.
const MAX_PROBLEMS: usize = 16;
/// Characters of a text that a problem shows.
const SHOWN: usize = 200;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn problem(all: &mut Vec<String>, text: String) {
    if all.len() < MAX_PROBLEMS {
        all.push(text);
    }
}

/// Programs that never run.
pub(super) struct RecordedPrograms {
    all: Vec<ProgramRecording>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    used: Vec<bool>,
    problems: Vec<String>,
}

impl RecordedPrograms {
    pub(super) fn new(all: &[ProgramRecording]) -> Self {
        let used = vec![false; all.len()];
        Self {
            all: all.to_vec(),
            seen: Mutex::new(Seen {
                used,
                problems: Vec::new(),
            }),
        }
    }

    /// Programs without a recording, and recordings of programs that were not run.
    pub(super) fn problems(&self) -> Vec<String> {
        let seen = lock(&self.seen);
        let mut problems = seen.problems.clone();
        for (number, (one, used)) in self.all.iter().zip(&seen.used).enumerate() {
            if !used && !one.optional {
                problems.push(format!(
                    "`programs[{number}]` (`{}`) was not run; take it away, or write `optional = true`",
                    one.program
                ));
            }
        }
        problems
    }
}

fn fits(one: &ProgramRecording, command: &process::Command) -> bool {
    let read = command.stdin.as_deref().unwrap_or_default();
    one.program == command.program
        && one
            .args
            .as_ref()
            .is_none_or(|args| *args == command.arguments)
        && one
            .stdin
            .as_ref()
            .is_none_or(|text| text.as_bytes() == read)
}

#[async_trait]
impl Processes for RecordedPrograms {
    async fn run(
        &self,
        command: process::Command,
        _caller: Caller,
    ) -> Result<process::Outcome, types::Error> {
        let mut seen = lock(&self.seen);
        let free = |(number, one): &(usize, &ProgramRecording)| {
            seen.used.get(*number) == Some(&false) && fits(one, &command)
        };
        let Some((number, one)) = self.all.iter().enumerate().find(free) else {
            let arguments = command.arguments.iter().map(|text| toml_string(text));
            let arguments = arguments.collect::<Vec<_>>().join(", ");
            let program = toml_string(&command.program);
            problem(
                &mut seen.problems,
                format!(
                    "the tool ran a program without a recording; add to `programs` of the case:\n{{ program = {program}, args = [{arguments}], exit = 0, stdout = \"\" }}"
                ),
            );
            let text = format!("there is no recording of the program `{}`", command.program);
            return Err(types::Error::Internal(text));
        };
        if let Some(used) = seen.used.get_mut(number) {
            *used = true;
        }
        Ok(process::Outcome {
            exit_code: (!one.timed_out).then_some(one.exit),
            stdout: one.stdout.clone().into_bytes(),
            stderr: one.stderr.clone().into_bytes(),
            truncated: false,
            timed_out: one.timed_out,
            spill: None,
        })
    }
}
