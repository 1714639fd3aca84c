//! What of the machine an isolated program sees.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::ExecError;

/// The folders and files of an isolated program, beside what every program needs: the system's
/// programs and libraries, a few files of `/etc`, `/proc`, and the devices that compute. All
/// paths are absolute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// Read, and executed from.
    pub read: Vec<PathBuf>,
    /// Also changed: the workspace first of all.
    pub write: Vec<PathBuf>,
    /// Within `write`, and never changed, made, moved or removed.
    pub protected: Vec<PathBuf>,
    /// Never seen, also where they lie within the others: the host's own files.
    pub hidden: Vec<PathBuf>,
    /// The user's home, whose places for secrets are hidden unless `read` or `write` names them.
    pub home: Option<PathBuf>,
    /// Appears as `/tmp`; without it that is memory, and gone with the program and its room.
    pub tmp: Option<PathBuf>,
}

impl View {
    /// One folder that may be changed, and the system.
    pub fn of(workspace: impl Into<PathBuf>) -> Self {
        Self {
            write: vec![workspace.into()],
            ..Self::default()
        }
    }
}

/// How a program uses what it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Access {
    Read,
    Write,
    /// Read, written, and sent commands.
    Device,
}

/// One file or folder that a program sees, links resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exposure {
    pub(super) path: PathBuf,
    pub(super) access: Access,
    pub(super) folder: bool,
}

/// Programs, libraries, and what package managers put beside them.
const SYSTEM: [&str; 11] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/nix/store",
    "/gnu/store",
    "/snap",
];

/// What programs read of `/etc`: who users are by name, how names are looked up, whom TLS
/// trusts, how libraries are found, and settings that hold no secret. Not `shadow`, `ssh`,
/// private keys of `ssl`, `pip.conf` and other files that may hold a password.
const ETC: [&str; 58] = [
    "passwd",
    "group",
    "nsswitch.conf",
    "hosts",
    "host.conf",
    "hostname",
    "resolv.conf",
    "gai.conf",
    "services",
    "protocols",
    "networks",
    "rpc",
    "ethertypes",
    "localtime",
    "timezone",
    "os-release",
    "lsb-release",
    "debian_version",
    "redhat-release",
    "alpine-release",
    "issue",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "ld.so.preload",
    "ssl/certs",
    "ssl/openssl.cnf",
    "ssl/cert.pem",
    "pki/tls/certs",
    "pki/tls/cert.pem",
    "pki/tls/openssl.cnf",
    "pki/ca-trust/extracted",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "alternatives",
    "fonts",
    "mime.types",
    "magic",
    "magic.mime",
    "mailcap",
    "inputrc",
    "bash.bashrc",
    "profile",
    "profile.d",
    "shells",
    "terminfo",
    "gitconfig",
    "gitattributes",
    "locale.alias",
    "locale.conf",
    "login.defs",
    "mtab",
    "perl",
    "nvidia",
    "OpenCL",
    "vulkan",
    "R",
];

/// Also every entry of `/etc` that begins so: `python3`, `python3.12`, `java-17-openjdk`.
const ETC_PREFIXES: [&str; 3] = ["python3", "java-", "ImageMagick"];

/// Processors, memory nodes, accelerators and their drivers.
const SYS: [&str; 5] = [
    "/sys/devices",
    "/sys/bus",
    "/sys/class",
    "/sys/dev",
    "/sys/module",
];

const DEVICES: [&str; 6] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
];

/// Accelerators by the beginning of their names in `/dev`.
const ACCELERATORS: [&str; 6] = ["nvidia", "dri", "kfd", "accel", "dxg", "infiniband"];

/// Where people and their tools keep secrets, relative to the home.
const SECRETS: [&str; 30] = [
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".config",
    ".kube",
    ".docker",
    ".netrc",
    ".pgpass",
    ".my.cnf",
    ".git-credentials",
    ".gitconfig.local",
    ".pypirc",
    ".npmrc",
    ".yarnrc.yml",
    ".condarc",
    ".kaggle",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".cargo/config.toml",
    ".gem/credentials",
    ".password-store",
    ".mozilla",
    ".thunderbird",
    ".bash_history",
    ".zsh_history",
    ".python_history",
    ".cache/huggingface/token",
    ".cache/huggingface/stored_tokens",
    ".local/share/keyrings",
];

/// Everything that `view` and the system show, the folders of the caller first checked.
pub(super) fn exposures(view: &View) -> Result<Vec<Exposure>, ExecError> {
    static SYSTEM_PARTS: OnceLock<Vec<Exposure>> = OnceLock::new();
    // Hundreds of looks at the file system, with the same result each time.
    let mut all = SYSTEM_PARTS.get_or_init(system_parts).clone();
    for (paths, access) in [(&view.read, Access::Read), (&view.write, Access::Write)] {
        for path in paths {
            all.push(named(path, access)?);
        }
    }
    Ok(all)
}

fn system_parts() -> Vec<Exposure> {
    let mut all = Vec::new();
    for path in SYSTEM.into_iter().chain(SYS) {
        all.extend(existing(Path::new(path), Access::Read));
    }
    let settings = |one: &Exposure| {
        // Links out of the system lead to what is made at run time, for another process.
        let system = ["/etc", "/usr", "/opt", "/nix", "/gnu", "/lib"];
        system.iter().any(|root| one.path.starts_with(root))
    };
    for path in etc() {
        all.extend(existing(&path, Access::Read).filter(settings));
    }
    for path in DEVICES.into_iter().map(PathBuf::from).chain(accelerators()) {
        all.extend(existing(&path, Access::Device));
    }
    all
}

/// What must not be seen, and whether that holds against an exposure of just this path.
pub(super) fn hidden(view: &View) -> Vec<(PathBuf, bool)> {
    let own = view.hidden.iter().cloned().map(|path| (path, true));
    let secrets = view
        .home
        .iter()
        .flat_map(|home| SECRETS.iter().map(move |secret| (home.join(secret), false)));
    own.chain(secrets)
        .filter_map(|(path, always)| Some((path.canonicalize().ok()?, always)))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// Links that stand in the root folder (`/bin`, `/home` on some systems) and their targets.
pub(super) fn root_links() -> Vec<(PathBuf, PathBuf)> {
    links_in(Path::new("/"), |_| true)
}

/// Links among the files of `/etc` that are shown.
pub(super) fn etc_links() -> Vec<(PathBuf, PathBuf)> {
    etc()
        .into_iter()
        .filter_map(|path| Some((path.clone(), std::fs::read_link(path).ok()?)))
        .collect()
}

fn links_in(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<(PathBuf, PathBuf)> {
    entries(folder)
        .filter(|name| wanted(name))
        .map(|name| folder.join(name))
        .filter_map(|path| Some((path.clone(), std::fs::read_link(path).ok()?)))
        .collect()
}

fn etc() -> Vec<PathBuf> {
    let folder = Path::new("/etc");
    let begins = |name: &String| ETC_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    ETC.into_iter()
        .map(str::to_owned)
        .chain(entries(folder).filter(begins))
        .map(|name| folder.join(name))
        .collect()
}

fn accelerators() -> impl Iterator<Item = PathBuf> {
    let folder = Path::new("/dev");
    entries(folder)
        .filter(|name| ACCELERATORS.iter().any(|prefix| name.starts_with(prefix)))
        .map(move |name| folder.join(name))
}

/// Names in a folder; none where it cannot be read.
pub(super) fn entries(folder: &Path) -> impl Iterator<Item = String> {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
}

fn existing(path: &Path, access: Access) -> Option<Exposure> {
    let path = path.canonicalize().ok()?;
    let folder = path.is_dir();
    Some(Exposure {
        path,
        access,
        folder,
    })
}

fn named(path: &Path, access: Access) -> Result<Exposure, ExecError> {
    let wrong = |why: &str| {
        ExecError::InvalidInput(format!(
            "programs cannot be shown `{}`: {why}",
            path.display()
        ))
    };
    if !path.is_absolute() {
        return Err(wrong("write an absolute path"));
    }
    let exposure = existing(path, access).ok_or_else(|| wrong("it does not exist"))?;
    let special = ["/", "/proc", "/sys", "/dev"];
    if special
        .iter()
        .any(|folder| exposure.path == Path::new(folder))
    {
        return Err(wrong(
            "that is the whole system; name the folders that are needed",
        ));
    }
    Ok(exposure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_system_and_what_is_not_there_cannot_be_shown() {
        for path in ["/", "/proc", "relative", "/no/such/folder", "/usr/.."] {
            let view = View::of(path);
            let error = exposures(&view).unwrap_err().to_string();
            assert!(error.contains(path), "{error}");
        }
    }

    #[test]
    fn secrets_of_etc_are_not_shown_and_names_of_users_are() {
        let shown = exposures(&View::default()).unwrap();
        let has = |path: &str| shown.iter().any(|one| one.path == Path::new(path));
        assert!(has("/etc/passwd") && has("/dev/null"));
        for path in [
            "/etc",
            "/etc/shadow",
            "/etc/ssh",
            "/etc/ssl",
            "/etc/ssl/private",
        ] {
            assert!(!has(path), "{path}");
        }
    }

    #[test]
    fn secrets_of_the_home_give_way_to_the_user_and_the_hosts_files_do_not() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        for folder in [".ssh", "state"] {
            std::fs::create_dir(home.join(folder)).unwrap();
        }
        let view = View {
            hidden: vec![home.join("state"), home.join("gone")],
            home: Some(home.clone()),
            ..View::default()
        };
        let expected = vec![(home.join(".ssh"), false), (home.join("state"), true)];
        assert_eq!(hidden(&view), expected);
    }
}
