//! Where the host keeps its own files (XDG base directories).

use crate::error::{Failure, Kind, Result};
use std::env;
use std::path::{Path, PathBuf};

/// The host's folders. No plugin sees them.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    pub(crate) config: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) cache: PathBuf,
    /// The user's own; programs do not see it.
    pub(crate) home: Option<PathBuf>,
}

impl Paths {
    pub(crate) fn from_environment() -> Result<Self> {
        Ok(Self {
            config: folder("XDG_CONFIG_HOME", ".config")?,
            data: folder("XDG_DATA_HOME", ".local/share")?,
            cache: folder("XDG_CACHE_HOME", ".cache")?,
            home: home().ok(),
        })
    }

    pub(crate) fn sessions(&self) -> PathBuf {
        self.data.join("sessions")
    }

    /// What services said of their models.
    pub(crate) fn models(&self) -> PathBuf {
        self.cache.join("models")
    }

    pub(crate) fn jobs(&self) -> PathBuf {
        self.data.join("jobs")
    }

    /// Compiled components. A folder of its own: the cache refuses one that others may open.
    pub(crate) fn components(&self) -> PathBuf {
        self.cache.join("components")
    }

    /// Components that were fetched.
    pub(crate) fn plugins(&self) -> PathBuf {
        self.data.join("plugins")
    }

    /// What plugins in Python and JavaScript are built with, shared by all of them.
    pub(crate) fn tool_chains(&self) -> PathBuf {
        self.cache.join("tool-chains")
    }

    /// Key of the compile cache; outside the cache, so that who can write the one need not have the other.
    pub(crate) fn cache_key(&self) -> PathBuf {
        self.data.join("cache.key")
    }

    pub(crate) fn user_manifest(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    pub(crate) fn approvals(&self) -> PathBuf {
        self.config.join("approvals.jsonl")
    }

    /// Where the user keeps which credential; no values.
    pub(crate) fn credential_map(&self) -> PathBuf {
        self.config.join("credentials.toml")
    }

    /// Values of credentials, where no key store keeps them.
    pub(crate) fn credentials(&self) -> PathBuf {
        self.data.join("credentials")
    }

    /// Values that outlive a session, a folder per workspace.
    pub(crate) fn project(&self, workspace: &Path) -> PathBuf {
        let digest = ml_intern_manifest::Digest::of(workspace.as_os_str().as_encoded_bytes());
        let hex = digest.to_string();
        let hex = hex.trim_start_matches("sha256:");
        self.data
            .join("projects")
            .join(hex.get(..16).unwrap_or(hex))
    }
}

/// Where the Hub's own client keeps its token, as of huggingface_hub 1.0: `HF_HOME` says where, or the cache folder.
pub(crate) fn hub_logins() -> Vec<PathBuf> {
    let set = |variable: &str| {
        env::var_os(variable)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    if let Some(home) = set("HF_HOME") {
        return vec![home.join("token")];
    }
    let caches = [
        set("XDG_CACHE_HOME"),
        set("HOME").map(|home| home.join(".cache")),
    ];
    let caches = caches.into_iter().flatten();
    caches
        .map(|cache| cache.join("huggingface/token"))
        .collect()
}

/// The configuration of the wasm package tools, as of `wkg` 0.12.
pub(crate) fn wasm_packages() -> Option<PathBuf> {
    if let Some(path) = env::var_os("WKG_CONFIG_FILE").filter(|path| !path.is_empty()) {
        return Some(PathBuf::from(path));
    }
    let set = |variable: &str| {
        env::var_os(variable)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let base = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))?;
    Some(base.join("wasm-pkg/config.toml"))
}

/// Where the clients of AWS keep keys, by profile.
pub(crate) fn aws_credentials() -> Option<PathBuf> {
    let home = env::var_os("HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    match env::var_os("AWS_SHARED_CREDENTIALS_FILE").filter(|path| !path.is_empty()) {
        Some(path) => match Path::new(&path).strip_prefix("~") {
            Ok(rest) => home.map(|home| home.join(rest)),
            Err(_) => Some(PathBuf::from(path)),
        },
        None => home.map(|home| home.join(".aws/credentials")),
    }
}

fn folder(variable: &str, below_home: &str) -> Result<PathBuf> {
    let set = env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let base = match set {
        Some(path) => path,
        None => home()?.join(below_home),
    };
    Ok(base.join("ml-intern"))
}

fn home() -> Result<PathBuf> {
    let home = env::var_os("HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    home.ok_or_else(|| Failure::new(Kind::Usage, anyhow::anyhow!("HOME is not set to an absolute path; set it, or XDG_DATA_HOME, XDG_CONFIG_HOME and XDG_CACHE_HOME")))
}
