//! What came of it, for people and for programs.

use super::options::format;
use super::signals::Signals;
use crate::args::{OutputFormat, RunArgs};
use crate::compose::Workbench;
use crate::error::{Failure, Kind};
use crate::ui::{self, RunResult};
use ml_intern_agent::event::TurnEnd;
use std::io::IsTerminal;

/// A program that reads the output gets its last line, whatever happens.
pub(super) fn report_failure(arguments: &RunArgs, failure: &Failure) {
    if format(arguments) != OutputFormat::Text {
        ui::out(&ui::result_line(&RunResult::failed(
            failure.kind as u8,
            format!("{:#}", failure.error),
        )));
    }
}

pub(super) fn result(
    bench: &Workbench,
    end: TurnEnd,
    exit_code: u8,
    artifacts: Vec<String>,
) -> RunResult {
    let session = &bench.agent.session;
    let last = session.last();
    session.read(|state| RunResult {
        session: Some(session.id().to_owned()),
        seq: last.seq,
        reason: end,
        exit_code,
        message: state.answer.clone(),
        error: state.error.as_ref().map(|(_, message)| message.clone()),
        usage: state.usage,
        iterations: state.iterations,
        artifacts,
    })
}

pub(super) fn exit_code(bench: &Workbench, end: TurnEnd, signals: &Signals) -> u8 {
    let (blocked, error) = bench.agent.session.read(|state| {
        let error = state.error.as_ref().map(|(kind, _)| kind.clone());
        (state.blocked, error)
    });
    match end {
        TurnEnd::Done if blocked => Kind::Blocked as u8,
        TurnEnd::Done => 0,
        TurnEnd::Iterations | TurnEnd::Time | TurnEnd::Repetition => Kind::Limit as u8,
        TurnEnd::Budget => Kind::Budget as u8,
        TurnEnd::Interrupted => signals.exit_code(),
        TurnEnd::Error => match error.as_deref() {
            Some("auth") => Kind::Credentials as u8,
            Some("plugin_fault") => Kind::Plugin as u8,
            Some("denied" | "not_found" | "invalid") => Kind::Usage as u8,
            _ => Kind::Failed as u8,
        },
    }
}

pub(super) fn report(arguments: &RunArgs, result: &RunResult) {
    let answer = result.message.as_deref().unwrap_or_default();
    match format(arguments) {
        // At a terminal the answer stands there already, as it came.
        OutputFormat::Text
            if arguments.quiet
                || !std::io::stderr().is_terminal()
                || !std::io::stdout().is_terminal() =>
        {
            if !answer.is_empty() {
                ui::out(&ui::clean(answer));
            }
        }
        OutputFormat::Text => {}
        OutputFormat::Json | OutputFormat::StreamJson => ui::out(&ui::result_line(result)),
    }
    if format(arguments) == OutputFormat::Text {
        hints(result);
    }
}

fn hints(result: &RunResult) {
    let Some(session) = &result.session else {
        return;
    };
    let go_on = format!("`ml-intern run --resume {session}` goes on");
    let hint = match result.reason {
        TurnEnd::Done if result.exit_code == Kind::Blocked as u8 => {
            "something was denied because nobody was there to ask; --permission-mode says what happens without asking".into()
        }
        TurnEnd::Done => return,
        TurnEnd::Error if result.exit_code == Kind::Credentials as u8 => {
            format!("`ml-intern status` shows which credentials are there; {go_on}")
        }
        TurnEnd::Budget => format!("--budget-usd raises the budget; {go_on}"),
        TurnEnd::Iterations => format!("--max-iterations raises the cap; {go_on}"),
        TurnEnd::Time => format!("--timeout raises the limit; {go_on}"),
        TurnEnd::Repetition => format!("say what to do differently: {go_on}"),
        TurnEnd::Interrupted | TurnEnd::Error => go_on,
    };
    ui::err(&format!("{} {hint}", ui::Style::stderr().dim("hint:")));
}

/// The end of a conversation.
pub(super) fn farewell(arguments: &RunArgs, result: &RunResult) {
    if format(arguments) != OutputFormat::Text {
        return ui::out(&ui::result_line(result));
    }
    if let Some(session) = &result.session {
        let style = ui::Style::stderr();
        let hint = format!("`ml-intern resume {session}` goes on");
        ui::err(&format!("{} {hint}", style.dim("hint:")));
    }
}

/// How hard the model thinks.
pub(super) fn effort(bench: &Workbench) {
    let (model, asked, wanted) = bench.agent.session.read(|state| {
        let own = |effort: Option<&str>| effort.map(str::to_owned);
        let asked = own(state.efforts.of(&state.model));
        (state.model.clone(), asked, own(state.efforts.wanted()))
    });
    let word = |effort: &Option<String>| effort.clone().unwrap_or_else(|| "none".to_owned());
    let text = match asked == wanted {
        true => format!("{model} is asked for the effort {}", word(&asked)),
        false => format!(
            "{model} is asked for the effort {}: it does not take {}",
            word(&asked),
            word(&wanted)
        ),
    };
    ui::err(&ui::one_line(&text, 200));
}

/// Where a session stands.
pub(super) fn standing(bench: &Workbench) {
    let session = &bench.agent.session;
    let rows = session.read(|state| {
        [
            ("session", session.id().to_owned()),
            ("title", state.title.clone()),
            ("model", state.model.clone()),
            ("turns", state.turn.to_string()),
            ("context", format!("{} tokens", state.context.tokens())),
            (
                "used",
                format!(
                    "{} tokens in, {} out · {}",
                    state.usage.input,
                    state.usage.output,
                    ui::cost(state.usage.cost_usd)
                ),
            ),
            ("jobs", state.jobs.len().to_string()),
        ]
    });
    for (name, value) in rows {
        ui::err(&format!("  {name:<8} {}", ui::one_line(&value, 200)));
    }
}
