//! What enters a call, handed on to whoever keeps it: in batches where it is small and often, and
//! never more than the bounds allow.

use std::io;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};

use crate::effects::{Clock, Effect, End, Kind, MAX_BODY, MAX_CALL, MAX_READINGS, RandomSource};
use crate::meter::lock;
use crate::services::RecordsEffects;

/// A batch is handed on when it holds this many readings, answers or random bytes.
const BATCH: usize = 1024;
/// What an effect takes beside its bytes, about.
const ENTRY: u64 = 64;

/// What one call hands on.
pub(crate) struct Recorder {
    to: Arc<dyn RecordsEffects>,
    call: String,
    state: Mutex<State>,
}

struct State {
    /// The guest is gone: what comes now it never gets.
    closed: bool,
    /// Bytes of the call that may still be kept.
    left: u64,
    clocks: [Readings; Clock::COUNT],
    random: [RandomBytes; RandomSource::COUNT],
    ready: Vec<Vec<u32>>,
    polls: u32,
    requests: u32,
    /// Whether requests are left out from here on.
    unkept: bool,
    /// What was said to be incomplete.
    truncated: Vec<Kind>,
}

#[derive(Default)]
struct Readings {
    count: u32,
    first: Option<u64>,
    last: u64,
    steps: Vec<i64>,
}

#[derive(Default)]
struct RandomBytes(BytesMut);

impl Recorder {
    pub(crate) fn new(to: Arc<dyn RecordsEffects>, call: &str) -> Self {
        Self {
            to,
            call: call.to_owned(),
            state: Mutex::new(State {
                closed: false,
                left: MAX_CALL,
                clocks: Default::default(),
                random: Default::default(),
                ready: Vec::new(),
                polls: 0,
                requests: 0,
                unkept: false,
                truncated: Vec::new(),
            }),
        }
    }

    pub(crate) fn reading(&self, clock: Clock, value: u64) -> io::Result<()> {
        let mut state = lock(&self.state);
        let readings = &mut state.clocks[clock as usize];
        if readings.count >= MAX_READINGS {
            return self.truncated(&mut state, Kind::Clock(clock));
        }
        readings.count += 1;
        match readings.first {
            None => readings.first = Some(value),
            // Wraps, and wraps back when it is added.
            Some(_) => readings
                .steps
                .push(value.wrapping_sub(readings.last).cast_signed()),
        }
        readings.last = value;
        match readings.steps.len() + 1 >= BATCH {
            true => self.flush_clock(&mut state, clock),
            false => Ok(()),
        }
    }

    pub(crate) fn random(&self, source: RandomSource, bytes: &[u8]) -> io::Result<()> {
        let mut state = lock(&self.state);
        let kind = Kind::Random(source);
        if state.truncated.contains(&kind) || !state.take(bytes.len() as u64) {
            return self.truncated(&mut state, kind);
        }
        let kept = &mut state.random[source as usize].0;
        kept.extend_from_slice(bytes);
        match kept.len() >= BATCH {
            true => self.flush_random(&mut state, source),
            false => Ok(()),
        }
    }

    pub(crate) fn ready(&self, indexes: &[u32]) -> io::Result<()> {
        let mut state = lock(&self.state);
        let size = ENTRY + size_of_val(indexes) as u64;
        if state.polls >= MAX_READINGS || !state.take(size) {
            // What is left out must stay left out, or the rest would take its place.
            state.polls = MAX_READINGS;
            return self.truncated(&mut state, Kind::Ready);
        }
        state.polls += 1;
        state.ready.push(indexes.to_vec());
        match state.ready.len() >= BATCH {
            true => self.flush_ready(&mut state),
            false => Ok(()),
        }
    }

    /// Takes a number for a request and keeps what `effect` makes of it, which takes about `size`
    /// bytes; none where it is left out, together with all that follow.
    pub(crate) fn request(
        &self,
        size: u64,
        effect: impl FnOnce(u32) -> Effect,
    ) -> io::Result<Option<u32>> {
        let mut state = lock(&self.state);
        if state.unkept || !state.take(ENTRY + size) {
            state.unkept = true;
            self.truncated(&mut state, Kind::Requests)?;
            return Ok(None);
        }
        let number = state.requests;
        state.requests += 1;
        self.hand_on(&state, effect(number))?;
        Ok(Some(number))
    }

    /// Keeps what belongs to a request that is kept, whatever is left: it is bounded where it is made.
    pub(crate) fn keep(&self, effect: Effect, size: u64) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.left = state.left.saturating_sub(ENTRY + size);
        self.hand_on(&state, effect)
    }

    /// Keeps a piece of a body of which `before` bytes were kept. False: it was too much, and the
    /// body's end is kept in its place.
    pub(crate) fn body(&self, request: u32, bytes: Bytes, before: u64) -> io::Result<bool> {
        let mut state = lock(&self.state);
        let size = bytes.len() as u64 + ENTRY;
        let fits = before + size <= MAX_BODY && state.take(size);
        let effect = match fits {
            true => Effect::Body { request, bytes },
            false => Effect::End {
                request,
                end: End::Truncated,
            },
        };
        self.hand_on(&state, effect)?;
        Ok(fits)
    }

    /// Hands on what still waits for its batch to fill.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let mut state = lock(&self.state);
        for clock in [
            Clock::Wall,
            Clock::WallResolution,
            Clock::Monotonic,
            Clock::MonotonicResolution,
        ] {
            self.flush_clock(&mut state, clock)?;
        }
        for source in [
            RandomSource::Random,
            RandomSource::Insecure,
            RandomSource::InsecureSeed,
        ] {
            self.flush_random(&mut state, source)?;
        }
        self.flush_ready(&mut state)
    }

    /// Hands on the last of it, and nothing after it.
    pub(crate) fn close(&self) -> io::Result<()> {
        let flushed = self.flush();
        lock(&self.state).closed = true;
        flushed
    }

    fn flush_clock(&self, state: &mut State, clock: Clock) -> io::Result<()> {
        let readings = &mut state.clocks[clock as usize];
        let Some(first) = readings.first.take() else {
            return Ok(());
        };
        let steps = std::mem::take(&mut readings.steps);
        let effect = Effect::Clock {
            clock,
            first,
            steps,
        };
        self.hand_on(state, effect)
    }

    fn flush_random(&self, state: &mut State, source: RandomSource) -> io::Result<()> {
        let bytes = state.random[source as usize].0.split().freeze();
        match bytes.is_empty() {
            true => Ok(()),
            false => self.hand_on(state, Effect::Random { source, bytes }),
        }
    }

    fn flush_ready(&self, state: &mut State) -> io::Result<()> {
        let polls = std::mem::take(&mut state.ready);
        match polls.is_empty() {
            true => Ok(()),
            false => self.hand_on(state, Effect::Ready { polls }),
        }
    }

    /// Says once that more came than is kept.
    fn truncated(&self, state: &mut State, kind: Kind) -> io::Result<()> {
        if state.truncated.contains(&kind) {
            return Ok(());
        }
        state.truncated.push(kind);
        self.hand_on(state, Effect::Truncated { kind })
    }

    /// Under the lock, so that nothing follows the last one.
    fn hand_on(&self, state: &State, effect: Effect) -> io::Result<()> {
        match state.closed {
            true => Ok(()),
            false => self.to.record(&self.call, effect),
        }
    }
}

impl State {
    /// Takes from what may still be kept; false when that is used up.
    fn take(&mut self, size: u64) -> bool {
        match self.left.checked_sub(size) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<Vec<Effect>>);

    impl RecordsEffects for Kept {
        fn record(&self, call: &str, effect: Effect) -> io::Result<()> {
            assert_eq!(call, "c");
            lock(&self.0).push(effect);
            Ok(())
        }
    }

    fn recorder() -> (Arc<Kept>, Recorder) {
        let kept = Arc::new(Kept::default());
        (kept.clone(), Recorder::new(kept, "c"))
    }

    #[test]
    fn what_is_small_comes_in_batches_and_nothing_comes_after_the_end() {
        let (kept, recorder) = recorder();
        for reading in [5, 3, 3] {
            recorder.reading(Clock::Wall, reading).unwrap();
        }
        recorder.random(RandomSource::Random, &[1]).unwrap();
        recorder.random(RandomSource::Random, &[2]).unwrap();
        recorder.ready(&[0, 2]).unwrap();
        assert!(lock(&kept.0).is_empty());
        recorder.close().unwrap();
        let clock = Effect::Clock {
            clock: Clock::Wall,
            first: 5,
            steps: vec![-2, 0],
        };
        let random = Effect::Random {
            source: RandomSource::Random,
            bytes: Bytes::from_static(&[1, 2]),
        };
        let ready = Effect::Ready {
            polls: vec![vec![0, 2]],
        };
        assert_eq!(*lock(&kept.0), [clock, random, ready]);
        recorder.random(RandomSource::Random, &[0; BATCH]).unwrap();
        recorder.close().unwrap();
        assert_eq!(lock(&kept.0).len(), 3);
    }

    #[test]
    fn a_call_keeps_no_more_than_its_bound_and_says_so_once() {
        let (kept, recorder) = recorder();
        let piece = Bytes::from(vec![0; 8 << 20]);
        let mut pieces = 0;
        for number in 0..40 {
            let made = |request| Effect::Sent {
                request,
                digest: None,
            };
            let request = recorder.request(0, made).unwrap();
            assert_eq!(request, Some(number));
            pieces += u64::from(recorder.body(number, piece.clone(), 0).unwrap());
        }
        assert_eq!(pieces, (MAX_CALL >> 23) - 1);
        // After a gap nothing follows, though it would fit.
        recorder
            .random(RandomSource::Random, &[0; 8 << 20])
            .unwrap();
        recorder.random(RandomSource::Random, &[0]).unwrap();
        recorder.close().unwrap();
        let cut = Effect::Truncated {
            kind: Kind::Random(RandomSource::Random),
        };
        assert_eq!(
            lock(&kept.0)
                .iter()
                .filter(|effect| **effect == cut)
                .count(),
            1
        );
        let random = |effect: &Effect| matches!(effect, Effect::Random { .. });
        assert!(!lock(&kept.0).iter().any(random));
    }
}
