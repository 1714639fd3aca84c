//! What the fake server saw: every request with its bytes, and how its answer ended.

use std::{sync::Mutex, time::Instant};

use bytes::Bytes;
use hyper::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use tokio::sync::watch;

/// One request and the fate of its answer.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// Number of the connection, counted from 0 in the order of acceptance.
    pub(crate) connection: u64,
    pub(crate) method: String,
    pub(crate) path: String,
    /// What follows the question mark, without it.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    /// The body as it came.
    pub(crate) body: Bytes,
    /// When the whole request was there.
    pub(crate) arrived: Instant,
    /// The status of the answer, once its head was made.
    pub(crate) status: Option<u16>,
    /// Why the request itself was refused; a refusal that the script wanted is not counted.
    pub(crate) refusal: Option<String>,
    /// When the answer was over, in whatever way.
    pub(crate) ended: Option<Instant>,
    /// Whether the whole answer was taken by the client before that.
    pub(crate) complete: bool,
}

impl Exchange {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The bytes of the array of messages, which the Responses API calls `input`, or nothing
    /// where there is none.
    pub(crate) fn messages(&self) -> &str {
        self.raw()
            .and_then(|raw| raw.messages.or(raw.input))
            .map_or("", RawValue::get)
    }

    /// The bytes of the tools that are offered, or nothing where there are none.
    pub(crate) fn tools(&self) -> &str {
        self.raw()
            .and_then(|raw| raw.tools.or(raw.tool_config))
            .map_or("", RawValue::get)
    }

    /// The value of a header, where it came and is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether a model was asked to say something, in whatever protocol.
    pub(super) fn is_ask(&self) -> bool {
        const ENDS: [&str; 5] = [
            "/chat/completions",
            "/responses",
            "/messages",
            "/converse",
            "/converse-stream",
        ];
        ENDS.iter().any(|end| self.path.ends_with(end)) && self.method == "POST"
    }

    fn raw(&self) -> Option<Raw<'_>> {
        serde_json::from_slice(&self.body).ok()
    }
}

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow, rename = "toolConfig")]
    tool_config: Option<&'a RawValue>,
}

/// All exchanges in the order of arrival, with a signal for those who wait for more.
pub(super) struct Record {
    exchanges: Mutex<Vec<Exchange>>,
    changed: watch::Sender<()>,
}

impl Record {
    pub(super) fn new() -> Self {
        Self {
            exchanges: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }

    /// Adds an exchange and returns its position.
    pub(super) fn add(&self, exchange: Exchange) -> usize {
        let mut exchanges = self.exchanges.lock().unwrap();
        exchanges.push(exchange);
        let position = exchanges.len() - 1;
        drop(exchanges);
        self.changed.send_replace(());
        position
    }

    pub(super) fn change(&self, position: usize, change: impl FnOnce(&mut Exchange)) {
        change(&mut self.exchanges.lock().unwrap()[position]);
        self.changed.send_replace(());
    }

    pub(super) fn read<T>(&self, read: impl FnOnce(&[Exchange]) -> T) -> T {
        read(&self.exchanges.lock().unwrap())
    }

    /// Returns when `reached` holds; checks at every change, the state at the call included.
    pub(super) async fn wait_for(&self, reached: impl Fn(&[Exchange]) -> bool) {
        let mut changed = self.changed.subscribe();
        while !self.read(&reached) {
            changed.changed().await.expect("the record owns the sender");
        }
    }
}
