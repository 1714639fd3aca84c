//! The recording or the script of one running call.

use std::io;
use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

use crate::call::Call;
use crate::effects::recorder::Recorder;
use crate::effects::script::{Reading, Script};
use crate::effects::{Clock, RandomSource};
use crate::fault::FaultCause;
use crate::services::Effects;

/// What records a call, or what it replays; and the end of it where that goes wrong.
pub(crate) struct CallEffects {
    pub(crate) mode: Mode,
    ended: OnceLock<FaultCause>,
    end: CancellationToken,
}

pub(crate) enum Mode {
    Record(Box<Recorder>),
    Replay(Arc<Script>),
}

impl CallEffects {
    pub(crate) fn new(effects: &Effects, call: &str) -> Arc<Self> {
        let mode = match effects {
            Effects::Record(to) => Mode::Record(Box::new(Recorder::new(Arc::clone(to), call))),
            Effects::Replay(scripts) => Mode::Replay(scripts.of(call)),
        };
        Arc::new(Self {
            mode,
            ended: OnceLock::new(),
            end: CancellationToken::new(),
        })
    }

    /// Ends the call. The first cause counts.
    pub(crate) fn fail(&self, cause: FaultCause) -> wasmtime::Error {
        let cause = self.ended.get_or_init(|| cause);
        self.end.cancel();
        wasmtime::Error::msg(cause.to_string())
    }

    /// Ends the call where something could not be kept: what has a hole cannot be replayed.
    pub(crate) fn kept<T>(&self, kept: io::Result<T>) -> wasmtime::Result<T> {
        kept.map_err(|error| {
            self.fail(FaultCause::Host(format!(
                "what enters the call cannot be recorded: {error}"
            )))
        })
    }

    /// Why the call is to end, if it is.
    pub(crate) fn ended(&self) -> Option<FaultCause> {
        self.ended.get().cloned()
    }

    /// Completes when the call is to end.
    pub(crate) async fn until_ended(&self) {
        self.end.cancelled().await;
    }

    /// What the guest has got by now is handed on.
    pub(crate) fn flush(&self) {
        if let Mode::Record(recorder) = &self.mode {
            // Said by `ended`.
            let _told = self.kept(recorder.flush());
        }
    }

    /// The guest is gone.
    pub(crate) fn close(&self) {
        if let Mode::Record(recorder) = &self.mode {
            // The call has its result, and with it went all that it got but the ends of bodies.
            let _ignored = recorder.close();
        }
    }
}

impl Call {
    /// A reading of a clock: `live`, or the one that was recorded.
    pub(crate) fn reading(
        &self,
        clock: Clock,
        live: impl FnOnce() -> wasmtime::Result<u64>,
    ) -> wasmtime::Result<u64> {
        let Some(effects) = &self.effects else {
            return live();
        };
        match &effects.mode {
            Mode::Record(recorder) => {
                let value = live()?;
                effects.kept(recorder.reading(clock, value))?;
                Ok(value)
            }
            Mode::Replay(script) => match script.reading(clock) {
                Ok(Reading::Next(value)) => Ok(value),
                Ok(Reading::Last(value)) => {
                    let words = || format!("the recording of {} was truncated", clock.words());
                    self.limited("recording", words);
                    Ok(value)
                }
                Err(cause) => Err(effects.fail(cause)),
            },
        }
    }

    /// Random bytes: `live`, or as many of those that were recorded.
    pub(crate) fn random_bytes(
        &self,
        source: RandomSource,
        length: usize,
        live: impl FnOnce() -> wasmtime::Result<Vec<u8>>,
    ) -> wasmtime::Result<Vec<u8>> {
        let Some(effects) = &self.effects else {
            return live();
        };
        match &effects.mode {
            Mode::Record(recorder) => {
                let bytes = live()?;
                effects.kept(recorder.random(source, &bytes))?;
                Ok(bytes)
            }
            Mode::Replay(script) => {
                let mut bytes = vec![0; length];
                match script.random(source, &mut bytes) {
                    Ok(()) => Ok(bytes),
                    Err(cause) => Err(effects.fail(cause)),
                }
            }
        }
    }
}
