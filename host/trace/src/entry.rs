//! The lines of a log as entries, one after the other: no more than one line is in memory.

use crate::blob;
use crate::error::TraceError;
use crate::line::{VERSION, milliseconds};
use crate::log::{BLOBS, EVENTS};
use ml_intern_agent::{Event, Stamp};
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Take};
use std::path::{Path, PathBuf};

/// Enough for most lines; longer ones are put together.
const BUFFER: usize = 64 * 1024;

/// One whole line; `None` for a type of event that a newer version wrote.
pub(crate) type Entry = (Stamp, Option<Event>);

/// What every line has; the rest is the event.
#[derive(Deserialize)]
pub(crate) struct Head<'a> {
    pub(crate) v: u32,
    pub(crate) seq: u64,
    #[serde(borrow)]
    ts: Cow<'a, str>,
    #[serde(borrow)]
    r#type: Cow<'a, str>,
}

/// Which large texts are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blobs {
    /// All of them.
    All,
    /// Those of events that a list shows something of; the others are empty.
    Listed,
}

/// A log from its beginning or from an entry on, as long as it was when it was opened.
pub(crate) struct Entries {
    folder: PathBuf,
    path: PathBuf,
    file: Take<BufReader<File>>,
    blobs: Blobs,
    line: Vec<u8>,
    /// Lines read.
    number: usize,
    /// Bytes of whole lines up to here, from the beginning of the file.
    whole: u64,
    /// Bytes of half a line at the end.
    torn: u64,
}

impl Entries {
    /// The log of the session in `folder`, from its beginning.
    pub(crate) fn open(folder: &Path, blobs: Blobs) -> Result<Self, TraceError> {
        let path = folder.join(EVENTS);
        let file = File::open(&path).map_err(TraceError::io(&path))?;
        let length = file.metadata().map_err(TraceError::io(&path))?.len();
        Ok(Self::of(folder, file, 0, length, blobs))
    }

    /// The entries of an open log whose place is at byte `from`, up to byte `to`.
    pub(crate) fn of(folder: &Path, file: File, from: u64, to: u64, blobs: Blobs) -> Self {
        let file = BufReader::with_capacity(BUFFER, file);
        Self {
            folder: folder.to_owned(),
            path: folder.join(EVENTS),
            file: file.take(to.saturating_sub(from)),
            blobs,
            line: Vec::new(),
            number: 0,
            whole: from,
            torn: 0,
        }
    }

    /// Bytes of whole lines up to here, from the beginning of the file.
    pub(crate) fn whole(&self) -> u64 {
        self.whole
    }

    /// Bytes of half a line at the end, once the end is reached.
    pub(crate) fn torn(&self) -> u64 {
        self.torn
    }

    fn advance(&mut self) -> Result<Option<Entry>, TraceError> {
        self.line.clear();
        let read = self.file.read_until(b'\n', &mut self.line);
        let read = read.map_err(TraceError::io(&self.path))?;
        if !self.line.ends_with(b"\n") {
            self.torn += read as u64;
            return Ok(None);
        }
        self.number += 1;
        let entry = parse(&self.folder, &self.line, self.blobs);
        let entry = entry.map_err(|problem| TraceError::Damaged {
            path: self.path.clone(),
            line: self.number,
            problem,
        })?;
        self.whole += read as u64;
        Ok(Some(entry))
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

/// One line, with or without its newline.
pub(crate) fn parse(folder: &Path, line: &[u8], blobs: Blobs) -> Result<Entry, String> {
    let head = head(line)?;
    if head.v > VERSION {
        return Err(format!(
            "version {} of the log is newer than this ml-intern reads ({VERSION}); update ml-intern",
            head.v
        ));
    }
    let ms = milliseconds(&head.ts).ok_or_else(|| format!("`{}` is no time", head.ts))?;
    let stamp = Stamp { seq: head.seq, ms };
    match event(folder, line, &head, blobs)? {
        Ok(event) => Ok((stamp, Some(event))),
        Err(error) if error.to_string().starts_with("unknown variant") => Ok((stamp, None)),
        Err(error) => Err(format!("{} ({error})", head.r#type)),
    }
}

pub(crate) fn head(line: &[u8]) -> Result<Head<'_>, String> {
    serde_json::from_slice(line).map_err(|error| error.to_string())
}

/// The event of a line of any version up to [`VERSION`]. No field ever changed its name or its meaning; where one
/// does, `VERSION` grows, and here a line with an older `head.v` gets today's fields before it is read.
fn event(
    folder: &Path,
    line: &[u8],
    head: &Head<'_>,
    blobs: Blobs,
) -> Result<serde_json::Result<Event>, String> {
    if !blob::may_be_in(line) {
        return Ok(serde_json::from_slice(line));
    }
    let folder = folder.join(BLOBS);
    let folder = (blobs == Blobs::All || is_listed(&head.r#type)).then_some(&*folder);
    let mut value = serde_json::from_slice::<Value>(line).map_err(|error| error.to_string())?;
    blob::load(folder, &mut value).map_err(|error| error.to_string())?;
    Ok(serde_json::from_value(value))
}

/// Whether a list shows texts of such an event.
fn is_listed(kind: &str) -> bool {
    kind.starts_with("session.") || kind == "turn.started"
}
