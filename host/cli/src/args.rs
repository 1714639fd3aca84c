//! The command line as the user typed it.

mod plugin;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use ml_intern_agent::approval::{Mode, Rule, RuleError};
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use plugin::{
    AddArgs, BuildArgs, DevArgs, GrantArgs, NewArgs, PluginCommand, PublishArgs, RunToolArgs,
    SearchArgs, TestArgs, UpdateArgs,
};

/// An autonomous machine-learning engineer whose tools are plugins that do what you granted
#[derive(Parser)]
#[command(
    name = "ml-intern",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Without a command: a conversation at the terminal, in which PROMPT is the first message"
)]
pub(crate) struct Args {
    /// Work in this folder
    #[arg(short = 'C', long = "cd", global = true, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: Box<RunArgs>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run one task to its end
    Run(Box<RunArgs>),
    /// Go on with a session, in conversation
    Resume {
        /// Id, or the start of it [default: the newest session of this folder]
        id: Option<String>,
        #[command(flatten)]
        run: Box<RunArgs>,
    },
    /// Plugins: what is installed and what it may do
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Sessions: what was done
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// Jobs: what runs and what ran
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// Models: what the providers have, and what it costs
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Say where a credential is, and keep it
    Login(LoginArgs),
    /// Remove a credential that is kept
    Logout(LogoutArgs),
    /// Credentials: which are there, and who uses them
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        manifest: ManifestArg,
    },
    /// Check this machine and the configuration
    Doctor {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        manifest: ManifestArg,
    },
    /// Print a completion script for a shell
    Completion { shell: clap_complete::Shell },
    /// Watches over one job; started by the local back end
    #[command(name = SUPERVISE, hide = true)]
    Supervise { folder: PathBuf },
    /// Compiles one component from standard input; started by the runtime
    #[command(name = COMPILE, hide = true)]
    Compile { instances: String },
}

/// Hidden subcommand that a job's supervisor process runs.
pub(crate) const SUPERVISE: &str = "__supervise";
/// Hidden subcommand of the process that compiles a plugin.
pub(crate) const COMPILE: &str = "__compile";

/// The value is typed without being shown, or comes as one line on standard input
#[derive(ClapArgs)]
pub(crate) struct LoginArgs {
    /// Name of the credential, as `ml-intern status` shows it
    pub(crate) name: String,
    /// Where to keep the value
    #[arg(long, value_enum, default_value_t = KeptIn::Auto)]
    pub(crate) store: KeptIn,
    /// Keep nothing: the value is in this environment variable
    #[arg(long, value_name = "VARIABLE", conflicts_with_all = ["file", "store"])]
    pub(crate) env: Option<String>,
    /// Keep nothing: the value is in this file, which only you may read
    #[arg(long, value_name = "PATH", conflicts_with = "store")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum KeptIn {
    /// The key store of the system where it answers, else a file
    Auto,
    /// The key store of the system
    Keyring,
    /// A file that only you may read
    File,
}

#[derive(ClapArgs)]
#[group(required = true)]
pub(crate) struct LogoutArgs {
    /// Name of the credential
    pub(crate) name: Option<String>,
    /// All that are kept
    #[arg(long, conflicts_with = "name")]
    pub(crate) all: bool,
}

#[derive(ClapArgs)]
pub(crate) struct ManifestArg {
    /// Run manifest [default: ml-intern.toml here or in a folder above]
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,
}

#[derive(ClapArgs)]
pub(crate) struct RunArgs {
    /// The task; `-` reads it from standard input
    pub(crate) prompt: Option<String>,
    #[command(flatten)]
    pub(crate) manifest: ManifestArg,
    /// Model as PROVIDER/MODEL
    #[arg(short, long)]
    pub(crate) model: Option<String>,
    /// How hard the model thinks: minimal, low, medium, high, xhigh, max, or off for as it does by itself
    #[arg(long, value_name = "LEVEL")]
    pub(crate) effort: Option<String>,
    /// What standard output carries
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub(crate) output_format: OutputFormat,
    /// The same as --output-format stream-json
    #[arg(long, conflicts_with = "output_format")]
    pub(crate) json: bool,
    /// What standard input carries: nothing but the prompt, or one JSON object a line: words, answers and operations
    #[arg(long, value_enum, default_value_t = InputFormat::Text)]
    pub(crate) input_format: InputFormat,
    /// What happens without asking
    #[arg(long, value_enum)]
    pub(crate) permission_mode: Option<PermissionMode>,
    /// Model calls at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) max_iterations: Option<u32>,
    /// Time at most, for example 90s, 30m or 2h
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// US dollars at most
    #[arg(long, value_name = "USD", value_parser = usd)]
    pub(crate) budget_usd: Option<f64>,
    /// What happens without asking, as `process:bash(git *)`; may be given several times
    #[arg(long, value_name = "RULE", value_parser = rule)]
    pub(crate) allow: Vec<Rule>,
    /// What never happens, whatever else is allowed; may be given several times
    #[arg(long, value_name = "RULE", value_parser = rule)]
    pub(crate) deny: Vec<Rule>,
    /// Write the final answer to this file as well
    #[arg(short, long = "output-last-message", value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Give the model this file with the prompt: a picture, or text; may be given several times
    #[arg(short, long = "file", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The final answer has to be JSON that satisfies the JSON Schema in this file
    #[arg(long, value_name = "FILE")]
    pub(crate) output_schema: Option<PathBuf>,
    /// Go on with this session
    #[arg(long, value_name = "ID", conflicts_with = "continue_last")]
    pub(crate) resume: Option<String>,
    /// Go on with the newest session of this folder
    #[arg(long = "continue")]
    pub(crate) continue_last: bool,
    /// Ask the model for whole answers instead of a stream
    #[arg(long)]
    pub(crate) no_stream: bool,
    /// Keep what reaches the tools from outside (HTTP answers, time, random numbers), for `sessions replay --recorded`
    #[arg(long)]
    pub(crate) record: bool,
    /// Stop where the lockfile is not exactly that of the run manifest, for CI; no run ever changes it
    #[arg(long, conflicts_with = "dev")]
    pub(crate) locked: bool,
    /// Load the plugin that is being written in this folder, unpinned, and again whenever it is built
    #[arg(long, value_name = "FOLDER")]
    pub(crate) dev: Option<PathBuf>,
    /// Say more about what happens
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Print the final answer only
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Run the one task and end, also at a terminal; `run` always does
    #[arg(short, long)]
    pub(crate) print: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people
    Text,
    /// One JSON object at the end
    Json,
    /// One JSON object a line, as things happen
    StreamJson,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputFormat {
    Text,
    StreamJson,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum PermissionMode {
    /// Only reading
    Plan,
    /// Ask about every effect
    Ask,
    /// Edits of the workspace are free
    AutoEdit,
    /// Nothing is asked about
    Auto,
}

impl PermissionMode {
    /// As the agent knows it.
    pub(crate) fn mode(self) -> Mode {
        match self {
            Self::Plan => Mode::Plan,
            Self::Ask => Mode::Ask,
            Self::AutoEdit => Mode::AutoEdit,
            Self::Auto => Mode::Auto,
        }
    }
}

/// How a session is exported.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum ExportFormat {
    /// JSON lines as Claude Code writes them, which the Hub's trace viewer shows
    ClaudeCode,
}

#[derive(Subcommand)]
pub(crate) enum SessionsCommand {
    /// List sessions, newest first
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Sessions at most
        #[arg(short = 'n', long, default_value_t = 20)]
        limit: usize,
    },
    /// Show what plugins asked for in a session, and which rule decided
    Audit {
        /// The session's id or its beginning
        id: String,
        /// Only what was refused, limited or failed
        #[arg(long)]
        refused: bool,
        /// Only this plugin, by the beginning of its id
        #[arg(long, value_name = "ID")]
        plugin: Option<String>,
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Give a session another title
    Rename {
        /// The session's id or its beginning
        id: String,
        /// The title, one line
        title: String,
    },
    /// Copy a session, to go on from an earlier place in another way
    Fork {
        /// The session's id or its beginning
        id: String,
        /// Up to the end of this turn
        #[arg(long, value_name = "NUMBER")]
        turn: Option<u32>,
        /// Up to this entry, as `sessions show --json` numbers them
        #[arg(long, value_name = "SEQ", conflicts_with = "turn")]
        at: Option<u64>,
    },
    /// What a session took: model calls, tokens, money, tools, jobs
    Usage {
        /// The session's id or its beginning
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take a session's newest turn back: its words, and what tools did to files
    Undo {
        /// The session's id or its beginning
        id: String,
    },
    /// Run a session again from its log, and say where it comes out differently
    Replay {
        /// The session's id or its beginning
        id: String,
        /// Replay the model only: the tools run for real, here and now
        #[arg(long)]
        live_tools: bool,
        /// With --live-tools: HTTP answers, time and random numbers are those that --record kept
        #[arg(long, requires = "live_tools")]
        recorded: bool,
        /// What the tools do without asking
        #[arg(long, value_enum, requires = "live_tools")]
        permission_mode: Option<PermissionMode>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        manifest: ManifestArg,
    },
    /// Write a session as other programs read it
    Export {
        /// The session's id or its beginning
        id: String,
        /// For whom
        #[arg(long, value_enum, default_value_t = ExportFormat::ClaudeCode)]
        format: ExportFormat,
        /// To this new file instead of standard output
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Remove sessions with all that their logs keep
    Delete {
        /// Ids or their beginnings
        #[arg(required = true)]
        ids: Vec<String>,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Show what happened in a session
    Show {
        /// The session's id or its beginning
        id: String,
        /// Print its events as JSON lines
        #[arg(long)]
        json: bool,
        /// Go on with what another process writes
        #[arg(short, long)]
        follow: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum ModelsCommand {
    /// List models with their context windows, prices and features
    List {
        /// Only those whose name contains this
        search: Option<String>,
        /// Only those of this provider
        #[arg(long, value_name = "NAME")]
        provider: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        manifest: ManifestArg,
    },
    /// Show what is known of a model
    Info {
        /// PROVIDER/MODEL
        model: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        manifest: ManifestArg,
    },
}

#[derive(Subcommand)]
pub(crate) enum JobsCommand {
    /// List jobs, newest first
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Jobs at most
        #[arg(short = 'n', long, default_value_t = 20)]
        limit: u32,
    },
    /// Show a job's state
    Show {
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a job's log
    Logs {
        id: String,
        /// Go on until the job ends
        #[arg(short, long)]
        follow: bool,
    },
    /// End a job and everything that it started
    Cancel { id: String },
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = ml_intern_manifest::parse_duration(text).map_err(|error| error.to_string())?;
    if duration.is_zero() {
        Err("a limit of no time lets nothing happen; write for example 30m".into())
    } else {
        Ok(duration)
    }
}

fn rule(text: &str) -> Result<Rule, String> {
    text.parse().map_err(|error: RuleError| error.to_string())
}

fn usd(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(amount) if amount.is_finite() && amount >= 0.0 => Ok(amount),
        _ => Err("write an amount in US dollars such as 2.50".into()),
    }
}
