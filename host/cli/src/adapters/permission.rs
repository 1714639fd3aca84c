//! Asking, at the moment something happens inside a call.

use ml_intern_agent::approval::{Effect, Gate, Verdict};
use ml_intern_agent::event::PermissionRequest;
use ml_intern_runtime::{Caller, types};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What people are told about who asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asker {
    pub(crate) tool: String,
    /// `id@version`.
    pub(crate) plugin: String,
    pub(crate) grants: Vec<String>,
}

/// The calls under way by the host's id, so that a capability can say on whose behalf it asks; and which of them were
/// denied, so that the outcome of the call says so whatever the plugin makes of it.
#[derive(Default)]
pub(crate) struct Calls {
    running: Mutex<BTreeMap<String, Running>>,
}

struct Running {
    asker: Asker,
    denied: bool,
    notes: Vec<String>,
}

/// How the permissions of a call came out.
#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) denied: bool,
    /// What the model has to know, for example that a command was edited.
    pub(crate) notes: Vec<String>,
}

impl Calls {
    /// Registers a call until the guard is dropped.
    pub(crate) fn start(self: &Arc<Self>, call: &str, asker: Asker) -> RunningCall {
        let running = Running {
            asker,
            denied: false,
            notes: Vec::new(),
        };
        self.lock().insert(call.to_owned(), running);
        RunningCall {
            calls: self.clone(),
            call: call.to_owned(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asker(&self, call: &str) -> Asker {
        self.lock()
            .get(call)
            .map(|running| running.asker.clone())
            .unwrap_or_default()
    }

    fn update(&self, call: &str, change: impl FnOnce(&mut Running)) {
        if let Some(running) = self.lock().get_mut(call) {
            change(running);
        }
    }
}

/// A call under way.
pub(crate) struct RunningCall {
    calls: Arc<Calls>,
    call: String,
}

impl RunningCall {
    pub(crate) fn asked(&self) -> Asked {
        let calls = self.calls.lock();
        calls
            .get(&self.call)
            .map(|running| Asked {
                denied: running.denied,
                notes: running.notes.clone(),
            })
            .unwrap_or_default()
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        self.calls.lock().remove(&self.call);
    }
}

/// The gate, which needs the session and so comes after the plugins; and the calls under way.
pub(crate) struct Permissions {
    pub(crate) gate: OnceLock<Arc<Gate>>,
    pub(crate) calls: Arc<Calls>,
}

/// What is about to happen, in the words of whoever will do it.
pub(crate) struct Deed {
    pub(crate) effect: Effect,
    /// Completes "wants …".
    pub(crate) summary: String,
    pub(crate) detail: Value,
    pub(crate) price_usd: Option<f64>,
    /// Capability id in a denial.
    pub(crate) capability: &'static str,
}

impl Permissions {
    /// Asks, with the call's clock stopped. Answers with what a person changed about the detail.
    pub(crate) async fn ask(
        &self,
        caller: &Caller,
        deed: Deed,
    ) -> Result<Option<Value>, types::Error> {
        let Some(gate) = self.gate.get() else {
            return Err(types::Error::Internal(
                "nothing may be asked before the session has started".into(),
            ));
        };
        let asker = self.calls.asker(&caller.call);
        let request = PermissionRequest {
            id: String::new(),
            call: caller.call.clone(),
            tool: asker.tool,
            plugin: asker.plugin,
            effect: deed.effect,
            summary: deed.summary,
            detail: deed.detail,
            price_usd: deed.price_usd,
            grants: asker.grants,
        };
        let _waiting_for_a_person_costs_no_time = caller.clock.pause();
        let verdict = gate
            .permit(request)
            .await
            .map_err(|error| types::Error::Internal(error.to_string()))?;
        match verdict {
            Verdict::Allowed { edited } => Ok(edited),
            Verdict::Denied(detail) => {
                self.calls
                    .update(&caller.call, |running| running.denied = true);
                Err(types::Error::Denied(types::Denial {
                    capability: deed.capability.to_owned(),
                    detail,
                }))
            }
        }
    }

    /// Adds a line to what the model sees of the call.
    pub(crate) fn note(&self, caller: &Caller, note: String) {
        self.calls
            .update(&caller.call, |running| running.notes.push(note));
    }
}
