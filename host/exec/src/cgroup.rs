//! Control groups, where this user may make them: they bound the memory and the number of tasks
//! of a whole tree, whatever its processes do (cgroups(7)).

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::{Limits, Tree, machine};

/// A group is removed once its last process is collected, which may take the kernel a moment.
const REMOVE_ATTEMPTS: usize = 20;

/// The group of one tree: one folder for both controllers, or one for each.
#[derive(Debug)]
pub(crate) struct Group {
    folders: Vec<PathBuf>,
}

/// Looks at a tree that grows while it is moved. A process whose parent is inside is inside.
const ROUNDS: usize = 50;

/// Where groups can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Places {
    /// Version 2: beside the group of this process, because one that holds processes cannot have
    /// controlled groups in it.
    Unified(PathBuf),
    /// Version 1: a hierarchy for each controller.
    Separate { memory: PathBuf, pids: PathBuf },
}

impl Group {
    /// Puts a tree into a new group; none where this user may not make one. Blocks: the kernel
    /// takes milliseconds to move a process, which is why a tree is moved after it has started.
    pub(crate) fn around(tree: &Tree, limits: &Limits) -> Option<Self> {
        let random = machine::random_hex(4).ok()?;
        let name = format!("ml-intern-{}-{random}", std::process::id());
        let tasks = tasks(limits);
        let group = Self::make_in(places()?, &name, limits.memory_bytes, tasks).ok()?;
        let mut moved = HashSet::new();
        for _ in 0..ROUNDS {
            let members = tree.ids();
            if members.iter().all(|id| moved.contains(id)) {
                break;
            }
            for id in members {
                if moved.insert(id) {
                    group.take(id);
                }
            }
        }
        Some(group)
    }

    /// Whether groups can be made.
    pub(crate) fn is_possible() -> bool {
        places().is_some()
    }

    fn make_in(places: &Places, name: &str, memory: u64, tasks: u64) -> io::Result<Self> {
        let mut group = Self {
            folders: Vec::new(),
        };
        match places {
            Places::Unified(parent) => {
                let bounds = [("memory.max", memory), ("pids.max", tasks)];
                group.add(&parent.join(name), &bounds)?;
            }
            Places::Separate { memory: one, pids } => {
                group.add(&one.join(name), &[("memory.limit_in_bytes", memory)])?;
                group.add(&pids.join(name), &[("pids.max", tasks)])?;
            }
        }
        Ok(group)
    }

    fn add(&mut self, folder: &Path, bounds: &[(&str, u64)]) -> io::Result<()> {
        fs::create_dir(folder)?;
        self.folders.push(folder.to_owned());
        for (file, value) in bounds {
            fs::write(folder.join(file), value.to_string())?;
        }
        Ok(())
    }

    fn take(&self, id: i32) {
        for folder in &self.folders {
            // It may have ended.
            fs::write(folder.join("cgroup.procs"), id.to_string()).unwrap_or_default();
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for folder in &self.folders {
            for _ in 0..REMOVE_ATTEMPTS {
                match fs::remove_dir(folder) {
                    Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                        std::thread::sleep(std::time::Duration::from_millis(1));
                    }
                    // Removed, or beyond us: the next start looks again.
                    _ => break,
                }
            }
        }
    }
}

/// Tasks that the kernel allows: more than processes, since threads count, and since the tree has
/// to be seen to be too large before it cannot grow. No process namespace takes less than 301.
pub(crate) fn tasks(limits: &Limits) -> u64 {
    limits
        .processes
        .saturating_mul(2)
        .saturating_add(64)
        .clamp(301, 4_000_000)
}

/// Looked for once; leftovers of hosts that are gone are removed then.
fn places() -> Option<&'static Places> {
    static FOUND: OnceLock<Option<Places>> = OnceLock::new();
    let look = || {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        candidates(&own, &mounts)
            .into_iter()
            .find(|places| Group::make_in(places, &trial_name(), 1 << 30, 1000).is_ok())
            .inspect(remove_leftovers)
    };
    FOUND.get_or_init(look).as_ref()
}

fn trial_name() -> String {
    format!("ml-intern-{}-trial", std::process::id())
}

/// What `/proc/self/cgroup` (`4:memory:/path`, `0::/path`) and `/proc/self/mountinfo` offer.
fn candidates(own: &str, mounts: &str) -> Vec<Places> {
    let mut found = Vec::new();
    let separate = |controller: &str| {
        let path = own.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (names, path) = rest.split_once(':')?;
            names
                .split(',')
                .any(|name| name == controller)
                .then_some(path)
        })?;
        folder_of(mounts, "cgroup", Some(controller), path)
    };
    if let (Some(memory), Some(pids)) = (separate("memory"), separate("pids")) {
        found.push(Places::Separate { memory, pids });
    }
    let path = own.lines().find_map(|line| line.strip_prefix("0::"));
    if let Some(path) = path
        && let Some(folder) = folder_of(mounts, "cgroup2", None, path)
        && let Some(parent) = folder.parent().filter(|_| path != "/")
        && controls(parent)
    {
        found.push(Places::Unified(parent.to_owned()));
    }
    found
}

/// Whether groups in `folder` may have both bounds.
fn controls(folder: &Path) -> bool {
    let text = fs::read_to_string(folder.join("cgroup.subtree_control")).unwrap_or_default();
    let has = |name| text.split_whitespace().any(|word| word == name);
    has("memory") && has("pids")
}

/// The folder of the group `path` in the hierarchy of this type and controller
/// (proc_pid_mountinfo(5)).
fn folder_of(mounts: &str, kind: &str, controller: Option<&str>, path: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let (root, point) = (left.next()?, left.next()?);
        let mut right = right.split(' ');
        let matches = right.next()? == kind;
        let options = right.nth(1)?;
        let controlled =
            controller.is_none_or(|name| options.split(',').any(|option| option == name));
        if !matches || !controlled {
            return None;
        }
        let below = path.strip_prefix(root.trim_end_matches('/'))?;
        Some(Path::new(point).join(below.trim_start_matches('/')))
    })
}

/// Groups of hosts that ended without removing them.
fn remove_leftovers(places: &Places) {
    let folders = match places {
        Places::Unified(folder) => vec![folder],
        Places::Separate { memory, pids } => vec![memory, pids],
    };
    for entry in folders
        .into_iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        let host = name
            .strip_prefix("ml-intern-")
            .and_then(|rest| rest.split('-').next())
            .and_then(|id| id.parse::<u32>().ok());
        if host.is_some_and(|id| !Path::new(&format!("/proc/{id}")).exists()) {
            // One that still holds processes stays.
            fs::remove_dir(entry.path()).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 /outer /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    #[test]
    fn separate_hierarchies_are_found_where_they_are_mounted() {
        let own = "8:pids:/outer/me\n4:memory:/a/b\n0::/\n";
        assert_eq!(
            candidates(own, MOUNTS),
            [Places::Separate {
                memory: "/sys/fs/cgroup/memory/a/b".into(),
                pids: "/sys/fs/cgroup/pids/me".into(),
            }]
        );
        assert!(candidates("8:pids:/elsewhere\n4:memory:/a\n", MOUNTS).is_empty());
    }

    #[test]
    fn a_group_goes_when_it_is_dropped() {
        let tree = Tree::marked("nobody-has-this");
        let Some(group) = Group::around(&tree, &Limits::default()) else {
            return;
        };
        let folders = group.folders.clone();
        assert!(folders.iter().all(|folder| folder.is_dir()));
        drop(group);
        assert!(folders.iter().all(|folder| !folder.exists()));
    }
}
