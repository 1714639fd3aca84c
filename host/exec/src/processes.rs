//! The processes of this machine as `/proc` shows them (proc_pid_stat(5), proc_pid_environ(5)).

use std::fs;

use rustix::process::Pid;

use crate::command::MARK_VARIABLE;

/// One process that has not ended. Ids are those of this process's pid namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) id: Pid,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    /// Ended, and not yet waited for by its parent.
    pub(crate) zombie: bool,
    /// Clock ticks after boot: with the id it names one process for ever.
    pub(crate) started: u64,
}

/// Every process, in no order; empty where there is no `/proc`.
pub(crate) fn list() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(look_up)
        .collect()
}

/// The process with this id, unless it is gone.
pub(crate) fn look_up(id: i32) -> Option<Process> {
    let bytes = fs::read(format!("/proc/{id}/stat")).ok()?;
    parse_stat(id, &String::from_utf8_lossy(&bytes))
}

/// The name in parentheses is the program's to choose: it may hold blanks, parentheses and
/// bytes that are not UTF-8, so fields are counted from the last `)`.
fn parse_stat(id: i32, text: &str) -> Option<Process> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some(Process {
        id: Pid::from_raw(id)?,
        zombie: matches!(*fields.first()?, "Z" | "X"),
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

/// Whether the process was started with this mark. False for processes of other users.
pub(crate) fn has_mark(id: Pid, mark: &str) -> bool {
    let Ok(environment) = fs::read(format!("/proc/{}/environ", id.as_raw_pid())) else {
        return false;
    };
    let wanted = format!("{MARK_VARIABLE}={mark}");
    environment
        .split(|byte| *byte == 0)
        .any(|entry| entry == wanted.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_blanks_does_not_shift_the_fields() {
        let text = "7 (a) R 1 (b) S 3 4 5 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 987 0";
        let process = parse_stat(7, text).unwrap();
        assert_eq!(
            (
                process.parent,
                process.group,
                process.session,
                process.started
            ),
            (3, 4, 5, 987)
        );
        assert!(!process.zombie);
    }

    #[test]
    fn a_torn_line_is_no_process() {
        for text in ["", "7 (a", "7 (a) ", "7 (a) S 1 2", "7 (a) S x 2 3"] {
            assert_eq!(parse_stat(7, text), None, "{text:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_listed_and_has_no_mark() {
        let own = rustix::process::getpid();
        assert!(list().iter().any(|process| process.id == own));
        assert!(!has_mark(own, "nobody-has-this"));
    }
}
