//! `sessions replay`: a session again, from its log.

use crate::adapters::effects;
use crate::adapters::inbox::{Format, Inbox};
use crate::args::PermissionMode;
use crate::compose::workbench::{Choices, Prepared};
use crate::config::Config;
use crate::error::{Failure, Kind, OrFail, Result};
use crate::ui::{self, Style, Table};
use async_trait::async_trait;
use ml_intern_agent::approval::{Mode, Rules};
use ml_intern_agent::budget::Budget;
use ml_intern_agent::ports::{Approver, Invocation, Outcome, Tool, Toolbox};
use ml_intern_agent::replay::{Divergence, Live, Report, replay, replay_live};
use ml_intern_agent::{Event, Stamp};
use ml_intern_runtime::{EffectScripts, Effects};
use serde_json::json;
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Characters of either side of a difference.
const SHOWN: usize = 600;
/// Differing calls that are listed.
const CALLS: usize = 50;

type Events = Vec<(Stamp, Event)>;

pub(super) async fn recorded(events: Events) -> Report {
    replay(events).await
}

/// What was kept of the session's calls.
pub(super) fn effects(session_folder: &Path) -> Result<EffectScripts> {
    let found = effects::recorded(session_folder).or_fail(Kind::Failed)?;
    found.ok_or_else(|| {
        Failure::usage("nothing was recorded in this session")
            .hint("`ml-intern run --record` keeps what reaches the tools from outside")
    })
}

/// With the tools that this folder's manifest has now.
pub(super) async fn live(
    config: &Config,
    events: Events,
    mode: Option<PermissionMode>,
    effects: Option<EffectScripts>,
) -> Result<Report> {
    let model = events.iter().find_map(|(_, event)| match event {
        Event::SessionStarted { model, .. } => Some(model.clone()),
        _ => None,
    });
    let model =
        model.ok_or_else(|| Failure::usage("the log does not say with which model it began"))?;
    let prepared = Prepared::new(config, &model).await?;
    let asks = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let input = asks.then_some(Format::Typed);
    let mode = mode.map_or(Mode::Ask, PermissionMode::mode);
    let choices = Choices {
        model,
        mode,
        rules: Rules::default(),
        budget: Budget::default(),
        stream: false,
        effort: None,
        schema: None,
        window: None,
        input,
        verbose: false,
        effects: effects.map(|scripts| Effects::Replay(Arc::new(scripts))),
    };
    let inbox = input.map(|format| Inbox::open(format, config.paths.approvals()));
    let inbox = inbox.transpose().or_fail(Kind::Failed)?;
    let scratch = Scratch::new(config)?;
    let problem = Mutex::new(None);
    let toolbox = |session: Arc<_>, gate| {
        let tools = prepared.tools_for_replay(&choices, &session, gate, &scratch.0);
        tools.unwrap_or_else(|failure| {
            *problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
            Arc::new(NoTools)
        })
    };
    let live = Live {
        toolbox: Box::new(toolbox),
        mode,
        approver: inbox.map(|inbox| Arc::new(inbox) as Arc<dyn Approver>),
    };
    let report = replay_live(events, live).await;
    match problem.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(failure) => Err(failure),
        None => Ok(report),
    }
}

/// What the tools keep for the session that is played again; gone with it.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(config: &Config) -> Result<Self> {
        let name = format!(".replay-{}", std::process::id());
        let folder = config.paths.sessions().join(name);
        std::fs::create_dir_all(&folder).or_fail(Kind::Failed)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is looked at by nobody.
        std::fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}

/// In the place of tools that could not be had.
struct NoTools;

#[async_trait]
impl Toolbox for NoTools {
    fn tools(&self) -> &[Tool] {
        &[]
    }

    async fn call(&self, _invocation: Invocation) -> Outcome {
        Outcome::Error("there are no tools".into())
    }
}

/// The exit code says whether it came out the same.
pub(super) fn show(report: &Report, json: bool) -> u8 {
    let same = report.divergence.is_none();
    if json {
        ui::out(&json!(report).to_string());
        return u8::from(!same);
    }
    let style = Style::stdout();
    let mut table = Table::new(&["REPLAYED", ""]);
    for (what, count) in [
        ("entries", report.events),
        ("turns", report.turns),
        ("model calls", report.iterations),
        ("tool calls", report.tool_calls),
    ] {
        table.row([what.into(), count.to_string()]);
    }
    ui::out(&table.render(style));
    for call in report.differing.iter().take(CALLS) {
        ui::out(&style.yellow(&format!(
            "{} of {} came out differently",
            call.call, call.tool
        )));
        sides(&call.expected, &call.found);
    }
    if report.differing.len() > CALLS {
        ui::out(&format!("… {} more calls", report.differing.len() - CALLS));
    }
    match &report.divergence {
        None => ui::out(&style.green("it comes out as it was recorded")),
        Some(divergence) => show_divergence(divergence, style),
    }
    u8::from(!same)
}

fn show_divergence(divergence: &Divergence, style: Style) {
    let Divergence {
        seq,
        expected,
        found,
        what,
    } = divergence;
    let what = ui::one_line(what, SHOWN);
    ui::out(&style.red(&format!(
        "it comes out differently from entry {seq} on: {what}"
    )));
    let side = |event: &Option<Event>| match event {
        Some(event) => json!(event).to_string(),
        None => "nothing".to_owned(),
    };
    sides(&side(expected), &side(found));
}

fn sides(expected: &str, found: &str) {
    ui::out(&format!("  recorded: {}", ui::one_line(expected, SHOWN)));
    ui::out(&format!("  now:      {}", ui::one_line(found, SHOWN)));
}
