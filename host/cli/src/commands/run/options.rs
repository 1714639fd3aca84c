//! What the user asked for, from flags and configuration.

use super::opening::Start;
use crate::adapters::effects::Recording;
use crate::adapters::inbox;
use crate::args::{Args, InputFormat, OutputFormat, PermissionMode, RunArgs};
use crate::compose::workbench::{Choices, OpenSession};
use crate::config::Config;
use crate::error::{Failure, Kind, OrFail as _, Result};
use crate::ui::{Loudness, Renderer, Silent, StreamJson, Text};
use clap::CommandFactory as _;
use ml_intern_agent::answer::Expected;
use ml_intern_agent::approval::{Mode, Rule, Rules};
use ml_intern_agent::budget::Budget;
use ml_intern_agent::effort::LEVELS;
use ml_intern_agent::money::MicroUsd;
use ml_intern_manifest as manifest;
use ml_intern_runtime::Effects;
use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Letters that a mistyped command has wrong.
const TYPO: usize = 2;
/// Bytes of a prompt; a model's context holds less.
const PROMPT_BYTES: u64 = 4 << 20;
/// Bytes of a schema; it is sent with every request.
const SCHEMA_BYTES: u64 = 256 << 10;

/// The words of a task that runs alone.
pub(super) fn prompt_text(arguments: &RunArgs, start: &Start) -> Result<Option<String>> {
    match given_prompt(arguments)? {
        Some(text) => Ok(Some(text)),
        None => start.input_without_prompt(),
    }
}

/// What the command line says to the model.
pub(super) fn given_prompt(arguments: &RunArgs) -> Result<Option<String>> {
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
    let text = text.map(|text| text.trim().to_owned());
    Ok(text.filter(|text| !text.is_empty()))
}

/// One word that is almost a command was meant as one, and must not cost a model call.
pub(super) fn no_command(prompt: Option<&str>) -> Result<()> {
    let word = prompt.filter(|prompt| !prompt.contains(char::is_whitespace));
    let commands = Args::command();
    let names = commands.get_subcommands().map(|command| command.get_name());
    let close = |word: &str, name: &str| strsim::damerau_levenshtein(word, name) <= TYPO;
    let meant = word.and_then(|word| names.into_iter().find(|name| close(word, name)));
    match (word, meant) {
        (Some(word), Some(name)) => Err(Failure::usage(format!("there is no command `{word}`"))
            .hint(format!("did you mean `ml-intern {name}`?"))
            .hint(format!("to say it to the model: `ml-intern run {word}`"))),
        _ => Ok(()),
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

pub(super) fn choices(
    config: &Config,
    arguments: &RunArgs,
    before: Option<String>,
) -> Result<Choices> {
    let agent = &config.manifest.agent;
    let model = arguments
        .model
        .clone()
        .or(before)
        .or_else(|| agent.model.clone());
    let model = model.ok_or_else(|| {
        Failure::usage("no model is chosen")
            .hint("name one with --model PROVIDER/MODEL, for example --model openai/gpt-5.5")
            .hint("or set `model` in [agent] of ml-intern.toml")
    })?;
    let input = match arguments.input_format {
        InputFormat::StreamJson => Some(inbox::Format::Json),
        _ if format(arguments) == OutputFormat::Text && at_terminal() => Some(inbox::Format::Typed),
        _ => None,
    };
    let defaults = Budget::default();
    let limits = &config.manifest.budget;
    Ok(Choices {
        model,
        mode: mode(arguments, agent),
        rules: rules(arguments, agent)?,
        budget: Budget {
            iterations: arguments
                .max_iterations
                .or(agent.max_iterations)
                .unwrap_or(defaults.iterations),
            time: arguments.timeout.or(limits.time).unwrap_or(defaults.time),
            usd: arguments.budget_usd.or(limits.usd).map(MicroUsd::from_usd),
            assumed: limits
                .assumed_usd_per_million_tokens
                .map(MicroUsd::from_usd),
            fixed: false,
        },
        stream: !arguments.no_stream,
        effort: match arguments.effort.as_ref().or(agent.effort.as_ref()) {
            Some(word) => Some(effort(word)?),
            None => None,
        },
        schema: arguments.output_schema.as_deref().map(schema).transpose()?,
        window: agent.context_window.map(u64::from),
        input,
        verbose: arguments.verbose,
        effects: None,
    })
}

/// How hard the model is to think; nothing for `off`.
pub(super) fn effort(word: &str) -> Result<Option<String>> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    match word {
        "off" => Ok(None),
        word if (1..=32).contains(&word.len()) && word.chars().all(plain) => {
            Ok(Some(word.to_owned()))
        }
        word => Err(Failure::usage(format!(
            "`{}` is no effort; write {}, `off`, or a word of the service's own",
            manifest::shorten(word),
            LEVELS.map(|level| format!("`{level}`")).join(", ")
        ))),
    }
}

/// What final answers have to satisfy.
fn schema(path: &Path) -> Result<serde_json::Value> {
    let cannot =
        |what: String| Failure::usage(format!("--output-schema {}: {what}", path.display()));
    let size = std::fs::metadata(path)
        .map_err(|error| cannot(error.to_string()))?
        .len();
    if size > SCHEMA_BYTES {
        return Err(cannot(format!(
            "the file has more than {SCHEMA_BYTES} bytes"
        )));
    }
    let text = std::fs::read_to_string(path).map_err(|error| cannot(error.to_string()))?;
    let schema: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| cannot(format!("it is not JSON: {error}")))?;
    if !schema.is_object() {
        return Err(cannot("it is not a JSON object".to_owned()));
    }
    Expected::new(&schema)
        .usable()
        .map_err(|problem| cannot(format!("it is no JSON Schema: {problem}")))?;
    Ok(schema)
}

/// Those of the command line, and those of the manifest.
fn rules(arguments: &RunArgs, agent: &manifest::AgentSection) -> Result<Rules> {
    let parsed = |flags: &[Rule], texts: &[String], key: &str| {
        let texts = texts.iter().map(|text| {
            let rule = text.parse::<Rule>();
            rule.map_err(|error| Failure::usage(format!("[agent] {key}: {error}")))
        });
        let texts = texts.collect::<Result<Vec<_>>>()?;
        Ok([flags, &texts].concat())
    };
    Ok(Rules {
        allow: parsed(&arguments.allow, &agent.allow, "allow")?,
        deny: parsed(&arguments.deny, &agent.deny, "deny")?,
    })
}

fn mode(arguments: &RunArgs, agent: &manifest::AgentSection) -> Mode {
    let flag = arguments.permission_mode.map(PermissionMode::mode);
    let configured = agent.permission_mode.map(|mode| match mode {
        manifest::PermissionMode::Plan => Mode::Plan,
        manifest::PermissionMode::Ask => Mode::Ask,
        manifest::PermissionMode::AutoEdit => Mode::AutoEdit,
        manifest::PermissionMode::Auto => Mode::Auto,
    });
    flag.or(configured).unwrap_or_default()
}

pub(super) fn at_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

pub(super) fn format(arguments: &RunArgs) -> OutputFormat {
    if arguments.json {
        OutputFormat::StreamJson
    } else {
        arguments.output_format
    }
}

/// Opened before the work begins: after hours of it is no time to find that the answer has no place.
pub(super) fn output_file(arguments: &RunArgs) -> Result<Option<File>> {
    let open = |path: &PathBuf| {
        File::create(path)
            .map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))
    };
    arguments.output.as_ref().map(open).transpose()
}

/// `talk`: the session has several turns.
pub(super) fn renderer(
    arguments: &RunArgs,
    choices: &Choices,
    session: &str,
    talk: bool,
) -> Box<dyn Renderer> {
    let loudness = match (arguments.quiet, arguments.verbose) {
        (true, _) => Loudness::Quiet,
        (_, true) => Loudness::Verbose,
        _ => Loudness::Normal,
    };
    match format(arguments) {
        OutputFormat::Text => Box::new(Text::new(
            loudness,
            choices.input == Some(inbox::Format::Typed),
        )),
        OutputFormat::Json => Box::new(Silent),
        OutputFormat::StreamJson => Box::new(StreamJson::new(session.to_owned(), talk)),
    }
}

/// With what keeps the effects of calls, where that is wanted.
pub(super) fn recording(
    arguments: &RunArgs,
    choices: &Choices,
    opened: &OpenSession,
) -> Result<Choices> {
    let mut choices = choices.clone();
    if arguments.record {
        let recording = Recording::open(opened.log.folder()).or_fail(Kind::Failed)?;
        choices.effects = Some(Effects::Record(Arc::new(recording)));
    }
    Ok(choices)
}
