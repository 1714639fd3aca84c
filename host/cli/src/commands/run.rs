//! `run`: one task, from its words to its result. Without `run`, a conversation.

mod artifacts;
mod attached;
mod chat;
mod opening;
mod options;
mod report;
mod signals;
mod stage;

use crate::adapters::inbox::{Format, Inbox};
use crate::args::{InputFormat, OutputFormat, RunArgs};
use crate::compose::lock;
use crate::compose::workbench::{OpenSession, Prepared};
use crate::config::Config;
use crate::error::{Failure, Kind, OrFail, Result};
use crate::ui::{self, RunResult};
use ml_intern_agent::event::TurnEnd;
use ml_intern_agent::message::Image;
use ml_intern_agent::ports::JournalError;
use opening::Opened;
use signals::Signals;
use stage::Scene;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Time for what still runs when the program ends.
const SHUTDOWN: Duration = Duration::from_millis(100);

/// One task.
pub(crate) fn run(directory: Option<&Path>, arguments: RunArgs) -> Result<u8> {
    on_one_thread(&arguments, task(directory, &arguments))
}

/// A conversation, where somebody is there to have one; else one task.
pub(crate) fn converse(directory: Option<&Path>, arguments: RunArgs) -> Result<u8> {
    options::no_command(arguments.prompt.as_deref())?;
    let programs = arguments.input_format == InputFormat::StreamJson;
    let people = options::at_terminal() && options::format(&arguments) == OutputFormat::Text;
    if arguments.print || !(programs || people) {
        return run(directory, arguments);
    }
    on_one_thread(&arguments, chat::chat(directory, &arguments))
}

fn on_one_thread(arguments: &RunArgs, work: impl Future<Output = Result<u8>>) -> Result<u8> {
    // Plugins yield every 10 ms, and each hop to another thread costs more than most calls.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .or_fail(Kind::Failed)?;
    let result = runtime.block_on(work);
    if let Err(failure) = &result {
        report::report_failure(arguments, failure);
    }
    // A thread may still wait for standard input, and must not hold the program up.
    runtime.shutdown_timeout(SHUTDOWN);
    result
}

async fn task(directory: Option<&Path>, arguments: &RunArgs) -> Result<u8> {
    let config = Config::load(directory, arguments.manifest.manifest.as_deref())?
        .with_dev(arguments.dev.as_deref())?;
    let start = opening::find(&config, arguments)?;
    let attached = attached::read(&arguments.files)?;
    let input = options::prompt_text(arguments, &start)?;
    let input = input.map(|input| input + &attached.text);
    let choices = options::choices(&config, arguments, start.model())?;
    let mut output = options::output_file(arguments)?;
    let signals = Signals::listen().or_fail(Kind::Failed)?;
    let inbox = inbox(&config, choices.input)?;
    let prepared = prepared(&config, arguments, &choices.model, &signals).await?;
    let opened = opening::open(&config, start)?;
    let scene = Scene {
        config: &config,
        arguments,
        choices: &choices,
        signals: &signals,
    };
    let words = Words {
        text: input,
        images: attached.images,
    };
    let result = Box::pin(work(scene, prepared, opened, words, inbox)).await?;
    if let Some(file) = &mut output {
        let answer = result.message.as_deref().unwrap_or_default();
        if let Err(error) = file.write_all(answer.as_bytes()) {
            ui::warn(&format!("the answer was not written to its file: {error}"));
        }
    }
    report::report(arguments, &result);
    Ok(result.exit_code)
}

/// Everything that has to be right first. Fetching and compiling can take long, so a first Ctrl-C ends that.
async fn prepared<'a>(
    config: &'a Config,
    arguments: &RunArgs,
    model: &str,
    signals: &Signals,
) -> Result<Prepared<'a>> {
    if arguments.locked {
        lock::exact(config)?;
    }
    tokio::select! {
        prepared = Prepared::new(config, model) => prepared,
        () = signals.start().cancelled_owned() => {
            let error = anyhow::anyhow!("interrupted before the session began");
            let kind = match signals.terminated() {
                true => Kind::Terminated,
                false => Kind::Interrupted,
            };
            Err(Failure::new(kind, error))
        }
    }
}

/// What the person says at first.
#[derive(Default)]
struct Words {
    text: Option<String>,
    images: Vec<Image>,
}

fn inbox(config: &Config, format: Option<Format>) -> Result<Option<Arc<Inbox>>> {
    let open = |format| Inbox::open(format, config.paths.approvals()).or_fail(Kind::Failed);
    Ok(format.map(open).transpose()?.map(Arc::new))
}

async fn work(
    scene: Scene<'_>,
    prepared: Prepared<'_>,
    (opened, log): (Opened, OpenSession),
    words: Words,
    inbox: Option<Arc<Inbox>>,
) -> Result<RunResult> {
    let began = SystemTime::now();
    let (set, watch) = scene.set(prepared, &opened.id, log, inbox.clone(), false)?;
    let bench = &set.bench;
    let turn = async {
        stage::begin(scene, bench, &opened).await?;
        stage::attach(bench, words.images)?;
        let input = words.text.as_deref();
        stage::turn(bench, input, inbox.as_deref(), scene.signals).await
    };
    let outcome: std::result::Result<_, JournalError> = tokio::select! {
        outcome = turn => outcome,
        never = watch.run() => match never {},
    };
    let bench = set.finish().await;
    let artifacts = artifacts::since(&scene.config.workspace, began);
    Ok(match outcome {
        Ok(ended) => {
            let code = report::exit_code(&bench, ended.end, scene.signals);
            report::result(&bench, ended.end, code, artifacts)
        }
        Err(error) => {
            ui::warn(&format!(
                "{error}; free space there, then go on with --continue"
            ));
            let failed = report::result(&bench, TurnEnd::Error, Kind::Failed as u8, artifacts);
            RunResult {
                error: Some(error.to_string()),
                ..failed
            }
        }
    })
}
