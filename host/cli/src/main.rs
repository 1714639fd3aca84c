//! The `ml-intern` binary: arguments, configuration, composition, rendering. Decides nothing itself.

mod adapters;
mod args;
mod builtin;
mod commands;
mod compose;
mod config;
mod error;
mod ids;
mod paths;
mod ui;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = args::Args::parse();
    match commands::dispatch(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => ui::failure(&error),
    }
}
