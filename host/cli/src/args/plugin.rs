//! Arguments of `plugin`.

use super::{ManifestArg, usd};
use clap::{Args as ClapArgs, Subcommand};
use ml_intern_manifest::Kind;
use ml_intern_toolchain::Language;
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
pub(crate) enum PluginCommand {
    /// List the plugins of the run manifest
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        manifest: ManifestArg,
    },
    /// Show a plugin's tools, what it asks for and what it was granted
    Info {
        /// Name in the run manifest
        name: String,
        #[command(flatten)]
        manifest: ManifestArg,
    },
    /// Add a plugin to the run manifest
    Add(AddArgs),
    /// See what the sources have now, and take it
    Update(UpdateArgs),
    /// Look for plugins
    Search(SearchArgs),
    /// Publish a component: to a registry, to the Hub, or into a folder
    Publish(PublishArgs),
    /// Allow a plugin more
    Grant {
        /// Name in the run manifest
        name: String,
        #[command(flatten)]
        what: GrantArgs,
        /// Allow it without a question
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        manifest: ManifestArg,
    },
    /// Take back what a plugin may do, also in sessions that are running
    Revoke {
        /// Name in the run manifest
        name: String,
        #[command(flatten)]
        what: GrantArgs,
        #[command(flatten)]
        manifest: ManifestArg,
    },
    /// Say which rule allows or denies a request, and the line that would change it
    Explain {
        /// GET, HEAD, POST, PUT, PATCH or DELETE
        method: String,
        url: String,
        /// Only this plugin, by its name in the run manifest
        #[arg(long, value_name = "NAME")]
        plugin: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        manifest: ManifestArg,
    },
    /// Accept the plugins of the run manifest as they are now
    Lock {
        /// Change nothing; fail where the lockfile would change
        #[arg(long)]
        locked: bool,
        #[command(flatten)]
        manifest: ManifestArg,
    },
    /// Show what a component is made of: world, sizes, manifest, and what it asks for
    Inspect {
        /// A component (.wasm), the folder of one, or a name in the run manifest
        plugin: String,
        /// Print the world with all its interfaces, as WIT text
        #[arg(long, conflicts_with = "json")]
        wit: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        manifest: ManifestArg,
    },
    /// Check everything on disk again: digests, signatures, descriptions
    Verify {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        manifest: ManifestArg,
    },
    /// Delete what was fetched and no lockfile names
    Prune {
        /// Only say what would go
        #[arg(long)]
        dry_run: bool,
    },
    /// Call one tool once, and say what the call touched
    Run(RunToolArgs),
    /// Try a plugin with its author's cases; nothing reaches the network
    Test(TestArgs),
    /// Build a plugin and try its cases whenever its source changes
    Dev(DevArgs),
    /// Begin a plugin: a folder that builds, tests and runs as it is
    New(NewArgs),
    /// Build a plugin from its source
    Build(BuildArgs),
    /// Remove a plugin from the run manifest
    Remove {
        /// Name in the run manifest
        name: String,
        #[command(flatten)]
        manifest: ManifestArg,
    },
}

/// The output of the tool goes to standard output, what it says meanwhile and what it touched to standard error
#[derive(ClapArgs)]
pub(crate) struct RunToolArgs {
    /// Name of the tool [default: the plugin's only one]
    pub(crate) tool: Option<String>,
    /// Arguments: a JSON object, @FILE, or - for standard input
    #[arg(
        long,
        value_name = "JSON",
        default_value = "{}",
        allow_hyphen_values = true
    )]
    pub(crate) args: String,
    /// A component (.wasm), the folder of one, or a name in the run manifest [default: the plugin in this folder, or
    /// the one of the run manifest that has the tool]
    #[arg(long, value_name = "PLUGIN")]
    pub(crate) plugin: Option<String>,
    /// Set a configuration key of a plugin of a file; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value, requires = "plugin")]
    pub(crate) config: Vec<(String, String)>,
    /// Grant a plugin of a file what it asks for, and allow its programs and jobs, without a question
    #[arg(long)]
    pub(crate) yes: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) manifest: ManifestArg,
}

/// A case is one call in a workspace of its own, with recordings in the place of network, programs and jobs
#[derive(ClapArgs)]
pub(crate) struct TestArgs {
    /// The plugin's folder, or its component (.wasm)
    #[arg(default_value = ".", value_name = "FOLDER|FILE")]
    pub(crate) plugin: PathBuf,
    /// The cases [default: cases.toml in the plugin's folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) cases: Option<PathBuf>,
    /// Only cases whose name contains this
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Write what comes out into the cases that expect nothing yet
    #[arg(long)]
    pub(crate) update: bool,
}

/// Ctrl-C ends it
#[derive(ClapArgs)]
pub(crate) struct DevArgs {
    /// The plugin's folder
    #[arg(default_value = ".")]
    pub(crate) folder: PathBuf,
    /// The cases [default: cases.toml in the plugin's folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) cases: Option<PathBuf>,
    /// Only cases whose name contains this
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
}

#[derive(ClapArgs)]
pub(crate) struct NewArgs {
    /// NAME or PUBLISHER/NAME; also the name of the folder
    pub(crate) name: String,
    /// Language: rust, python, js, ts, c or go
    #[arg(short, long, value_name = "LANGUAGE")]
    pub(crate) lang: Language,
    /// What it is for: tool, provider or notifier
    #[arg(short, long, default_value = "tool", value_parser = kind)]
    pub(crate) kind: Kind,
}

#[derive(ClapArgs)]
pub(crate) struct BuildArgs {
    /// Folder of the plugin
    #[arg(default_value = ".")]
    pub(crate) folder: PathBuf,
    /// Replace the SDK in the folder by the one that this program carries
    #[arg(long)]
    pub(crate) renew_sdk: bool,
}

/// What is granted or taken back.
#[derive(ClapArgs)]
#[group(required = true, multiple = true)]
pub(crate) struct GrantArgs {
    /// Lines of the manifest's grant table, as a denial shows them
    #[arg(value_name = "TOML")]
    pub(crate) lines: Vec<String>,
    /// Everything: what the plugin asks for, or what it was granted
    #[arg(long)]
    pub(crate) all: bool,
    /// A host, or a URL: `example.org`, `http://127.0.0.1:8080`
    #[arg(long, value_name = "HOST")]
    pub(crate) http: Vec<String>,
    /// The workspace
    #[arg(long, value_name = "ACCESS", value_parser = ["read", "read-write"])]
    pub(crate) fs: Option<String>,
    /// A native program
    #[arg(long, value_name = "NAME")]
    pub(crate) program: Vec<String>,
    /// A place that the plugin's programs and jobs may reach: `example.org`, `*.hf.co`,
    /// `localhost:8080`, or `public` for every public host
    #[arg(long, value_name = "HOST")]
    pub(crate) network: Vec<String>,
    /// A flavor of jobs; together with --max-usd
    #[arg(long, value_name = "NAME")]
    pub(crate) flavor: Vec<String>,
    /// US dollars for all jobs of a session
    #[arg(long, value_name = "USD", value_parser = usd, requires = "flavor")]
    pub(crate) max_usd: Option<f64>,
    /// A tool of the session that the plugin may call
    #[arg(long, value_name = "NAME")]
    pub(crate) tool: Vec<String>,
    /// Questions to the session's model
    #[arg(long)]
    pub(crate) model: bool,
    /// A credential that is added to the plugin's requests
    #[arg(long, value_name = "NAME")]
    pub(crate) credential: Vec<String>,
}

#[derive(ClapArgs)]
pub(crate) struct AddArgs {
    /// builtin:NAME, a component (.wasm) or its folder, oci://HOST/REPOSITORY:TAG, NAMESPACE:NAME@VERSION,
    /// hf://ORG/REPO/PATH or https://…#sha256=…
    pub(crate) source: String,
    /// Name in the run manifest [default: the name in its plugin.toml]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Grant what it asks for without a question
    #[arg(long)]
    pub(crate) yes: bool,
    /// The publisher's public key of minisign
    #[arg(long)]
    pub(crate) key: Option<String>,
    #[command(flatten)]
    pub(crate) manifest: ManifestArg,
}

#[derive(ClapArgs)]
pub(crate) struct UpdateArgs {
    /// Names in the run manifest [default: all that do not come with the program]
    pub(crate) names: Vec<String>,
    /// Take what is new without a question
    #[arg(long)]
    pub(crate) yes: bool,
    /// The publisher's public key of minisign, in place of the one that was pinned
    #[arg(long, requires = "names")]
    pub(crate) key: Option<String>,
    /// Take a version that is older than the accepted one
    #[arg(long)]
    pub(crate) allow_downgrade: bool,
    #[command(flatten)]
    pub(crate) manifest: ManifestArg,
}

#[derive(ClapArgs)]
pub(crate) struct SearchArgs {
    /// Words to find; all of them [default: everything is listed]
    pub(crate) words: Vec<String>,
    /// Look into this index only: a file, hf://… or https://…#sha256=…
    #[arg(long, value_name = "SOURCE")]
    pub(crate) index: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) manifest: ManifestArg,
}

#[derive(ClapArgs)]
pub(crate) struct PublishArgs {
    /// The component (.wasm), or its folder
    pub(crate) component: PathBuf,
    /// oci://HOST/REPOSITORY[:TAG], hf://ORG/REPO[@BRANCH]/PATH or a folder
    pub(crate) target: String,
    /// Its signature by minisign [default: the file beside it that ends in .minisig]
    #[arg(long, value_name = "FILE")]
    pub(crate) signature: Option<PathBuf>,
    /// Replace what is there under the same name
    #[arg(long)]
    pub(crate) replace: bool,
    /// Publish without a question
    #[arg(long)]
    pub(crate) yes: bool,
}

impl PluginCommand {
    /// The run manifest that it is about.
    pub(crate) fn manifest(&self) -> Option<&Path> {
        let argument = match self {
            Self::List { manifest, .. }
            | Self::Info { manifest, .. }
            | Self::Grant { manifest, .. }
            | Self::Revoke { manifest, .. }
            | Self::Explain { manifest, .. }
            | Self::Lock { manifest, .. }
            | Self::Verify { manifest, .. }
            | Self::Inspect { manifest, .. }
            | Self::Run(RunToolArgs { manifest, .. })
            | Self::Remove { manifest, .. } => manifest,
            Self::Add(given) => &given.manifest,
            Self::Update(given) => &given.manifest,
            Self::Search(given) => &given.manifest,
            Self::Prune { .. }
            | Self::Publish(_)
            | Self::New(_)
            | Self::Build(_)
            | Self::Test(_)
            | Self::Dev(_) => return None,
        };
        argument.manifest.as_deref()
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".into()),
    }
}

fn kind(text: &str) -> Result<Kind, String> {
    let known = Kind::ALL.into_iter().find(|kind| kind.as_str() == text);
    known.ok_or_else(|| "write tool, provider or notifier".into())
}
