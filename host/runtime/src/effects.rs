//! What enters a call from outside by chance: answers to its requests, readings of clocks, random
//! bytes, and which of several things was ready first. Recorded, it can be replayed: the call then
//! gets the same again and reaches nothing.
//!
//! [`Effect`] is one of them in a form that can be kept; [`Effects`](crate::Effects) says whether
//! the calls of a plugin record or replay; [`EffectScripts`] is what they replay.

mod bytes_text;
mod error;
pub(crate) mod of_call;
pub(crate) mod recorder;
pub(crate) mod script;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use error::HttpFailure;
pub use script::EffectScripts;

/// Bytes kept of one body. What answers in one piece to a model is far smaller, and a larger
/// download is a file, which is replayed as what it left.
pub const MAX_BODY: u64 = 16 << 20;
/// Bytes kept of all that enters one call.
pub const MAX_CALL: u64 = 256 << 20;
/// Readings kept of each clock in one call, and answers about what is ready: more than a program
/// needs that does not spin.
pub const MAX_READINGS: u32 = 100_000;

/// Something that entered a call. The kinds are independent of one another: within a kind (one
/// clock, one source of random bytes, the requests, what was ready) the order is the guest's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Effect {
    /// Readings of a clock, oldest first.
    Clock {
        /// Which clock.
        clock: Clock,
        /// The first reading, in nanoseconds: since 1970, or since the call began.
        first: u64,
        /// How far each further reading is from the one before, in nanoseconds.
        steps: Vec<i64>,
    },
    /// Random bytes, in the order in which they were given.
    Random {
        /// Whom the guest asked.
        source: RandomSource,
        /// Base64 in text formats.
        #[serde(with = "bytes_text")]
        bytes: Bytes,
    },
    /// What was ready, of what the guest asked about: the indexes that each call of
    /// `wasi:io/poll.poll` with several pollables returned; for `pollable.ready`, 0 or nothing.
    Ready {
        /// One list a call.
        polls: Vec<Vec<u32>>,
    },
    /// A request, as the guest made it.
    Request(RequestMade),
    /// The end of a request's body. Of a request that the host refused there is none.
    Sent {
        /// Number of the request.
        request: u32,
        /// `sha256:…` of the body; none where the guest left it unfinished.
        digest: Option<String>,
    },
    /// The host refused a request, or broke it off, with the reason. Its error follows.
    Denied {
        /// Number of the request.
        request: u32,
        /// In words.
        detail: String,
    },
    /// What the guest got for a request.
    Answer {
        /// Number of the request.
        request: u32,
        /// The answer, but for its body.
        answer: Answer,
    },
    /// A piece of an answer's body. Pieces are kept as they came: a guest sees where one ends.
    Body {
        /// Number of the request.
        request: u32,
        /// Unpacked, and cleared of secrets. Base64 in text formats.
        #[serde(with = "bytes_text")]
        bytes: Bytes,
    },
    /// The end of an answer's body. Trailers never reach a guest, so none are kept.
    End {
        /// Number of the request.
        request: u32,
        /// How it ended.
        end: End,
    },
    /// More came than is kept. Said once of each kind; of a body by its end.
    Truncated {
        /// Of what.
        kind: Kind,
    },
}

/// A request. Its number is that of the requests before it in the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestMade {
    /// From 0.
    pub request: u32,
    /// In upper case.
    pub method: String,
    /// With its query, and stars for secrets.
    pub url: String,
    /// `sha256:…` of the headers as the guest set them, before the host adds a credential.
    pub headers: String,
}

/// The head of an answer, or the error in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The service answered.
    Response {
        /// 100 to 599.
        status: u16,
        /// As the guest gets them, in their order. A character stands for a byte (ISO 8859-1).
        headers: Vec<(String, String)>,
    },
    /// There is no answer.
    Error(HttpFailure),
}

/// How the body of an answer ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// With its last byte.
    Complete,
    /// With an error.
    Error(HttpFailure),
    /// The guest read no further.
    Left {
        /// It had asked, and there was nothing yet.
        waiting: bool,
    },
    /// More came than is kept.
    Truncated,
}

/// A clock, or what a clock says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are those of WASI")]
pub enum Clock {
    Wall,
    WallResolution,
    Monotonic,
    MonotonicResolution,
}

impl Clock {
    pub(crate) const COUNT: usize = 4;

    fn words(self) -> &'static str {
        match self {
            Self::Wall => "the wall clock",
            Self::WallResolution => "the wall clock's resolution",
            Self::Monotonic => "the monotonic clock",
            Self::MonotonicResolution => "the monotonic clock's resolution",
        }
    }
}

/// A source of random bytes. They may be a guest's keys: a recording is as private as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are those of WASI")]
pub enum RandomSource {
    Random,
    Insecure,
    InsecureSeed,
}

impl RandomSource {
    pub(crate) const COUNT: usize = 3;
}

/// A kind of effect of which more came than is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Readings of this clock.
    Clock(Clock),
    /// Bytes of this source.
    Random(RandomSource),
    /// What was ready.
    Ready,
    /// Requests.
    Requests,
}
