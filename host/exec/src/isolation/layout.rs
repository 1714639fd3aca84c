//! The tree of files that an isolated program sees, planned before its process exists.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::placeholder::Placeholder;
use super::view::{self, Access, View};
use super::{landlock, sys};
use crate::ExecError;

/// One step of building the tree. Paths are relative to its root.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Folder(Place),
    /// An empty file to mount over.
    File(Place),
    Link {
        place: Place,
        target: CString,
    },
    /// A part of the host's tree, with the mounts in it.
    Tree {
        source: CString,
        path: CString,
        attributes: u64,
    },
    /// An empty folder in memory; sealed later where nothing may be written.
    Memory {
        path: CString,
        size: CString,
        mode: &'static std::ffi::CStr,
    },
    Proc(CString),
    Terminals(CString),
    /// Nothing is added here any more.
    Seal(CString),
}

/// Where something is made: a folder, empty for the root, and a name in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) folder: CString,
    pub(super) name: CString,
}

/// A planned tree.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) steps: Vec<Step>,
    /// Absolute path in the tree → what Landlock allows below it.
    pub(super) rights: Vec<(CString, u64)>,
    /// Held for as long as the program lives.
    pub(super) _placeholders: Vec<Placeholder>,
}

/// Mounts of one tree: each holds a descriptor while the tree is built.
const MAX_STEPS: usize = 600;

/// What stands at a path of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Tree {
        source: PathBuf,
        access: Access,
        folder: bool,
    },
    Memory {
        size: u64,
        mode: &'static std::ffi::CStr,
        sealed: bool,
    },
    Proc,
    Terminals,
    Link(PathBuf),
    Folder,
}

/// Plans the tree for `view`; `memory` bounds each of its parts that lie in memory.
pub(super) fn plan(view: &View, memory: u64) -> Result<Layout, ExecError> {
    let mut tree = Tree::default();
    tree.add_system(view, memory);
    let exposures = view::exposures(view)?;
    for one in &exposures {
        tree.add(&one.path, &one.path, one.access, one.folder);
    }
    for (path, always) in view::hidden(view) {
        let asked = exposures.iter().any(|one| one.path == path);
        if always || !asked {
            tree.hide(&path);
        }
    }
    let placeholders = protect(&mut tree, view)?;
    let steps = tree.steps()?;
    Ok(Layout {
        rights: tree.rights(),
        steps,
        _placeholders: placeholders,
    })
}

#[derive(Default)]
struct Tree {
    nodes: BTreeMap<PathBuf, Node>,
}

impl Tree {
    fn add_system(&mut self, view: &View, memory: u64) {
        let small = 64 << 10;
        let folder = |size, mode, sealed| Node::Memory { size, mode, sealed };
        self.set("/dev", folder(small, c"755", true));
        self.set("/dev/shm", folder(memory, c"1777", false));
        self.set("/dev/pts", Node::Terminals);
        for (path, target) in [
            ("/dev/ptmx", "pts/ptmx"),
            ("/dev/fd", "/proc/self/fd"),
            ("/dev/stdin", "/proc/self/fd/0"),
            ("/dev/stdout", "/proc/self/fd/1"),
            ("/dev/stderr", "/proc/self/fd/2"),
            ("/var/tmp", "/tmp"),
            ("/var/run", "/run"),
        ] {
            self.set(path, Node::Link(target.into()));
        }
        self.set("/proc", Node::Proc);
        self.set("/run", Node::Folder);
        match &view.tmp {
            Some(source) => self.set(
                "/tmp",
                Node::Tree {
                    source: source.clone(),
                    access: Access::Write,
                    folder: true,
                },
            ),
            None => self.set("/tmp", folder(memory, c"1777", false)),
        }
        for (path, target) in view::root_links().into_iter().chain(view::etc_links()) {
            self.nodes.entry(path).or_insert(Node::Link(target));
        }
    }

    fn set(&mut self, path: &str, node: Node) {
        self.nodes.insert(path.into(), node);
    }

    /// Shows a part of the host's tree, unless what stands around it shows it in the same way.
    fn add(&mut self, path: &Path, source: &Path, access: Access, folder: bool) {
        let around = self.around(path);
        if let Some(Node::Tree {
            access: outer,
            source,
            ..
        }) = around
            && *outer == access
            && path.starts_with(source)
        {
            return;
        }
        let stronger = match self.nodes.get(path) {
            Some(Node::Tree { access: now, .. }) => *now < access,
            _ => true,
        };
        if stronger {
            let node = Node::Tree {
                source: source.to_owned(),
                access,
                folder,
            };
            self.nodes.insert(path.to_owned(), node);
        }
    }

    /// Covers what would be seen at `path`.
    fn hide(&mut self, path: &Path) {
        let visible = self.nodes.contains_key(path)
            || matches!(self.around(path), Some(Node::Tree { source, .. })
                // `/tmp` of the program is another folder than that of the host.
                if path.starts_with(source));
        if !visible {
            return;
        }
        let node = if path.is_dir() {
            Node::Memory {
                size: 4 << 10,
                mode: c"555",
                sealed: true,
            }
        } else {
            Node::Tree {
                source: "/dev/null".into(),
                access: Access::Read,
                folder: false,
            }
        };
        self.nodes.insert(path.to_owned(), node);
    }

    /// The nearest node above `path`.
    fn around(&self, path: &Path) -> Option<&Node> {
        path.ancestors()
            .skip(1)
            .find_map(|folder| self.nodes.get(folder))
    }

    /// Whether `path` is within something that the program may change.
    fn is_writable(&self, path: &Path) -> bool {
        let node = self.nodes.get(path).or_else(|| self.around(path));
        // `/tmp` of the program is another folder than that of the host.
        matches!(node, Some(Node::Tree { access: Access::Write, source, .. })
            if path.starts_with(source))
    }

    /// A mount of a part of the tree over itself: what is mounted on cannot be moved or removed.
    fn pin(&mut self, path: &Path, access: Access, folder: bool) {
        let node = Node::Tree {
            source: path.to_owned(),
            access,
            folder,
        };
        self.nodes.insert(path.to_owned(), node);
    }

    fn steps(&self) -> Result<Vec<Step>, ExecError> {
        let mut steps = Vec::new();
        let mut made = std::collections::BTreeSet::new();
        let mut seals = Vec::new();
        for (path, node) in &self.nodes {
            let parent = path.parent().unwrap_or(Path::new("/"));
            if self.passes_link(parent) {
                continue;
            }
            self.make_folders(parent, &mut made, &mut steps)?;
            let there = !self.must_make(path);
            let at = relative(path)?;
            let is_file = matches!(node, Node::Tree { folder: false, .. });
            match node {
                Node::Link(_) => {}
                _ if there => {}
                _ if is_file => steps.push(Step::File(place(path)?)),
                _ => steps.push(Step::Folder(place(path)?)),
            }
            match node {
                Node::Link(_) if there => {}
                Node::Link(target) => steps.push(Step::Link {
                    place: place(path)?,
                    target: text(target)?,
                }),
                Node::Folder => {}
                Node::Proc => steps.push(Step::Proc(at)),
                Node::Terminals => steps.push(Step::Terminals(at)),
                Node::Memory { size, mode, sealed } => {
                    if *sealed {
                        seals.push(Step::Seal(at.clone()));
                    }
                    steps.push(Step::Memory {
                        path: at,
                        size: CString::new(size.to_string()).expect("digits"),
                        mode,
                    });
                }
                Node::Tree { source, access, .. } => steps.push(Step::Tree {
                    source: text(source)?,
                    path: at,
                    attributes: attributes(*access),
                }),
            }
            made.insert(path.clone());
        }
        steps.append(&mut seals);
        if steps.len() > MAX_STEPS {
            return Err(ExecError::InvalidInput(format!(
                "programs would be shown {} folders, and {MAX_STEPS} are possible; name fewer",
                steps.len()
            )));
        }
        Ok(steps)
    }

    /// Whether a link stands in the way to `path`; what it leads to is shown by itself.
    fn passes_link(&self, path: &Path) -> bool {
        path.ancestors()
            .any(|folder| matches!(self.nodes.get(folder), Some(Node::Link(_))))
    }

    /// Whether nothing stands at `path` unless it is made: below memory and below `/tmp`.
    fn must_make(&self, path: &Path) -> bool {
        match self.around(path) {
            Some(Node::Tree { source, .. }) => !path.starts_with(source),
            _ => true,
        }
    }

    fn make_folders(
        &self,
        folder: &Path,
        made: &mut std::collections::BTreeSet<PathBuf>,
        steps: &mut Vec<Step>,
    ) -> Result<(), ExecError> {
        let mut missing: Vec<&Path> = folder
            .ancestors()
            .take_while(|folder| folder.parent().is_some() && !made.contains(*folder))
            .collect();
        missing.reverse();
        for folder in missing {
            if self.must_make(folder) {
                steps.push(Step::Folder(place(folder)?));
            }
            made.insert(folder.to_owned());
        }
        Ok(())
    }

    fn rights(&self) -> Vec<(CString, u64)> {
        let read = landlock::rights(Access::Read, true);
        let mut rights = vec![(c"/".to_owned(), read)];
        for (path, node) in &self.nodes {
            let allowed = match node {
                Node::Tree {
                    access: access @ (Access::Write | Access::Device),
                    folder,
                    ..
                } => landlock::rights(*access, *folder),
                Node::Memory { sealed: false, .. } => landlock::rights(Access::Write, true),
                Node::Terminals => landlock::rights(Access::Device, true),
                _ => continue,
            };
            if let Ok(path) = text(path) {
                rights.push((path, allowed));
            }
        }
        rights
    }
}

fn attributes(access: Access) -> u64 {
    match access {
        Access::Read => sys::READ_ONLY | sys::NO_SUID | sys::NO_DEVICES,
        Access::Write => sys::NO_SUID | sys::NO_DEVICES,
        Access::Device => sys::NO_SUID,
    }
}

/// Makes the protected files of a view unchangeable, and those that are missing unmakeable.
fn protect(tree: &mut Tree, view: &View) -> Result<Vec<Placeholder>, ExecError> {
    let mut placeholders = Vec::new();
    for path in &view.protected {
        if !tree.is_writable(path) {
            continue;
        }
        let io = |source| ExecError::Io {
            action: "keep a protected file as it is",
            source,
        };
        match std::fs::symlink_metadata(path) {
            Ok(facts) if facts.is_symlink() => {
                return Err(ExecError::InvalidInput(format!(
                    "`{}` is a link, which programs cannot be kept from replacing; make it a regular file",
                    path.display()
                )));
            }
            Ok(facts) if !facts.is_dir() => tree.pin(path, Access::Read, false),
            Ok(_) | Err(_) => {
                let Some(placeholder) = Placeholder::hold(path).map_err(io)? else {
                    if path.exists() {
                        tree.pin(path, Access::Read, false);
                    }
                    continue;
                };
                placeholders.push(placeholder);
                tree.pin(path, Access::Read, true);
            }
        }
        pin_ancestors(tree, path);
    }
    Ok(placeholders)
}

/// A folder that holds a protected file could be renamed, and another put in its place.
fn pin_ancestors(tree: &mut Tree, path: &Path) {
    let ancestors: Vec<PathBuf> = path
        .ancestors()
        .skip(1)
        .map(Path::to_owned)
        .take_while(|folder| tree.is_writable(folder))
        .collect();
    for folder in ancestors {
        // The top of a part is a mount already.
        if !tree.nodes.contains_key(&folder) {
            tree.pin(&folder, Access::Write, true);
        }
    }
}

fn text(path: &Path) -> Result<CString, ExecError> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| {
        ExecError::InvalidInput(format!("a path holds a NUL byte: `{}`", path.display()))
    })
}

fn relative(path: &Path) -> Result<CString, ExecError> {
    text(path.strip_prefix("/").unwrap_or(path))
}

fn place(path: &Path) -> Result<Place, ExecError> {
    Ok(Place {
        folder: relative(path.parent().unwrap_or(Path::new("/")))?,
        name: text(Path::new(path.file_name().unwrap_or_default()))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(layout: &Layout, wanted: impl Fn(&Step) -> bool) -> usize {
        layout.steps.iter().position(wanted).unwrap()
    }

    fn tree_at(path: &Path) -> impl Fn(&Step) -> bool {
        let wanted = relative(path).unwrap();
        move |step| matches!(step, Step::Tree { path, .. } if *path == wanted)
    }

    #[test]
    fn inner_parts_come_after_outer_ones_and_protection_is_read_only() {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path().canonicalize().unwrap();
        std::fs::create_dir_all(top.join("work/deep")).unwrap();
        std::fs::write(top.join("work/deep/ml-intern.toml"), "").unwrap();
        let view = View {
            read: vec![top.clone()],
            write: vec![top.join("work")],
            protected: vec![
                top.join("work/deep/ml-intern.toml"),
                top.join("work/ml-intern.lock"),
            ],
            ..View::default()
        };
        let layout = plan(&view, 1 << 20).unwrap();
        let outer = position(&layout, tree_at(&top));
        let work = position(&layout, tree_at(&top.join("work")));
        let pinned = position(&layout, tree_at(&top.join("work/deep")));
        let file = position(&layout, tree_at(&top.join("work/deep/ml-intern.toml")));
        assert!(outer < work && work < pinned && pinned < file);
        let Step::Tree { attributes, .. } = &layout.steps[file] else {
            panic!("a file is a part of the tree")
        };
        assert_ne!(attributes & sys::READ_ONLY, 0);
        assert!(top.join("work/ml-intern.lock").is_dir());
        drop(layout);
        assert!(!top.join("work/ml-intern.lock").exists());
    }

    #[test]
    fn what_is_hidden_is_covered_where_it_would_be_seen() {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path().canonicalize().unwrap();
        std::fs::create_dir_all(top.join("home/.ssh")).unwrap();
        let mut view = View::of(top.join("home"));
        view.home = Some(top.join("home"));
        let covers = |view: &View| {
            let wanted = relative(&top.join("home/.ssh")).unwrap();
            let layout = plan(view, 1 << 20).unwrap();
            layout
                .steps
                .iter()
                .any(|step| matches!(step, Step::Memory { path, .. } if *path == wanted))
        };
        assert!(covers(&view));
        std::fs::create_dir(top.join("elsewhere")).unwrap();
        view.write = vec![top.join("elsewhere")];
        assert!(!covers(&view));
    }

    #[test]
    fn a_protected_link_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path().canonicalize().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", top.join("ml-intern.toml")).unwrap();
        let mut view = View::of(&top);
        view.protected = vec![top.join("ml-intern.toml")];
        let error = plan(&view, 1 << 20).unwrap_err();
        assert!(error.to_string().contains("is a link"), "{error}");
    }
}
