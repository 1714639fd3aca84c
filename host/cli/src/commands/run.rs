//! `run`: one task, from its words to its result.

mod artifacts;
mod session;
mod signals;

use crate::adapters::{confinement, processes};
use crate::args::{InputFormat, OutputFormat, PermissionMode, RunArgs};
use crate::compose::Workbench;
use crate::compose::workbench::{Asking, Choices, Prepared};
use crate::config::Config;
use crate::error::{Failure, Kind, OrFail, Result};
use crate::ui::{self, Feed, Loudness, Renderer, RunResult, Silent, StreamJson, Text};
use ml_intern_agent::approval::Mode;
use ml_intern_agent::budget::Budget;
use ml_intern_agent::event::TurnEnd;
use ml_intern_agent::{Event, Message, Role, Session, prompt, turn};
use ml_intern_manifest as manifest;
use session::Start;
use signals::Signals;
use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Bytes of a prompt; a model's context holds less.
const PROMPT_BYTES: u64 = 4 << 20;
/// Bytes of a project's own instructions.
const INSTRUCTIONS_BYTES: usize = 64 * 1024;
/// File with a project's instructions to agents.
const AGENTS: &str = "AGENTS.md";
/// Time for what still runs when the program ends.
const SHUTDOWN: Duration = Duration::from_millis(100);

pub(crate) fn run(directory: Option<&Path>, arguments: RunArgs) -> Result<u8> {
    // One thread: plugins yield every 10 ms, and each hop to another costs more than most calls.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .or_fail(Kind::Failed)?;
    let result = runtime.block_on(task(directory, &arguments));
    if let Err(failure) = &result {
        report_failure(&arguments, failure);
    }
    // A thread may still wait for standard input, and must not hold the program up.
    runtime.shutdown_timeout(SHUTDOWN);
    result
}

async fn task(directory: Option<&Path>, arguments: &RunArgs) -> Result<u8> {
    let config = Config::load(directory, arguments.manifest.manifest.as_deref())?;
    let start = session::find(&config, arguments)?;
    let input = prompt_text(arguments, &start)?;
    let choices = choices(&config, arguments, &start)?;
    let output = output_file(arguments)?;
    let signals = Signals::listen().or_fail(Kind::Failed)?;
    let prepared = Prepared::new(&config, &choices.model).await?;
    let opened = session::open(&config, start)?;
    confinement::tidy(&config);
    let began = SystemTime::now();
    let feed = Feed::start(renderer(arguments, &choices, &opened.id)).or_fail(Kind::Failed)?;
    let (new, cut) = (opened.new, opened.cut);
    let (bench, watch) = prepared.build(&choices, opened.session, feed.observer())?;
    let outcome = tokio::select! {
        outcome = work(&config, &choices, &bench, new, cut, input, &signals) => outcome,
        never = watch.run() => match never {},
    };
    for problem in bench.notifiers.finish().await {
        ui::warn(&problem);
    }
    feed.finish();
    let artifacts = artifacts::since(&config.workspace, began);
    let result = match outcome {
        Ok(end) => result(&bench, end, exit_code(&bench, end, &signals), artifacts),
        Err(error) => {
            ui::warn(&format!(
                "{error}; free space there, then go on with --continue"
            ));
            let failed = result(&bench, TurnEnd::Error, Kind::Failed as u8, artifacts);
            RunResult {
                error: Some(error.to_string()),
                ..failed
            }
        }
    };
    if let Some(mut file) = output {
        let answer = result.message.as_deref().unwrap_or_default();
        if let Err(error) = file.write_all(answer.as_bytes()) {
            ui::warn(&format!("the answer was not written to its file: {error}"));
        }
    }
    report(arguments, &result);
    Ok(result.exit_code)
}

/// A program that reads the output gets its last line, whatever happens.
fn report_failure(arguments: &RunArgs, failure: &Failure) {
    if format(arguments) != OutputFormat::Text {
        ui::out(&ui::result_line(&RunResult::failed(
            failure.kind as u8,
            format!("{:#}", failure.error),
        )));
    }
}

async fn work(
    config: &Config,
    choices: &Choices,
    bench: &Workbench,
    new: bool,
    cut: u64,
    input: Option<String>,
    signals: &Signals,
) -> std::result::Result<TurnEnd, ml_intern_agent::ports::JournalError> {
    let session = &bench.agent.session;
    let host = env!("CARGO_PKG_VERSION").to_owned();
    let model = choices.model.clone();
    if new {
        let tools = bench
            .agent
            .toolbox
            .tools()
            .iter()
            .map(|tool| tool.name.clone())
            .collect();
        let workspace = config.workspace.display().to_string();
        session.record(Event::SessionStarted {
            model,
            workspace,
            host,
            tools,
        })?;
    } else {
        session.record(Event::SessionResumed { model, host })?;
        bench.jobs.rewatch();
        end_left_over(session).await?;
    }
    // A new session has none, and neither has one that was killed in its first moments.
    if session.read(|state| state.messages.is_empty()) {
        let message = Message::text(Role::System, system_prompt(config, bench));
        session.record(Event::Message { message })?;
    }
    if cut > 0 {
        let text = format!("the last {cut} bytes of the log were half an entry and were cut off");
        session.record(Event::Notice {
            code: "log_cut".into(),
            text,
        })?;
    }
    let end = turn::run(&bench.agent, input.as_deref(), &signals.cancel).await?;
    match end {
        TurnEnd::Interrupted => bench.jobs.cancel_running().await,
        _ => bench.jobs.tell_running(),
    }
    Ok(end)
}

async fn end_left_over(
    session: &Session,
) -> std::result::Result<(), ml_intern_agent::ports::JournalError> {
    let open = session.read(|state| state.open.clone());
    let left = processes::end_left_over(session.id(), &open).await;
    if left > 0 {
        let text = format!(
            "{left} processes of a call that was interrupted go on, because they could not be ended"
        );
        session.record(Event::Notice {
            code: "left_over".into(),
            text,
        })?;
    }
    Ok(())
}

fn system_prompt(config: &Config, bench: &Workbench) -> String {
    let workspace = config.workspace.display().to_string();
    let mut instructions = config
        .manifest
        .agent
        .instructions
        .clone()
        .unwrap_or_default();
    // A folder without the file, or with one that is no text, has no instructions.
    if let Some(agents) = agents(&config.workspace) {
        instructions = format!("{instructions}\n\n{agents}");
    }
    let place = prompt::Place {
        workspace: &workspace,
        job_backend: "local",
        instructions: instructions.trim(),
    };
    prompt::system(&place, bench.agent.toolbox.tools())
}

/// The folder's own instructions, which anybody may have put there: a link leads nowhere else,
/// for a model's service gets what is read here.
fn agents(workspace: &Path) -> Option<String> {
    let most = 4 * INSTRUCTIONS_BYTES as u64;
    let bytes = ml_intern_runtime::read_below(workspace, AGENTS, most).ok()?;
    let text = match str::from_utf8(&bytes) {
        Ok(text) => text,
        // Cut off within a letter.
        Err(error) if error.error_len().is_none() => {
            str::from_utf8(&bytes[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    Some(text.chars().take(INSTRUCTIONS_BYTES).collect())
}

fn prompt_text(arguments: &RunArgs, start: &Start) -> Result<Option<String>> {
    let text = match arguments.prompt.as_deref() {
        Some("-") if arguments.input_format == InputFormat::StreamJson => {
            return Err(Failure::usage(
                "the prompt cannot come from standard input when --input-format stream-json reads answers there",
            ));
        }
        Some("-") => Some(stdin_text()?),
        Some(text) => Some(text.to_owned()),
        None => None,
    };
    match text
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
    {
        Some(text) => Ok(Some(text)),
        None => start.input_without_prompt(),
    }
}

fn stdin_text() -> Result<String> {
    let mut text = String::new();
    let read = std::io::stdin()
        .lock()
        .take(PROMPT_BYTES)
        .read_to_string(&mut text);
    read.map_err(|error| {
        Failure::usage(format!(
            "cannot read the prompt from standard input: {error}"
        ))
    })?;
    Ok(text)
}

fn choices(config: &Config, arguments: &RunArgs, start: &Start) -> Result<Choices> {
    let agent = &config.manifest.agent;
    let model = arguments
        .model
        .clone()
        .or_else(|| start.model())
        .or_else(|| agent.model.clone());
    let model = model.ok_or_else(|| {
        Failure::usage("no model is chosen")
            .hint("name one with --model PROVIDER/MODEL, for example --model openai/gpt-5.5")
            .hint("or set `model` in [agent] of ml-intern.toml")
    })?;
    let asking = match arguments.input_format {
        InputFormat::StreamJson => Asking::JsonLines,
        _ if format(arguments) == OutputFormat::Text && at_terminal() => Asking::Terminal,
        _ => Asking::Nobody,
    };
    let defaults = Budget::default();
    let limits = &config.manifest.budget;
    Ok(Choices {
        model,
        mode: mode(arguments, agent),
        budget: Budget {
            iterations: arguments
                .max_iterations
                .or(agent.max_iterations)
                .unwrap_or(defaults.iterations),
            time: arguments.timeout.or(limits.time).unwrap_or(defaults.time),
            usd: arguments.budget_usd.or(limits.usd),
        },
        stream: !arguments.no_stream,
        window: agent.context_window.map(u64::from),
        asking,
        verbose: arguments.verbose,
    })
}

fn mode(arguments: &RunArgs, agent: &manifest::AgentSection) -> Mode {
    let flag = arguments.permission_mode.map(|mode| match mode {
        PermissionMode::Plan => Mode::Plan,
        PermissionMode::Ask => Mode::Ask,
        PermissionMode::AutoEdit => Mode::AutoEdit,
        PermissionMode::Auto => Mode::Auto,
    });
    let configured = agent.permission_mode.map(|mode| match mode {
        manifest::PermissionMode::Plan => Mode::Plan,
        manifest::PermissionMode::Ask => Mode::Ask,
        manifest::PermissionMode::AutoEdit => Mode::AutoEdit,
        manifest::PermissionMode::Auto => Mode::Auto,
    });
    flag.or(configured).unwrap_or_default()
}

fn at_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

fn format(arguments: &RunArgs) -> OutputFormat {
    if arguments.json {
        OutputFormat::StreamJson
    } else {
        arguments.output_format
    }
}

fn renderer(arguments: &RunArgs, choices: &Choices, session: &str) -> Box<dyn Renderer> {
    let loudness = match (arguments.quiet, arguments.verbose) {
        (true, _) => Loudness::Quiet,
        (_, true) => Loudness::Verbose,
        _ => Loudness::Normal,
    };
    match format(arguments) {
        OutputFormat::Text => Box::new(Text::new(loudness, choices.asking == Asking::Terminal)),
        OutputFormat::Json => Box::new(Silent),
        OutputFormat::StreamJson => Box::new(StreamJson::new(session.to_owned())),
    }
}

fn result(bench: &Workbench, end: TurnEnd, exit_code: u8, artifacts: Vec<String>) -> RunResult {
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

fn exit_code(bench: &Workbench, end: TurnEnd, signals: &Signals) -> u8 {
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

fn report(arguments: &RunArgs, result: &RunResult) {
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

/// Opened before the work begins: after hours of it is no time to find that the answer has no place.
fn output_file(arguments: &RunArgs) -> Result<Option<File>> {
    let open = |path: &PathBuf| {
        File::create(path)
            .map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))
    };
    arguments.output.as_ref().map(open).transpose()
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
            format!("set the provider's key with `ml-intern login NAME` or in the environment (for openai: OPENAI_API_KEY); `ml-intern status` shows what is there; {go_on}")
        }
        TurnEnd::Budget => format!("--budget-usd raises the budget; {go_on}"),
        TurnEnd::Iterations => format!("--max-iterations raises the cap; {go_on}"),
        TurnEnd::Time => format!("--timeout raises the limit; {go_on}"),
        TurnEnd::Repetition => format!("say what to do differently: {go_on}"),
        TurnEnd::Interrupted | TurnEnd::Error => go_on,
    };
    ui::err(&format!("{} {hint}", ui::Style::stderr().dim("hint:")));
}
