//! Events that somebody wants to hear of, sent through notifier plugins in the background.

use super::audit::CallObserver;
use ml_intern_agent::event::{PermissionRequest, TurnEnd};
use ml_intern_agent::ports::Observer;
use ml_intern_agent::{Event, Session, Stamp};
use ml_intern_manifest as manifest;
use ml_intern_runtime::{CallContext, Plugin, Unobserved, notifier};
use serde_json::json;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Time for notices that are still under way when the program ends.
const LAST_NOTICES: Duration = Duration::from_secs(20);
/// Notices under way; beyond that new ones are left out, which is said at the end.
const UNDER_WAY: usize = 64;

/// A notifier plugin and what it is told of.
pub(crate) struct Listener {
    pub(crate) name: String,
    /// `id@version`.
    pub(crate) title: String,
    pub(crate) plugin: Plugin,
    pub(crate) events: Vec<manifest::Event>,
}

pub(crate) struct Notifiers {
    session: String,
    /// The session that this watches, for its log; it owns this one.
    log: OnceLock<Weak<Session>>,
    listeners: Vec<Listener>,
    under_way: Mutex<JoinSet<Result<(), String>>>,
    runtime: tokio::runtime::Handle,
}

impl Notifiers {
    pub(crate) fn new(session: String, listeners: Vec<Listener>) -> Self {
        Self {
            session,
            log: OnceLock::new(),
            listeners,
            under_way: Mutex::default(),
            runtime: tokio::runtime::Handle::current(),
        }
    }

    /// Called once, when the session exists.
    pub(crate) fn attach(&self, session: &Arc<Session>) {
        // A second session would be a second set of notifiers.
        let _first_wins = self.log.set(Arc::downgrade(session));
    }

    /// Writes down what a notifier does; nothing else of it is shown.
    fn watcher(&self, call: &str, plugin: &str) -> Arc<dyn ml_intern_runtime::Observer> {
        match self.log.get().and_then(Weak::upgrade) {
            Some(session) => Arc::new(CallObserver {
                session,
                call: call.to_owned(),
                plugin: plugin.to_owned(),
                cancel: CancellationToken::new(),
                verbose: false,
            }),
            None => Arc::new(Unobserved),
        }
    }

    fn send(&self, kind: manifest::Event, notice: &notifier::Notice) {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for listener in self
            .listeners
            .iter()
            .filter(|listener| listener.events.contains(&kind))
        {
            if under_way.len() >= UNDER_WAY {
                return;
            }
            let (plugin, notice, name) = (
                listener.plugin.clone(),
                notice.clone(),
                listener.name.clone(),
            );
            let context = CallContext {
                session: self.session.clone(),
                call: notice.id.clone(),
                ..CallContext::default()
            };
            let watcher = self.watcher(&notice.id, &listener.title);
            let deliver = async move {
                let result = plugin
                    .notify(&notice, context, watcher, &CancellationToken::new())
                    .await;
                result
                    .map(|_| ())
                    .map_err(|error| format!("notifier `{name}`: {error}"))
            };
            under_way.spawn_on(deliver, &self.runtime);
        }
    }

    /// Waits for what is under way, for a while; returns what went wrong.
    pub(crate) async fn finish(&self) -> Vec<String> {
        let mut under_way = std::mem::take(
            &mut *self
                .under_way
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        let mut problems = Vec::new();
        let all = async {
            while let Some(done) = under_way.join_next().await {
                match done {
                    Ok(Ok(())) => {}
                    Ok(Err(problem)) => problems.push(problem),
                    Err(error) => problems.push(error.to_string()),
                }
            }
        };
        let in_time = tokio::time::timeout(LAST_NOTICES, all).await.is_ok();
        if !in_time {
            problems.push(format!(
                "a notice was not delivered within {} s",
                LAST_NOTICES.as_secs()
            ));
        }
        problems
    }
}

impl Observer for Notifiers {
    fn event(&self, stamp: Stamp, event: &Event) {
        if self.listeners.is_empty() {
            return;
        }
        if let Some((kind, severity, title, body, data)) = told(event) {
            let notice = notifier::Notice {
                id: format!("{}-{}", self.session, stamp.seq),
                kind: kind.as_str().to_owned(),
                severity,
                title,
                body,
                url: None,
                data: Some(data.to_string()),
            };
            self.send(kind, &notice);
        }
    }
}

type Told = (
    manifest::Event,
    notifier::Severity,
    String,
    String,
    serde_json::Value,
);

fn told(event: &Event) -> Option<Told> {
    use notifier::Severity;
    Some(match event {
        Event::PermissionRequested { request } => asked(request),
        Event::Error { kind, message } => (
            manifest::Event::Error,
            Severity::Error,
            "The agent failed".into(),
            message.clone(),
            json!({ "kind": kind }),
        ),
        Event::JobFinished { job } => {
            let severity = if job.state == "succeeded" {
                Severity::Success
            } else {
                Severity::Warning
            };
            let title = format!(
                "Job {} {}",
                job.name.as_deref().unwrap_or(&job.id),
                job.state
            );
            (
                manifest::Event::JobFinished,
                severity,
                title,
                job.message.clone().unwrap_or_default(),
                json!(job),
            )
        }
        Event::BudgetWarned {
            spent_usd,
            cap_usd: Some(cap),
            threshold_usd: None,
        } => (
            manifest::Event::Budget,
            Severity::Warning,
            "The budget is nearly spent".into(),
            format!("{spent_usd} of {cap} are spent, and more may be promised"),
            json!({ "spent_usd": spent_usd, "cap_usd": cap }),
        ),
        Event::TurnFinished {
            reason: TurnEnd::Budget,
            message,
            ..
        } => {
            let body = message.clone().unwrap_or_default();
            (
                manifest::Event::Budget,
                Severity::Warning,
                "The budget is spent".into(),
                body,
                json!({}),
            )
        }
        Event::TurnFinished {
            reason: TurnEnd::Done,
            message,
            iterations,
            ..
        } => {
            let body = message.clone().unwrap_or_default();
            (
                manifest::Event::TurnComplete,
                Severity::Success,
                "The turn is complete".into(),
                body,
                json!({ "iterations": iterations }),
            )
        }
        _ => return None,
    })
}

fn asked(request: &PermissionRequest) -> Told {
    let title = format!("{} needs approval", request.tool);
    let body = format!("{} wants {}", request.plugin, request.summary);
    // The arguments may hold what must not leave the machine; who answers sees them there.
    let data = json!({ "id": request.id, "effect": request.effect, "tool": request.tool, "price_usd": request.price_usd });
    (
        manifest::Event::ApprovalRequired,
        notifier::Severity::Approval,
        title,
        body,
        data,
    )
}
