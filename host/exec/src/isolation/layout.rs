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
    /// The processes of the run, nothing of which is written. With `frozen`, what belongs to a process is, and the
    /// entries of these names are not: drivers of accelerators name their threads there.
    Proc {
        path: CString,
        frozen: Option<Vec<CString>>,
    },
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

/// What one run adds to the tree of its room.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) steps: Vec<Step>,
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
    Terminals,
    Link(PathBuf),
    Folder,
}

/// Plans the tree for `view`, without what belongs to one run: its processes, its shared memory
/// and the protection of its files. `memory` bounds `/tmp` where that is in memory.
pub(super) fn plan(view: &View, memory: u64) -> Result<(Tree, Vec<Step>), ExecError> {
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
    let steps = tree.steps()?;
    Ok((tree, steps))
}

/// Plans what one run adds. `memory` bounds its shared memory.
pub(super) fn for_run(tree: &Tree, view: &View, memory: u64) -> Result<Layout, ExecError> {
    let mut steps = vec![
        Step::Proc {
            path: c"proc".to_owned(),
            frozen: tree.names_threads().then(entries_beside_processes),
        },
        Step::Memory {
            path: c"dev/shm".to_owned(),
            size: CString::new(memory.to_string()).expect("digits"),
            mode: c"1777",
        },
    ];
    let (pins, placeholders) = protect(tree, view)?;
    for (path, access) in &pins {
        steps.push(Step::Tree {
            source: text(path)?,
            path: relative(path)?,
            attributes: attributes(*access),
        });
    }
    Ok(Layout {
        steps,
        _placeholders: placeholders,
    })
}

/// The entries of `/proc` that belong to no process: the kernel's own. Links lead to what does.
fn entries_beside_processes() -> Vec<CString> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let own = entries.filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink()));
    let names = own.filter_map(|entry| CString::new(entry.file_name().into_encoded_bytes()).ok());
    names
        .filter(|name| !name.to_bytes().iter().all(u8::is_ascii_digit))
        .collect()
}

/// What stands where.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: BTreeMap<PathBuf, Node>,
}

impl Tree {
    fn add_system(&mut self, view: &View, memory: u64) {
        let small = 64 << 10;
        let folder = |size, mode, sealed| Node::Memory { size, mode, sealed };
        self.set("/dev", folder(small, c"755", true));
        self.set("/dev/shm", Node::Folder);
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
        // The host's own, only so that the kernel lets each run mount its own over it: it asks that
        // nothing is revealed which was not visible before. Nobody in there can take that away.
        self.set(
            "/proc",
            Node::Tree {
                source: "/proc".into(),
                access: Access::Read,
                folder: true,
            },
        );
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

    /// Whether there is an accelerator whose driver writes to `/proc/self/task/*/comm`, and does without the
    /// accelerator where it cannot (CUDA: error 304 of `cuInit`, seen with driver 580).
    fn names_threads(&self) -> bool {
        let nvidia = |path: &PathBuf| path.to_string_lossy().starts_with("/dev/nvidia");
        self.nodes.keys().any(nvidia)
    }

    /// Absolute path in the tree → what Landlock allows below it.
    pub(super) fn rights(&self) -> Vec<(CString, u64)> {
        let rights = |access| landlock::rights(access, true);
        let mut rights = vec![
            (c"/".to_owned(), rights(Access::Read)),
            (c"/dev/shm".to_owned(), rights(Access::Write)),
        ];
        if self.names_threads() {
            rights.push((c"/proc".to_owned(), landlock::rights(Access::Write, true)));
        }
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
        // What is written to a device is no change of the file system; its mode and its times are.
        Access::Device => sys::READ_ONLY | sys::NO_SUID,
    }
}

type Pins = BTreeMap<PathBuf, Access>;

/// Plans mounts of parts of the tree over themselves: what is mounted on cannot be moved or
/// removed. Protected files become unchangeable by that, and those that are missing unmakeable.
fn protect(tree: &Tree, view: &View) -> Result<(Pins, Vec<Placeholder>), ExecError> {
    let (mut pins, mut placeholders) = (Pins::new(), Vec::new());
    for path in view.protected.iter().filter(|path| tree.is_writable(path)) {
        let io = |source| ExecError::Io {
            action: "keep a protected file as it is",
            source,
        };
        let facts = std::fs::symlink_metadata(path);
        if facts.as_ref().is_ok_and(|facts| facts.is_symlink()) {
            return Err(ExecError::InvalidInput(format!(
                "`{}` is a link, which programs cannot be kept from replacing; make it a regular file",
                path.display()
            )));
        }
        if facts.is_ok_and(|facts| !facts.is_dir()) {
            pins.insert(path.clone(), Access::Read);
        } else if let Some(placeholder) = Placeholder::hold(path).map_err(io)? {
            placeholders.push(placeholder);
            pins.insert(path.clone(), Access::Read);
        } else if path.exists() {
            pins.insert(path.clone(), Access::Read);
        } else {
            // Nobody can make anything there.
            continue;
        }
        // A folder that holds a protected file could be renamed, and another put in its place. The
        // top of a part is a mount already.
        let above = path.ancestors().skip(1);
        for folder in above.take_while(|folder| tree.is_writable(folder)) {
            if !tree.nodes.contains_key(folder) {
                pins.entry(folder.to_owned()).or_insert(Access::Write);
            }
        }
    }
    Ok((pins, placeholders))
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

    fn position(steps: &[Step], wanted: &Path) -> usize {
        let wanted = relative(wanted).unwrap();
        let is = |step: &Step| matches!(step, Step::Tree { path, .. } if *path == wanted);
        steps.iter().position(is).unwrap()
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
                top.join("outside"),
            ],
            ..View::default()
        };
        let (tree, steps) = plan(&view, 1 << 20).unwrap();
        assert!(position(&steps, &top) < position(&steps, &top.join("work")));
        let layout = for_run(&tree, &view, 1 << 20).unwrap();
        let pinned = position(&layout.steps, &top.join("work/deep"));
        let file = position(&layout.steps, &top.join("work/deep/ml-intern.toml"));
        assert!(pinned < file);
        let Step::Tree { attributes, .. } = &layout.steps[file] else {
            panic!("a file is a part of the tree")
        };
        assert_ne!(attributes & sys::READ_ONLY, 0);
        assert!(top.join("work/ml-intern.lock").is_dir());
        assert!(!top.join("outside").exists());
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
            let (_, steps) = plan(view, 1 << 20).unwrap();
            steps
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
        let (tree, _) = plan(&view, 1 << 20).unwrap();
        let error = for_run(&tree, &view, 1 << 20).unwrap_err();
        assert!(error.to_string().contains("is a link"), "{error}");
    }

    #[test]
    fn processes_are_written_to_where_an_accelerator_needs_it_and_the_kernel_is_not() {
        let mut tree = Tree::default();
        assert!(!tree.names_threads());
        tree.add(
            Path::new("/dev/dri"),
            Path::new("/dev/dri"),
            Access::Device,
            true,
        );
        assert!(!tree.names_threads());
        let device = Path::new("/dev/nvidia0");
        tree.add(device, device, Access::Device, false);
        let view = View::default();
        let layout = for_run(&tree, &view, 1 << 20).unwrap();
        let frozen = layout.steps.iter().find_map(|step| match step {
            Step::Proc { frozen, .. } => frozen.clone(),
            _ => None,
        });
        let frozen = frozen.unwrap();
        let has = |name: &std::ffi::CStr| frozen.iter().any(|one| **one == *name);
        assert!(has(c"sys") && has(c"bus"), "{frozen:?}");
        assert!(!has(c"self") && !has(c"thread-self") && !has(c"1"));
    }
}
