//! The `ml-intern` binary: arguments, configuration, composition, rendering. Decides nothing itself.

mod adapters;
mod args;
mod builtin;
mod catalogue;
mod commands;
mod compose;
mod config;
mod credentials;
mod error;
mod ids;
mod paths;
mod protect;
mod ui;

use clap::Parser;
use ml_intern_trace::SecretRules;
use std::process::ExitCode;

fn main() -> ExitCode {
    protect::keep_memory_private();
    protect::quiet_panics();
    ui::keep_secret(SecretRules::new(credentials::of_environment()));
    let arguments = args::Args::parse();
    match commands::dispatch(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => ui::failure(&error),
    }
}
