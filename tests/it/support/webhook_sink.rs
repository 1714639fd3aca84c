//! A receiver of webhooks that keeps what it gets and answers with the statuses it is told.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{HeaderMap, Request, Response, body::Incoming};
use serde_json::Value;
use tokio::sync::watch;

use super::http::{AnswerBody, Listening, full, listen};

/// Longest wait of [`WebhookSink::wait_for`].
const PATIENCE: Duration = Duration::from_secs(20);

/// One delivery.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) method: String,
    /// Path and query as they came.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// What the sink answered.
    pub(crate) status: u16,
}

impl Delivery {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// The running sink; stops when dropped.
pub(crate) struct WebhookSink {
    listening: Listening,
    deliveries: Arc<watch::Sender<Vec<Delivery>>>,
}

impl WebhookSink {
    /// A sink that answers 200.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// A sink that answers the first requests with `statuses`, one each, and later ones with 200.
    pub(crate) async fn start_with(statuses: &[u16]) -> Self {
        let statuses = Arc::new(Mutex::new(VecDeque::from(statuses.to_vec())));
        let deliveries = Arc::new(watch::Sender::new(Vec::new()));
        let kept = Arc::clone(&deliveries);
        let answer = move |_, request| {
            let status = statuses.lock().unwrap().pop_front().unwrap_or(200);
            take(Arc::clone(&kept), status, request)
        };
        Self {
            listening: listen(answer).await,
            deliveries,
        }
    }

    /// The URL to deliver to.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.listening.addr)
    }

    /// The deliveries so far, oldest first.
    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        self.deliveries.borrow().clone()
    }

    /// Waits for the first `count` deliveries and returns all; panics after 20 s.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Delivery> {
        let mut deliveries = self.deliveries.subscribe();
        let enough = deliveries.wait_for(|deliveries| deliveries.len() >= count);
        match tokio::time::timeout(PATIENCE, enough).await {
            Ok(enough) => enough.expect("the sink owns the sender").clone(),
            Err(_) => panic!(
                "{} of {count} deliveries in {PATIENCE:?}",
                self.deliveries().len()
            ),
        }
    }
}

async fn take(
    deliveries: Arc<watch::Sender<Vec<Delivery>>>,
    status: u16,
    request: Request<Incoming>,
) -> Response<AnswerBody> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let target = head
        .uri
        .path_and_query()
        .map_or("", |target| target.as_str())
        .to_owned();
    let method = head.method.to_string();
    let delivery = Delivery {
        method,
        target,
        headers: head.headers,
        body,
        status,
    };
    deliveries.send_modify(|deliveries| deliveries.push(delivery));
    Response::builder()
        .status(status)
        .body(full(""))
        .expect("statuses are valid")
}
