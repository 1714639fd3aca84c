//! The only place that prints.

mod audit;
mod bar;
mod clean;
mod feed;
mod format;
mod json;
mod question;
mod secret;
mod style;
mod table;
mod text;

pub(crate) use audit::{audit_line, outcome};
pub(crate) use bar::Bar;
pub(crate) use clean::{clean, cut, for_model, json_for_model, one_line};
pub(crate) use feed::{Feed, Renderer};
pub(crate) use format::{cost, duration};
pub(crate) use json::{RunResult, Silent, StreamJson, result_line};
pub(crate) use secret::{Typed, keep_secret, read_secret};
pub(crate) use style::{Style, set_color};
pub(crate) use table::Table;
pub(crate) use text::{Loudness, Text};

use crate::error::{Failure, Kind};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// Prints a line to standard output. A reader that went away ends the output, not the work.
pub(crate) fn out(line: &str) {
    let line = secret::known(line);
    let mut stdout = std::io::stdout().lock();
    // There is nobody left to tell about a closed standard output.
    let _closed = stdout
        .write_all(line.as_bytes())
        .and_then(|()| stdout.write_all(b"\n"))
        .and_then(|()| stdout.flush());
}

/// Prints a line to standard error.
pub(crate) fn err(line: &str) {
    let line = secret::known(line);
    let mut stderr = std::io::stderr().lock();
    // As above.
    let _closed = stderr
        .write_all(line.as_bytes())
        .and_then(|()| stderr.write_all(b"\n"));
}

/// Tells a person at a terminal why nothing seems to happen.
pub(crate) fn progress(line: &str) {
    if std::io::stderr().is_terminal() {
        err(&Style::stderr().dim(&format!("… {}", one_line(line, 200))));
    }
}

/// Prints something that a person should know about.
pub(crate) fn warn(line: &str) {
    err(&Style::stderr().yellow(&format!("! {}", one_line(line, 600))));
}

/// Prints what went wrong and what to do about it.
pub(crate) fn failure(failure: &Failure) -> ExitCode {
    if !matches!(failure.kind, Kind::Interrupted | Kind::Terminated) {
        let style = Style::stderr();
        let text = clean(&format!("{:#}", failure.error));
        err(&format!("{} {text}", style.red("error:")));
        for hint in &failure.hints {
            err(&format!("{} {}", style.dim("hint:"), clean(hint)));
        }
    }
    ExitCode::from(failure.kind as u8)
}
