//! One file a subcommand.

mod doctor;
mod jobs;
mod login;
mod logout;
mod plugin;
mod run;
mod sessions;
mod status;

use crate::adapters::network;
use crate::args::{Args, Command};
use crate::error::{Kind, OrFail, Result};
use crate::ui;
use clap::CommandFactory;

/// Runs the command; the answer is the exit code.
pub(crate) fn dispatch(arguments: Args) -> Result<u8> {
    ui::set_color(arguments.color);
    let directory = arguments.directory.as_deref();
    match arguments.command {
        Command::Run(run) => run::run(directory, *run),
        Command::Plugin(command) => wait(plugin::plugin(directory, command)),
        Command::Sessions(command) => sessions::sessions(command),
        Command::Jobs(command) => wait(jobs::jobs(directory, command)),
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

/// For commands that only ask.
fn wait<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.or_fail(Kind::Failed)?.block_on(work)
}
