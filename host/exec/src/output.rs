//! What is kept of a program's output: lines while it runs, both ends of each stream, and
//! the whole in a file when the middle does not fit.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The longest line handed to the caller, in bytes; the rest of a longer one is skipped
/// there (it stays in the kept output). A line of a log that people read is far shorter.
pub const LINE_BYTES: usize = 4096;

/// The largest spill file. It exists to page through a long log, and an endless program
/// must not fill the disk.
const MAX_SPILL_BYTES: u64 = 256 << 20;

/// Which stream a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKind {
    Stdout,
    Stderr,
}

/// Cuts bytes into lines. `\n`, `\r\n` and a lone `\r` (progress bars) end a line.
#[derive(Default)]
pub(crate) struct Lines {
    line: Vec<u8>,
    skipping: bool,
    after_return: bool,
}

impl Lines {
    pub(crate) fn push(&mut self, bytes: &[u8], mut emit: impl FnMut(&str)) {
        for &byte in bytes {
            match byte {
                b'\n' if self.after_return => self.after_return = false,
                b'\n' | b'\r' => {
                    self.after_return = byte == b'\r';
                    self.flush(&mut emit);
                }
                _ => {
                    self.after_return = false;
                    if self.line.len() < LINE_BYTES {
                        self.line.push(byte);
                    } else {
                        self.skipping = true;
                    }
                }
            }
        }
    }

    /// Emits what stands after the last line end.
    pub(crate) fn finish(&mut self, mut emit: impl FnMut(&str)) {
        if !self.line.is_empty() {
            self.flush(&mut emit);
        }
    }

    fn flush(&mut self, emit: &mut impl FnMut(&str)) {
        let mut text = String::from_utf8_lossy(&self.line).into_owned();
        if self.skipping {
            text.push_str(" [line cut]");
        }
        emit(&text);
        self.line.clear();
        self.skipping = false;
    }
}

/// The first and the last half of at most `limit` bytes.
pub(crate) struct Kept {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    head_limit: usize,
    tail_limit: usize,
    total: u64,
}

impl Kept {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            head: Vec::new(),
            tail: VecDeque::new(),
            head_limit: limit / 2,
            tail_limit: limit - limit / 2,
            total: 0,
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let to_head = bytes.len().min(self.head_limit - self.head.len());
        let (head, rest) = bytes.split_at(to_head);
        self.head.extend_from_slice(head);
        let rest = &rest[rest.len().saturating_sub(self.tail_limit)..];
        let overflow = (self.tail.len() + rest.len()).saturating_sub(self.tail_limit);
        self.tail.drain(..overflow);
        self.tail.extend(rest);
    }

    /// Whether `more` bytes would not all be kept.
    pub(crate) fn overflows_with(&self, more: usize) -> bool {
        self.head.len() + self.tail.len() + more > self.head_limit + self.tail_limit
    }

    pub(crate) fn truncated(&self) -> bool {
        self.total > (self.head.len() + self.tail.len()) as u64
    }

    /// Both halves, one after the other.
    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        self.head.extend(self.tail);
        self.head
    }

    fn write_to(&mut self, spill: &mut SpillFile) {
        spill.write(&self.head);
        spill.write(self.tail.make_contiguous());
    }
}

/// The output of both streams of one program.
pub(crate) struct Capture {
    pub(crate) stdout: Kept,
    pub(crate) stderr: Kept,
    spill: Spill,
}

enum Spill {
    /// Nothing was lost so far.
    Waiting(PathBuf),
    Writing(SpillFile),
    /// No directory was given, or its file could not be written.
    Off,
}

struct SpillFile {
    file: File,
    path: PathBuf,
    written: u64,
    full: bool,
}

impl Capture {
    pub(crate) fn new(limit: usize, spill_dir: Option<&Path>, mark: &str) -> Self {
        let spill = match spill_dir {
            Some(directory) => Spill::Waiting(directory.join(format!("output-{mark}.txt"))),
            None => Spill::Off,
        };
        Self {
            stdout: Kept::new(limit),
            stderr: Kept::new(limit),
            spill,
        }
    }

    pub(crate) fn push(&mut self, kind: StreamKind, bytes: &[u8]) {
        let kept = match kind {
            StreamKind::Stdout => &self.stdout,
            StreamKind::Stderr => &self.stderr,
        };
        if let Spill::Waiting(path) = &self.spill
            && kept.overflows_with(bytes.len())
        {
            // A spill file is a convenience: when it cannot be made, the run goes on and
            // the outcome names no file.
            self.spill = match SpillFile::create(path.clone()) {
                Ok(mut file) => {
                    self.stdout.write_to(&mut file);
                    self.stderr.write_to(&mut file);
                    Spill::Writing(file)
                }
                Err(_) => Spill::Off,
            };
        }
        if let Spill::Writing(file) = &mut self.spill {
            file.write(bytes);
        }
        match kind {
            StreamKind::Stdout => self.stdout.push(bytes),
            StreamKind::Stderr => self.stderr.push(bytes),
        }
    }

    /// The path of the spill file, if there is one.
    pub(crate) fn spilled(&self) -> Option<PathBuf> {
        match &self.spill {
            Spill::Writing(file) => Some(file.path.clone()),
            Spill::Waiting(_) | Spill::Off => None,
        }
    }
}

impl SpillFile {
    fn create(path: PathBuf) -> std::io::Result<Self> {
        let file = crate::folder::create_new(&path)?;
        Ok(Self {
            file,
            path,
            written: 0,
            full: false,
        })
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.full {
            return;
        }
        let room = usize::try_from(MAX_SPILL_BYTES - self.written).unwrap_or(usize::MAX);
        let part = &bytes[..bytes.len().min(room)];
        self.written += part.len() as u64;
        let failed = self.file.write_all(part).is_err();
        if failed || part.len() < bytes.len() {
            self.full = true;
            // The disk may be full; then the note is lost as well.
            self.file
                .write_all(b"\n[the rest was not kept]\n")
                .unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut cutter = Lines::default();
        let mut all = Vec::new();
        for chunk in chunks {
            cutter.push(chunk, |line| all.push(line.to_owned()));
        }
        cutter.finish(|line| all.push(line.to_owned()));
        all
    }

    #[test]
    fn lines_end_at_newline_return_or_both_across_chunks() {
        assert_eq!(lines(&[b"a\nb\r", b"\nc\rd"]), ["a", "b", "c", "d"]);
        assert_eq!(lines(&[b"\n\nx\n"]), ["", "", "x"]);
        assert_eq!(lines(&[]), Vec::<String>::new());
    }

    #[test]
    fn invalid_utf8_is_replaced_and_split_characters_survive() {
        assert_eq!(lines(&[b"\xc3", b"\xa9\n\xff\n"]), ["é", "\u{fffd}"]);
    }

    #[test]
    fn an_endless_line_is_cut_once() {
        let long = vec![b'x'; LINE_BYTES * 3];
        let all = lines(&[&long, &long, b"\nnext"]);
        assert_eq!(all.len(), 2);
        assert!(all[0].len() < LINE_BYTES + 20 && all[0].ends_with("[line cut]"));
        assert_eq!(all[1], "next");
    }

    #[test]
    fn both_halves_are_kept_whatever_the_chunks() {
        for chunk in [1, 2, 3, 7, 100] {
            let mut kept = Kept::new(10);
            let whole: Vec<u8> = (0..100).collect();
            for part in whole.chunks(chunk) {
                kept.push(part);
            }
            assert!(kept.truncated());
            assert_eq!(kept.into_bytes(), [0, 1, 2, 3, 4, 95, 96, 97, 98, 99]);
        }
    }

    #[test]
    fn nothing_is_lost_up_to_the_limit_and_zero_keeps_nothing() {
        let mut kept = Kept::new(5);
        kept.push(b"ab");
        kept.push(b"cde");
        assert!(!kept.truncated());
        assert_eq!(kept.into_bytes(), b"abcde");
        let mut none = Kept::new(0);
        none.push(b"abc");
        assert!(none.truncated());
        assert!(none.into_bytes().is_empty());
    }

    #[test]
    fn the_spill_holds_the_whole_of_both_streams() {
        let directory = tempfile::tempdir().unwrap();
        let mut capture = Capture::new(8, Some(directory.path()), "m");
        capture.push(StreamKind::Stderr, b"warn\n");
        capture.push(StreamKind::Stdout, b"12345678");
        assert_eq!(capture.spilled(), None);
        capture.push(StreamKind::Stdout, b"9");
        capture.push(StreamKind::Stderr, b"end");
        let text = std::fs::read_to_string(capture.spilled().unwrap()).unwrap();
        assert_eq!(text, "12345678warn\n9end");
    }

    #[test]
    fn a_spill_that_cannot_be_written_is_left_out() {
        let missing = Path::new("/dev/null/directory");
        let mut capture = Capture::new(2, Some(missing), "m");
        capture.push(StreamKind::Stdout, b"abcdef");
        assert_eq!(capture.spilled(), None);
        assert!(capture.stdout.truncated());
    }

    #[test]
    fn a_full_spill_says_so_once() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = SpillFile::create(directory.path().join("s")).unwrap();
        file.written = MAX_SPILL_BYTES - 3;
        file.write(b"abcdef");
        file.write(b"ghi");
        let text = std::fs::read_to_string(&file.path).unwrap();
        assert_eq!(text, "abc\n[the rest was not kept]\n");
    }
}
