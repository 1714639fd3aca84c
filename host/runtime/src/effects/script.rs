//! What calls replay: the effects of a recording, sorted by kind and given once each.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::effects::{Answer, Clock, Effect, End, HttpFailure, Kind, RandomSource, RequestMade};
use crate::fault::{Error, FaultCause};
use crate::meter::lock;

/// The recordings that calls replay, by the ids of the calls. A call without one has an empty one:
/// it may compute, and ends with [`FaultCause::Diverged`] when it asks for anything from outside.
///
/// Effects are given once. A call that is made a second time under its id goes on where the first
/// one stopped, as it did when both were recorded.
#[derive(Default)]
pub struct EffectScripts {
    calls: Mutex<HashMap<String, Arc<Script>>>,
}

impl EffectScripts {
    /// Sorts `effects`, each with the id of its call and in the order of the recording.
    ///
    /// # Errors
    /// [`Error::Recording`] for the answer to a request that is not there, or one that is none.
    pub fn new(effects: impl IntoIterator<Item = (String, Effect)>) -> Result<Self, Error> {
        let mut calls: HashMap<String, Unsorted> = HashMap::new();
        for (call, effect) in effects {
            let sorted = calls.entry(call).or_default();
            sorted.add(effect).map_err(Error::Recording)?;
        }
        let calls = calls
            .into_iter()
            .map(|(call, sorted)| (call, Arc::new(sorted.script())));
        Ok(Self {
            calls: Mutex::new(calls.collect()),
        })
    }

    /// What the call has not asked for, in words; none when it asked for everything. A call that
    /// ends well and leaves something did less than when it was recorded.
    pub fn left(&self, call: &str) -> Option<String> {
        lock(&self.calls).get(call).and_then(|script| script.left())
    }

    pub(crate) fn of(&self, call: &str) -> Arc<Script> {
        let mut calls = lock(&self.calls);
        Arc::clone(calls.entry(call.to_owned()).or_default())
    }
}

impl std::fmt::Debug for EffectScripts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let calls = lock(&self.calls);
        f.debug_set().entries(calls.keys()).finish()
    }
}

/// A request with what followed it.
pub(crate) struct Exchange {
    pub(crate) made: RequestMade,
    /// The digest of its body, where it is known.
    pub(crate) sent: Option<Option<String>>,
    /// The body had ended before the answer came.
    pub(crate) sent_first: bool,
    pub(crate) denied: Vec<String>,
    pub(crate) answer: Option<Result<(StatusCode, HeaderMap), HttpFailure>>,
    pub(crate) pieces: Vec<Bytes>,
    pub(crate) end: Option<End>,
}

/// The recording of one call, partly given.
#[derive(Default)]
pub(crate) struct Script(Mutex<Rest>);

#[derive(Default)]
struct Rest {
    clocks: [Readings; Clock::COUNT],
    random: [RandomBytes; RandomSource::COUNT],
    polls: VecDeque<Vec<u32>>,
    polls_truncated: bool,
    requests: VecDeque<Arc<Exchange>>,
    requests_truncated: bool,
}

#[derive(Default)]
struct Readings {
    values: VecDeque<u64>,
    last: Option<u64>,
    truncated: bool,
}

#[derive(Default)]
struct RandomBytes {
    pieces: VecDeque<Bytes>,
    truncated: bool,
}

impl RandomBytes {
    fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }
}

/// A reading of a clock, as a recording has it.
pub(crate) enum Reading {
    Next(u64),
    /// The recording was cut short: the last one again.
    Last(u64),
}

impl Script {
    pub(crate) fn reading(&self, clock: Clock) -> Result<Reading, FaultCause> {
        let mut rest = lock(&self.0);
        let readings = &mut rest.clocks[clock as usize];
        if let Some(next) = readings.values.pop_front() {
            readings.last = Some(next);
            return Ok(Reading::Next(next));
        }
        match readings.last.filter(|_| readings.truncated) {
            Some(last) => Ok(Reading::Last(last)),
            None => Err(diverged(
                format!("no further reading of {}", clock.words()),
                format!("a reading of {}", clock.words()),
            )),
        }
    }

    pub(crate) fn random(&self, source: RandomSource, bytes: &mut [u8]) -> Result<(), FaultCause> {
        let mut rest = lock(&self.0);
        let kept = &mut rest.random[source as usize];
        let left = kept.len();
        if left < bytes.len() {
            let cut = if kept.truncated { ", truncated" } else { "" };
            return Err(diverged(
                format!("at most {left} more random bytes{cut}"),
                format!("{} random bytes", bytes.len()),
            ));
        }
        let mut at = 0;
        while at < bytes.len() {
            let Some(piece) = kept.pieces.front_mut() else {
                break;
            };
            let length = piece.len().min(bytes.len() - at);
            piece.copy_to_slice(&mut bytes[at..at + length]);
            at += length;
            if piece.is_empty() {
                kept.pieces.pop_front();
            }
        }
        Ok(())
    }

    /// The indexes, of `count`, that were ready.
    pub(crate) fn ready(&self, count: usize) -> Result<Vec<u32>, FaultCause> {
        let mut rest = lock(&self.0);
        let found = || format!("a question what of {count} is ready");
        let Some(next) = rest.polls.pop_front() else {
            let expected = match rest.polls_truncated {
                true => "an answer that was truncated",
                false => "no further question what is ready",
            };
            return Err(diverged(expected, found()));
        };
        match next.iter().find(|index| **index as usize >= count) {
            Some(index) => Err(diverged(format!("more than {index} of them"), found())),
            None => Ok(next),
        }
    }

    /// The next request, if it is the one that is made.
    pub(crate) fn request(&self, made: &RequestMade) -> Result<Arc<Exchange>, FaultCause> {
        let mut rest = lock(&self.0);
        let Some(next) = rest.requests.pop_front() else {
            let expected = match rest.requests_truncated {
                true => "a request that was truncated",
                false => "no further request",
            };
            return Err(diverged(expected, in_words(made)));
        };
        if (&next.made.method, &next.made.url) != (&made.method, &made.url) {
            return Err(diverged(in_words(&next.made), in_words(made)));
        }
        if next.made.headers != made.headers {
            let with = |made: &RequestMade| {
                format!("{} with headers of digest {}", in_words(made), made.headers)
            };
            return Err(diverged(with(&next.made), with(made)));
        }
        Ok(next)
    }

    fn left(&self) -> Option<String> {
        let rest = lock(&self.0);
        let readings: usize = rest.clocks.iter().map(|clock| clock.values.len()).sum();
        let random: usize = rest.random.iter().map(RandomBytes::len).sum();
        let all = [
            (rest.requests.len(), "requests"),
            (readings, "readings of clocks"),
            (random, "random bytes"),
            (rest.polls.len(), "questions what is ready"),
        ];
        let some = all.iter().filter(|(count, _)| *count > 0);
        let words: Vec<String> = some
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

pub(crate) fn diverged(expected: impl Into<String>, found: impl Into<String>) -> FaultCause {
    FaultCause::Diverged {
        expected: expected.into(),
        found: found.into(),
    }
}

/// A request in words, as long as a message may be.
pub(crate) fn in_words(made: &RequestMade) -> String {
    format!(
        "{} {}",
        ml_intern_manifest::shorten(&made.method),
        ml_intern_manifest::printable(&made.url, 300)
    )
}

/// A script being made.
#[derive(Default)]
struct Unsorted {
    rest: Rest,
    exchanges: Vec<Exchange>,
    /// Where the requests of the running call begin: a call that comes again counts anew.
    numbers: HashMap<u32, usize>,
}

impl Unsorted {
    fn add(&mut self, effect: Effect) -> Result<(), String> {
        let rest = &mut self.rest;
        match effect {
            Effect::Clock {
                clock,
                first,
                steps,
            } => {
                let values = &mut rest.clocks[clock as usize].values;
                let mut value = first;
                values.push_back(value);
                for step in steps {
                    value = value.wrapping_add_signed(step);
                    values.push_back(value);
                }
            }
            Effect::Random { source, bytes } => {
                rest.random[source as usize].pieces.push_back(bytes);
            }
            Effect::Ready { polls } => rest.polls.extend(polls),
            Effect::Request(made) => {
                self.numbers.insert(made.request, self.exchanges.len());
                self.exchanges.push(Exchange::of(made));
            }
            Effect::Sent { request, digest } => {
                let exchange = self.exchange(request)?;
                exchange.sent_first = exchange.answer.is_none();
                exchange.sent = Some(digest);
            }
            Effect::Denied { request, detail } => self.exchange(request)?.denied.push(detail),
            Effect::Answer { request, answer } => {
                self.exchange(request)?.answer = Some(parsed(answer)?);
            }
            Effect::Body { request, bytes } => self.exchange(request)?.pieces.push(bytes),
            Effect::End { request, end } => self.exchange(request)?.end = Some(end),
            Effect::Truncated { kind } => self.truncated(kind),
        }
        Ok(())
    }

    fn truncated(&mut self, kind: Kind) {
        let rest = &mut self.rest;
        match kind {
            Kind::Clock(clock) => rest.clocks[clock as usize].truncated = true,
            Kind::Random(source) => rest.random[source as usize].truncated = true,
            Kind::Ready => rest.polls_truncated = true,
            Kind::Requests => rest.requests_truncated = true,
        }
    }

    fn exchange(&mut self, request: u32) -> Result<&mut Exchange, String> {
        let at = self.numbers.get(&request);
        at.and_then(|at| self.exchanges.get_mut(*at))
            .ok_or_else(|| format!("it answers request {request}, which it does not hold"))
    }

    fn script(mut self) -> Script {
        self.rest.requests = self.exchanges.into_iter().map(Arc::new).collect();
        Script(Mutex::new(self.rest))
    }
}

fn parsed(answer: Answer) -> Result<Result<(StatusCode, HeaderMap), HttpFailure>, String> {
    let (status, headers) = match answer {
        Answer::Response { status, headers } => (status, headers),
        Answer::Error(failure) => return Ok(Err(failure)),
    };
    let status = StatusCode::from_u16(status).map_err(|error| error.to_string())?;
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let bytes: Option<Vec<u8>> = value.chars().map(|c| u8::try_from(c).ok()).collect();
        let value = bytes.and_then(|bytes| HeaderValue::from_bytes(&bytes).ok());
        let value = value.ok_or_else(|| format!("the header `{name}` has a value that is none"))?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
        map.append(name, value);
    }
    Ok(Ok((status, map)))
}

impl Exchange {
    fn of(made: RequestMade) -> Self {
        Self {
            made,
            sent: None,
            sent_first: false,
            denied: Vec::new(),
            answer: None,
            pieces: Vec::new(),
            end: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(request: u32, url: &str) -> Effect {
        Effect::Request(RequestMade {
            request,
            method: "GET".to_owned(),
            url: url.to_owned(),
            headers: "sha256:0".to_owned(),
        })
    }

    fn answer(request: u32, headers: &[(&str, &str)]) -> Effect {
        let text = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Effect::Answer {
            request,
            answer: Answer::Response {
                status: 200,
                headers: headers.iter().map(text).collect(),
            },
        }
    }

    fn scripts(effects: Vec<Effect>) -> Result<EffectScripts, Error> {
        EffectScripts::new(effects.into_iter().map(|effect| ("c".to_owned(), effect)))
    }

    fn asked(script: &Script, url: &str) -> Result<Arc<Exchange>, FaultCause> {
        let Effect::Request(made) = made(0, url) else {
            unreachable!()
        };
        script.request(&made)
    }

    #[test]
    fn a_recording_that_contradicts_itself_is_refused() {
        for effects in [
            vec![answer(0, &[])],
            vec![made(0, "/"), answer(1, &[])],
            vec![made(0, "/"), answer(0, &[("a b", "c")])],
            vec![made(0, "/"), answer(0, &[("a", "\u{100}")])],
            vec![made(0, "/"), answer(0, &[("a", "\n")])],
        ] {
            let refused = scripts(effects).unwrap_err().to_string();
            assert!(
                refused.starts_with("the recording is not sound: "),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_call_that_comes_again_goes_on_where_it_stopped() {
        let twice = vec![made(0, "/a"), answer(0, &[]), made(0, "/b"), answer(0, &[])];
        let scripts = scripts(twice).unwrap();
        let script = scripts.of("c");
        for url in ["/a", "/b"] {
            assert!(asked(&script, url).unwrap().answer.is_some());
        }
        assert!(scripts.left("c").is_none());
        assert!(asked(&scripts.of("c"), "/c").is_err());
    }

    #[test]
    fn what_is_left_is_said_in_words() {
        let clock = Effect::Clock {
            clock: Clock::Wall,
            first: u64::MAX,
            steps: vec![1, -1],
        };
        let scripts = scripts(vec![made(0, "/"), clock]).unwrap();
        let left = scripts.left("c").unwrap();
        assert_eq!(left, "1 requests, 3 readings of clocks");
        let script = scripts.of("c");
        for expected in [u64::MAX, 0, u64::MAX] {
            let read = script.reading(Clock::Wall);
            assert!(matches!(read, Ok(Reading::Next(value)) if value == expected));
        }
        assert_eq!(scripts.left("d"), None);
    }

    #[test]
    fn what_was_truncated_is_said_so() {
        let cut = |kind| Effect::Truncated { kind };
        let scripts = scripts(vec![
            cut(Kind::Requests),
            cut(Kind::Ready),
            cut(Kind::Random(RandomSource::Insecure)),
        ]);
        let script = scripts.unwrap().of("c");
        let ended = [
            asked(&script, "/").map(drop),
            script.ready(2).map(drop),
            script.random(RandomSource::Insecure, &mut [0]),
        ];
        for ended in ended {
            assert!(ended.unwrap_err().to_string().contains("truncated"));
        }
    }
}
