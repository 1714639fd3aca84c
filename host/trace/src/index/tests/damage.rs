//! What may happen to the file of the index.

use super::*;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::os::unix::fs::PermissionsExt as _;

/// Removes it, cuts it, changes bytes of it, or puts something else in its place.
pub(super) fn any(sessions: &Path, numbers: &mut Numbers) {
    let path = sessions.join(".index");
    let mut bytes = std::fs::read(&path).unwrap_or_default();
    match numbers.below(5) {
        0 => bytes.clear(),
        1 => bytes.truncate(numbers.below(bytes.len() + 1)),
        2 => bytes = b"\xff\0 garbage".to_vec(),
        3 => return std::fs::remove_file(&path).unwrap_or_default(),
        _ if bytes.is_empty() => {}
        _ => {
            let at = numbers.below(bytes.len());
            bytes[at] ^= 1 << numbers.below(8);
        }
    }
    std::fs::write(&path, bytes).unwrap();
}

fn indexed() -> (tempfile::TempDir, Vec<SessionSummary>) {
    let root = filled(50, &mut Numbers(11));
    rest();
    let list = listed(root.path());
    assert_eq!(file::load(root.path()).len(), 50);
    (root, list)
}

#[test]
fn any_flipped_bit_and_any_truncation_is_seen() {
    let (root, list) = indexed();
    let path = root.path().join(".index");
    let whole = std::fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 200) {
        std::fs::write(&path, &whole[..at]).unwrap();
        assert!(file::load(root.path()).is_empty(), "cut at {at}");
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(&path, flipped).unwrap();
        assert!(file::load(root.path()).is_empty(), "flipped at {at}");
    }
    assert_eq!(listed(root.path()), list);
    assert_eq!(file::load(root.path()).len(), 50, "it is made again");
}

#[test]
fn what_another_version_wrote_is_not_read() {
    let (root, list) = indexed();
    let path = root.path().join(".index");
    let text = std::fs::read_to_string(&path).unwrap();
    let other = text.replacen(env!("CARGO_PKG_VERSION"), "9.9.9", 1);
    std::fs::write(&path, other).unwrap();
    assert!(file::load(root.path()).is_empty());
    assert_eq!(listed(root.path()), list);
}

#[test]
fn it_is_the_users_alone() {
    let (root, _) = indexed();
    let mode = std::fs::metadata(root.path().join(".index")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    assert!(!root.path().join(".index.tmp").exists());
}

#[test]
fn where_it_cannot_be_written_or_is_no_file_the_list_is_the_same() {
    let (root, list) = indexed();
    let path = root.path().join(".index");
    let aside = root.path().join(".index.tmp");
    let clear = || {
        for path in [&path, &aside] {
            if path.is_dir() {
                std::fs::remove_dir(path).unwrap();
            } else {
                std::fs::remove_file(path).unwrap_or_default();
            }
        }
    };
    // The disk is full, or may only be read.
    clear();
    std::fs::create_dir(&aside).unwrap();
    assert_eq!(listed(root.path()), list);
    assert!(!path.exists());
    // Something else has its name.
    clear();
    std::fs::create_dir(&path).unwrap();
    assert_eq!(listed(root.path()), list);
    assert!(path.is_dir() && !aside.exists());
    clear();
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    assert_eq!(listed(root.path()), list);
    clear();
    let other = root.path().join(".other");
    std::fs::write(&other, "words").unwrap();
    std::os::unix::fs::symlink(&other, &path).unwrap();
    assert_eq!(listed(root.path()), list);
    assert_eq!(std::fs::read_to_string(&other).unwrap(), "words");
    // A process died while it wrote.
    clear();
    std::fs::write(&aside, "half").unwrap();
    assert_eq!(listed(root.path()), list);
    assert_eq!(file::load(root.path()).len(), 50);
}

#[test]
fn lists_at_once_beside_writers_are_whole() {
    let root = filled(40, &mut Numbers(5));
    let sessions = root.path();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut numbers = Numbers(23);
            for _ in 0..150 {
                let id = format!("s{}", 20 + numbers.below(20));
                match numbers.below(8) {
                    0 => delete(sessions, &id).unwrap(),
                    1 => any(sessions, &mut numbers),
                    _ => {}
                }
                append(sessions, &id, &mut numbers);
            }
        });
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..30 {
                    let ids = listed(sessions).into_iter().map(|session| session.id);
                    let quiet = ids.filter(|id| id[1..].parse::<u32>().unwrap() < 20);
                    assert_eq!(quiet.count(), 20);
                }
            });
        }
    });
    assert_eq!(listed(sessions), folded(sessions));
    rest();
    assert_eq!(listed(sessions), folded(sessions));
}

#[test]
fn one_process_writes_it_and_the_others_do_not_wait() {
    use rustix::fs::{FlockOperation, flock};
    let (root, list) = indexed();
    file::remove(root.path());
    let folder = File::open(root.path()).unwrap();
    flock(&folder, FlockOperation::NonBlockingLockExclusive).unwrap();
    assert_eq!(listed(root.path()), list);
    assert!(file::load(root.path()).is_empty());
    drop(folder);
    assert_eq!(listed(root.path()), list);
    assert_eq!(file::load(root.path()).len(), 50);
}
