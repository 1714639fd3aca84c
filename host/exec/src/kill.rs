//! Finding and ending every process of one run.
//!
//! A process belongs to a run when it is in the session or group that the run's first
//! process leads, descends from it, or carries the run's mark in its environment: one that
//! forked twice and called `setsid` has left the first two and lost its parent, but not the
//! mark. Only a process that also cleared its environment while its parent was ending gets
//! away; in a subreaper even that one is still a descendant.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rustix::process::Pid;
pub use rustix::process::Signal;

use crate::processes::{self, Process};

/// Time between asking a tree to end (SIGTERM) and killing it: enough to flush files and
/// remove temporary ones, short enough for a person who pressed the interrupt key.
pub const GRACE: Duration = Duration::from_secs(2);

/// How long killing is repeated while a tree forks faster than it dies, or one process
/// hangs in the kernel. Whoever is left then is reported.
const KILL_FOR: Duration = Duration::from_secs(5);

/// Pause between two looks at the process table while waiting for processes to end.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The processes of one run.
#[derive(Debug, Clone)]
pub struct Tree {
    leader: Option<Pid>,
    /// With the id it names the leader for ever, also after the id went to another process.
    leader_started: Option<u64>,
    mark: String,
    own_descendants: bool,
}

impl Tree {
    /// Every descendant of this process, and every process with the mark. For a subreaper that
    /// runs nothing else.
    pub fn own_descendants(mark: impl Into<String>) -> Self {
        Self {
            own_descendants: true,
            ..Self::marked(mark)
        }
    }

    pub(crate) fn new(leader: Pid, mark: String, own_descendants: bool) -> Self {
        Self {
            leader: Some(leader),
            leader_started: processes::look_up(leader.as_raw_pid()).map(|process| process.started),
            mark,
            own_descendants,
        }
    }

    /// The tree of a run started elsewhere, known only by its [`Command::mark`](crate::Command::mark).
    pub fn marked(mark: impl Into<String>) -> Self {
        Self {
            leader: None,
            leader_started: None,
            mark: mark.into(),
            own_descendants: false,
        }
    }

    /// Counts living members, without the runaways that only their environment shows: this
    /// is for a look each second, and reading every environment is the costly part.
    pub(crate) async fn count(&self) -> usize {
        self.look(false).await.len()
    }

    /// Ids of living members that are found without looking into environments. Blocks.
    #[cfg(target_os = "linux")]
    pub(crate) fn ids(&self) -> Vec<i32> {
        let members = self.members(false);
        members
            .iter()
            .map(|process| process.id.as_raw_pid())
            .collect()
    }

    /// Sends a signal to every member once and returns how many got it.
    pub fn signal(&self, signal: Signal) -> usize {
        self.members(true)
            .iter()
            .filter(|process| send(process, signal))
            .count()
    }

    /// Asks every member to end, waits at most `grace`, then kills what is left. Returns how
    /// many could not be ended (stuck in the kernel, or of another user).
    pub async fn end(&self, grace: Duration) -> usize {
        let mut asked = HashSet::new();
        let deadline = Instant::now() + grace;
        loop {
            let members = self.look(true).await;
            if members.is_empty() {
                return 0;
            }
            if Instant::now() >= deadline {
                break;
            }
            for process in &members {
                if asked.insert((process.id, process.started)) {
                    send(process, Signal::TERM);
                    // A stopped process acts on SIGTERM only once it goes on.
                    send(process, Signal::CONT);
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let deadline = Instant::now() + KILL_FOR;
        loop {
            let members = self.look(true).await;
            if members.is_empty() || Instant::now() >= deadline {
                return members.len();
            }
            self.kill(&members);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Kills every member without asking, blocking at most `patience`. For destructors.
    pub(crate) fn kill_now(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        loop {
            let members = self.members(true);
            if members.is_empty() || Instant::now() >= deadline {
                return;
            }
            self.kill(&members);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Collects the exit statuses of orphans that a subreaper inherited, except `leader`,
    /// which its own handle waits for.
    pub(crate) fn reap_orphans(&self) {
        let own = rustix::process::getpid().as_raw_pid();
        for process in processes::list() {
            if process.zombie && process.parent == own && Some(process.id) != self.leader {
                // Gone already is as good.
                let _ = rustix::process::waitpid(
                    Some(process.id),
                    rustix::process::WaitOptions::NOHANG,
                );
            }
        }
    }

    /// Reading `/proc` can block for milliseconds, so it leaves the async threads.
    async fn look(&self, thorough: bool) -> Vec<Process> {
        let tree = self.clone();
        match tokio::task::spawn_blocking(move || tree.members(thorough)).await {
            Ok(members) => members,
            // The runtime is shutting down; this thread may block now.
            Err(_) => self.members(thorough),
        }
    }

    fn kill(&self, members: &[Process]) {
        // A group dies in one step, so a fork bomb inside it cannot outrun the signal. All
        // these groups lie in sessions that members of this tree created.
        let own = rustix::process::getpgrp().as_raw_pid();
        let groups: HashSet<i32> = members.iter().map(|process| process.group).collect();
        for group in groups.into_iter().filter(|group| *group != own) {
            if let Some(group) = Pid::from_raw(group)
                && self.led_by_member(group, members)
            {
                let _ = rustix::process::kill_process_group(group, Signal::KILL); // may be gone
            }
        }
        for process in members {
            send(process, Signal::KILL);
        }
    }

    /// Whether the group is ours beyond doubt: its leader is our leader or a living member.
    fn led_by_member(&self, group: Pid, members: &[Process]) -> bool {
        self.leader == Some(group) || members.iter().any(|process| process.id == group)
    }

    fn members(&self, thorough: bool) -> Vec<Process> {
        if cfg!(target_os = "linux") {
            self.members_in_table(thorough)
        } else {
            self.group_as_member()
        }
    }

    fn members_in_table(&self, thorough: bool) -> Vec<Process> {
        let own = rustix::process::getpid();
        let table: Vec<Process> = processes::list()
            .into_iter()
            .filter(|process| process.id != own && process.id != Pid::INIT)
            .collect();
        let reused = table.iter().any(|process| {
            Some(process.id) == self.leader && Some(process.started) != self.leader_started
        });
        let leader = self.leader.filter(|_| !reused).map_or(-1, Pid::as_raw_pid);
        let mut inside: HashSet<i32> = table
            .iter()
            .filter(|process| {
                process.group == leader
                    || process.session == leader
                    || (self.own_descendants && process.parent == own.as_raw_pid())
            })
            .map(|process| process.id.as_raw_pid())
            .collect();
        // Zombies count as ancestors here, and as members never.
        add_descendants(&table, &mut inside);
        if thorough {
            for process in &table {
                let id = process.id.as_raw_pid();
                if !process.zombie
                    && !inside.contains(&id)
                    && processes::has_mark(process.id, &self.mark)
                {
                    inside.insert(id);
                }
            }
            add_descendants(&table, &mut inside);
        }
        table
            .into_iter()
            .filter(|process| !process.zombie && inside.contains(&process.id.as_raw_pid()))
            .collect()
    }

    /// Without `/proc`, the tree is the leader's process group, shown as one member.
    fn group_as_member(&self) -> Vec<Process> {
        let Some(leader) = self.leader else {
            return Vec::new();
        };
        if rustix::process::test_kill_process_group(leader).is_err() {
            return Vec::new();
        }
        let id = leader.as_raw_pid();
        vec![Process {
            id: leader,
            parent: 0,
            group: id,
            session: id,
            zombie: false,
            started: 0,
        }]
    }
}

fn add_descendants(table: &[Process], inside: &mut HashSet<i32>) {
    loop {
        let before = inside.len();
        for process in table {
            if inside.contains(&process.parent) {
                inside.insert(process.id.as_raw_pid());
            }
        }
        if inside.len() == before {
            return;
        }
    }
}

/// Signals exactly this process: its id may name another one by now, so the start time is
/// compared after the id was pinned by a descriptor.
#[cfg(target_os = "linux")]
fn send(process: &Process, signal: Signal) -> bool {
    use rustix::process::{PidfdFlags, kill_process, pidfd_open, pidfd_send_signal};
    let pinned = pidfd_open(process.id, PidfdFlags::empty());
    let same = processes::look_up(process.id.as_raw_pid())
        .is_some_and(|now| now.started == process.started);
    if !same {
        return false;
    }
    match pinned {
        Ok(descriptor) => pidfd_send_signal(descriptor, signal).is_ok(),
        // Kernels before 5.3 and some sandboxes have no such descriptors.
        Err(_) => kill_process(process.id, signal).is_ok(),
    }
}

#[cfg(not(target_os = "linux"))]
fn send(process: &Process, signal: Signal) -> bool {
    rustix::process::kill_process_group(process.id, signal).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(id: i32, parent: i32) -> Process {
        Process {
            id: Pid::from_raw(id).unwrap(),
            parent,
            group: id,
            session: id,
            zombie: false,
            started: 1,
        }
    }

    #[test]
    fn descendants_are_found_in_any_order() {
        let table = [
            process(40, 30),
            process(30, 20),
            process(20, 10),
            process(50, 1),
        ];
        let mut inside = HashSet::from([10]);
        add_descendants(&table, &mut inside);
        assert_eq!(inside, HashSet::from([10, 20, 30, 40]));
    }

    #[test]
    fn a_loop_of_parents_ends() {
        let table = [process(2, 3), process(3, 2)];
        let mut inside = HashSet::from([2]);
        add_descendants(&table, &mut inside);
        assert_eq!(inside.len(), 2);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_reused_id_is_not_signalled() {
        let own = rustix::process::getpid();
        let mut stale = processes::look_up(own.as_raw_pid()).unwrap();
        stale.started += 1;
        assert!(!send(&stale, Signal::KILL));
    }

    #[tokio::test]
    async fn an_unknown_mark_has_no_members() {
        let tree = Tree::marked("nobody-has-this");
        assert_eq!(tree.signal(Signal::KILL), 0);
        assert_eq!(tree.end(GRACE).await, 0);
    }
}
