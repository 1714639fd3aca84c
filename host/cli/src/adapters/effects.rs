//! What entered the calls of a session from outside, kept beside its log so that they can be run again without it.

use ml_intern_runtime::{Effect, EffectScripts, RecordsEffects};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// File of the recording in the session's folder.
const FILE: &str = "effects.jsonl";
/// Bytes of a recording.
const MOST: u64 = 4 << 30;

#[derive(Serialize, Deserialize)]
struct Line<'a> {
    call: Cow<'a, str>,
    effect: Cow<'a, Effect>,
}

/// Writes the recording of one session.
pub(crate) struct Recording {
    writer: Mutex<Writer>,
}

struct Writer {
    file: BufWriter<File>,
    left: u64,
}

impl Recording {
    /// Goes on with the recording in the session's folder, or begins it.
    pub(crate) fn open(session_folder: &Path) -> io::Result<Self> {
        let path = session_folder.join(FILE);
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        let left = MOST.saturating_sub(file.metadata()?.len());
        let file = BufWriter::new(file);
        let writer = Mutex::new(Writer { file, left });
        Ok(Self { writer })
    }
}

impl RecordsEffects for Recording {
    fn record(&self, call: &str, effect: Effect) -> io::Result<()> {
        let line = Line {
            call: Cow::Borrowed(call),
            effect: Cow::Owned(effect),
        };
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        // A panic leaves a whole line or none in the buffer.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let left = writer.left.checked_sub(text.len() as u64);
        writer.left = left.ok_or_else(|| {
            io::Error::other(format!(
                "a recording has at most {MOST} bytes; go on without --record"
            ))
        })?;
        writer.file.write_all(&text)?;
        // What is small and frequent waits for the rest.
        match &*line.effect {
            Effect::Clock { .. } | Effect::Random { .. } | Effect::Ready { .. } => Ok(()),
            _ => writer.file.flush(),
        }
    }
}

/// The recording of a session; `None` where it has none.
///
/// # Errors
/// It cannot be read, or is damaged: the text says where. Half a last line of a host that died is left out.
pub(crate) fn recorded(session_folder: &Path) -> anyhow::Result<Option<EffectScripts>> {
    let file = match File::open(session_folder.join(FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut effects = Vec::new();
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        reader.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            break;
        }
        let parsed: Line<'_> = serde_json::from_slice(&line)
            .map_err(|error| anyhow::anyhow!("{FILE}, line {number}: {error}"))?;
        effects.push((parsed.call.into_owned(), parsed.effect.into_owned()));
    }
    Ok(Some(EffectScripts::new(effects)?))
}
