//! One file a subcommand.

mod doctor;
mod jobs;
mod login;
mod logout;
mod models;
mod plugin;
mod run;
mod sessions;
mod status;

use crate::adapters::network;
use crate::args::{Args, Command, RunArgs};
use crate::error::{Failure, Kind, OrFail, Result};
use crate::ui;
use clap::CommandFactory;
use std::io::{self, BufRead as _, IsTerminal as _};

/// Runs the command; the answer is the exit code.
pub(crate) fn dispatch(arguments: Args) -> Result<u8> {
    ui::set_color(arguments.color);
    let directory = arguments.directory.as_deref();
    let Some(command) = arguments.command else {
        return run::converse(directory, *arguments.run);
    };
    match command {
        Command::Run(run) => run::run(directory, *run),
        Command::Resume { id, run } => run::converse(directory, resumed(id, *run)),
        Command::Plugin(command) => wait(plugin::plugin(directory, command)),
        Command::Sessions(command) => sessions::sessions(directory, command),
        Command::Jobs(command) => wait(jobs::jobs(directory, command)),
        Command::Models(command) => wait(models::models(directory, command)),
        Command::Login(arguments) => wait(login::login(directory, arguments)),
        Command::Logout(arguments) => wait(logout::logout(arguments)),
        Command::Status { json, manifest } => wait(status::status(directory, manifest, json)),
        Command::Doctor { json, manifest } => wait(doctor::doctor(directory, manifest, json)),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "ml-intern", &mut script);
            ui::out(String::from_utf8_lossy(&script).trim_end());
            Ok(0)
        }
        Command::Supervise { folder } => {
            Ok(u8::try_from(ml_intern_jobs::supervise(&folder, network::serve_job)).unwrap_or(1))
        }
        Command::Compile { instances } => {
            let code = ml_intern_runtime::compile_for_parent(&instances);
            Ok(u8::try_from(code).unwrap_or(1))
        }
    }
}

fn resumed(id: Option<String>, run: RunArgs) -> RunArgs {
    RunArgs {
        continue_last: id.is_none(),
        resume: id,
        ..run
    }
}

/// For commands that only ask.
fn wait<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.or_fail(Kind::Failed)?.block_on(work)
}

/// Asks a yes from the person at the terminal; `doing` is what for, in a sentence.
fn confirmed(doing: &str, question: &str) -> Result<bool> {
    if !io::stdin().is_terminal() {
        let nobody = anyhow::anyhow!("{doing} needs a yes, and nobody is there to ask");
        return Err(Failure::new(Kind::Blocked, nobody).hint("read the list above, then add --yes"));
    }
    ui::err(&format!("{question} [y/N]"));
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .or_fail(Kind::Failed)?;
    Ok(matches!(
        line.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}
