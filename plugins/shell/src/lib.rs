//! The `bash` tool: a shell command in the workspace, run by the host.

mod ansi;
mod command;
mod report;

use ml_intern_plugin::{Context, Descriptor, Error, Output, Tool, arguments, process};

use command::Call;
use report::{KEPT_BYTES, Outcome};

struct Shell;

ml_intern_plugin::export_tool!(Shell);

impl Tool for Shell {
    fn describe() -> Result<Vec<Descriptor>, Error> {
        let descriptor = Descriptor::new("bash", command::DESCRIPTION, &command::schema());
        Ok(vec![descriptor.destructive().open_world()])
    }

    fn call(name: String, raw: String, _context: Context) -> Result<Output, Error> {
        if name != "bash" {
            return Err(Error::unknown_tool(&name));
        }
        let call: Call = match arguments(&raw) {
            Ok(call) => call,
            Err(error) => return Ok(Output::error(error.message())),
        };
        if call.command.trim().is_empty() {
            return Ok(Output::error("no command given"));
        }
        let seconds = call.seconds();
        let outcome = process::run(&process::Command {
            program: "sh".to_owned(),
            arguments: vec!["-c".to_owned(), call.command.clone()],
            env: Vec::new(),
            cwd: call.folder(),
            // None is a closed standard input: a command that asks gets an end of file, not a hang.
            stdin: None,
            timeout_ms: seconds * 1000,
            max_output_bytes: KEPT_BYTES,
        });
        let outcome = match outcome {
            Ok(outcome) => Outcome {
                exit_code: outcome.exit_code,
                stdout: &outcome.stdout,
                stderr: &outcome.stderr,
                truncated: outcome.truncated,
                timed_out: outcome.timed_out,
                spill: outcome.spill.as_deref(),
            }
            .render(seconds),
            Err(Error::InvalidInput(text) | Error::NotFound(text)) => Err(text),
            Err(error) => return Err(error),
        };
        Ok(match outcome {
            Ok(text) => Output::text(text),
            Err(text) => Output::error(text),
        })
    }
}
