//! Tool chains outside of the system's folders: pyenv, conda, rustup, what `uv` and `pipx`
//! installed. A program needs the folder on its path and the installation around it, and of a
//! home nothing else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::view::entries;

/// Folders beside a `bin` that belong to an installation.
const SIBLINGS: [&str; 30] = [
    "bin",
    "sbin",
    "condabin",
    "shims",
    "lib",
    "lib32",
    "lib64",
    "libexec",
    "share",
    "include",
    "etc",
    "ssl",
    "versions",
    "version",
    "plugins",
    "pyenv.d",
    "completions",
    "envs",
    "pkgs",
    "conda-meta",
    "compiler_compat",
    "x86_64-conda-linux-gnu",
    "aarch64-conda-linux-gnu",
    "targets",
    "nvvm",
    "extras",
    "pyvenv.cfg",
    "toolchains",
    "settings.toml",
    "installs",
];

/// Of a home and of `~/.local`, which hold everything of a person, only this.
const OF_HOME: [&str; 1] = ["bin"];
const OF_LOCAL: [&str; 6] = [
    "bin",
    "lib",
    "pipx/venvs",
    "share/pipx/venvs",
    "share/uv/python",
    "share/uv/tools",
];
/// Credentials lie beside these.
const OF_CARGO: [&str; 1] = ["bin"];

/// Folders of a home that are never shown, whatever is on the path.
const NEVER: [&str; 9] = [
    ".config", ".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".cache", ".netrc",
];

/// Installations looked at: links lead from one to another.
const MAX_INSTALLATIONS: usize = 64;
/// Files looked at in one `bin`.
const MAX_FILES: usize = 4096;

/// The folders that programs found on `path` need beside the system's. `writable` are folders
/// that a program may change: what a link in them points to says nothing about the user's wishes.
pub fn toolchains(path: &[PathBuf], home: Option<&Path>, writable: &[PathBuf]) -> Vec<PathBuf> {
    let home = home.and_then(|home| home.canonicalize().ok());
    let mut search = Search {
        home: home.as_deref(),
        writable: writable
            .iter()
            .filter_map(|folder| folder.canonicalize().ok())
            .collect(),
        seen: BTreeSet::new(),
        found: BTreeSet::new(),
    };
    for folder in path {
        search.visit(folder);
    }
    search.found.into_iter().collect()
}

struct Search<'a> {
    home: Option<&'a Path>,
    writable: Vec<PathBuf>,
    seen: BTreeSet<PathBuf>,
    found: BTreeSet<PathBuf>,
}

impl Search<'_> {
    /// Takes a folder of programs, and those that its links lead to.
    fn visit(&mut self, folder: &Path) {
        let mut open = vec![folder.to_owned()];
        while let Some(folder) = open.pop() {
            let Ok(folder) = folder.canonicalize() else {
                continue;
            };
            if self.seen.len() >= MAX_INSTALLATIONS
                || self.is_shown_anyway(&folder)
                || self.is_private(&folder)
                || !self.seen.insert(folder.clone())
            {
                continue;
            }
            self.take(&folder);
            open.extend(linked_folders(&folder));
        }
    }

    fn take(&mut self, folder: &Path) {
        self.found.insert(folder.to_owned());
        let Some(prefix) = folder.parent() else {
            return;
        };
        let is = |below: &str| self.home.is_some_and(|home| prefix == home.join(below));
        let parts: &[&str] = if self.home.is_some_and(|home| home == prefix) {
            &OF_HOME
        } else if is(".local") {
            &OF_LOCAL
        } else if is(".cargo") {
            let rustup = self.home.map(|home| home.join(".rustup"));
            let parts = ["toolchains", "settings.toml"];
            self.add_parts(&rustup.unwrap_or_default(), &parts);
            &OF_CARGO
        } else if is_installation(folder) {
            &SIBLINGS
        } else {
            &[]
        };
        self.add_parts(prefix, parts);
    }

    fn add_parts(&mut self, prefix: &Path, parts: &[&str]) {
        for part in parts {
            let Ok(path) = prefix.join(part).canonicalize() else {
                continue;
            };
            if !self.is_private(&path) && !self.is_shown_anyway(&path) {
                self.found.insert(path);
            }
        }
    }

    fn is_shown_anyway(&self, path: &Path) -> bool {
        let system = ["/usr", "/opt", "/nix/store", "/gnu/store", "/snap"];
        system.iter().any(|root| path.starts_with(root))
            || self.writable.iter().any(|root| path.starts_with(root))
    }

    /// Whether showing the path would show a home, or more than one.
    fn is_private(&self, path: &Path) -> bool {
        if path.parent().is_none() {
            return true;
        }
        self.home.is_some_and(|home| {
            home.starts_with(path) || NEVER.iter().any(|never| path.starts_with(home.join(never)))
        })
    }
}

/// Whether the folder's siblings belong to it, by its name.
fn is_installation(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str());
    matches!(name, Some("bin" | "sbin" | "shims" | "condabin" | "script"))
}

/// Folders that hold what links in `folder` point to.
fn linked_folders(folder: &Path) -> BTreeSet<PathBuf> {
    entries(folder)
        .take(MAX_FILES)
        .map(|name| folder.join(name))
        .filter(|path| path.is_symlink())
        .filter_map(|path| Some(path.canonicalize().ok()?.parent()?.to_owned()))
        .filter(|target| target != folder)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    struct Home(tempfile::TempDir);

    impl Home {
        fn new(folders: &[&str]) -> Self {
            let home = tempfile::tempdir().unwrap();
            for folder in folders {
                fs::create_dir_all(home.path().join(folder)).unwrap();
            }
            Self(home)
        }

        fn path(&self, below: &str) -> PathBuf {
            self.0.path().canonicalize().unwrap().join(below)
        }

        fn found(&self, path: &[&str], writable: &[&str]) -> Vec<String> {
            let full =
                |parts: &[&str]| parts.iter().map(|part| self.path(part)).collect::<Vec<_>>();
            let home = self.path("");
            toolchains(&full(path), Some(&home), &full(writable))
                .iter()
                .map(|path| path.strip_prefix(&home).unwrap().display().to_string())
                .collect()
        }
    }

    #[test]
    fn an_installation_comes_with_its_libraries_and_without_its_neighbours() {
        let home = Home::new(&[".pyenv/shims", ".pyenv/versions", ".pyenv/secret", ".ssh"]);
        let found = home.found(&[".pyenv/shims"], &[]);
        assert_eq!(found, [".pyenv/shims", ".pyenv/versions"]);
    }

    #[test]
    fn a_home_and_its_local_folder_show_only_programs_and_libraries() {
        let home = Home::new(&[
            "bin",
            "lib",
            ".local/bin",
            ".local/lib",
            ".local/share/keyrings",
            ".local/share/uv/python",
        ]);
        assert_eq!(home.found(&["bin"], &[]), ["bin"]);
        let found = home.found(&[".local/bin"], &[]);
        assert_eq!(
            found,
            [".local/bin", ".local/lib", ".local/share/uv/python"]
        );
    }

    #[test]
    fn cargo_comes_with_its_tool_chains_and_without_credentials() {
        let home = Home::new(&[".cargo/bin", ".cargo/registry", ".rustup/toolchains"]);
        fs::write(home.path(".cargo/credentials.toml"), "secret").unwrap();
        let found = home.found(&[".cargo/bin"], &[]);
        assert_eq!(found, [".cargo/bin", ".rustup/toolchains"]);
    }

    #[test]
    fn links_lead_to_other_installations_but_not_out_of_the_workspace() {
        let home = Home::new(&["tools/bin", "x/venv/bin", "x/venv/lib", "work/.venv/bin"]);
        fs::write(home.path("x/venv/bin/black"), "").unwrap();
        symlink(home.path("x/venv/bin/black"), home.path("tools/bin/black")).unwrap();
        symlink(
            home.path("x/venv/bin/black"),
            home.path("work/.venv/bin/black"),
        )
        .unwrap();
        let found = home.found(&["tools/bin"], &["work"]);
        assert_eq!(found, ["tools/bin", "x/venv/bin", "x/venv/lib"]);
        let found = home.found(&["work/.venv/bin"], &["work"]);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn a_path_that_names_the_home_or_a_private_folder_shows_nothing() {
        let home = Home::new(&[".config/x/bin", ".ssh/bin"]);
        let found = home.found(&["", ".config/x/bin", ".ssh/bin"], &[]);
        assert!(found.is_empty(), "{found:?}");
        assert!(toolchains(&["/".into()], None, &[]).is_empty());
    }
}
