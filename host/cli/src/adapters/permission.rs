//! Asking, at the moment something happens inside a call; and which calls wait for each other.

use async_trait::async_trait;
use ml_intern_agent::approval::{Answer, Effect, Gate, Rule, Verdict};
use ml_intern_agent::event::PermissionRequest;
use ml_intern_agent::money::MicroUsd;
use ml_intern_agent::ports::Approver;
use ml_intern_runtime::{CallClock, Caller, Paused, types};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// How deep calls within calls go.
const DEPTH: usize = 4;
/// Calls and agents that one call starts: as many as one reply of the model may call.
const WITHIN: u32 = 128;

/// What people are told about who asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asker {
    pub(crate) tool: String,
    /// `id@version`.
    pub(crate) plugin: String,
    pub(crate) grants: Vec<String>,
    pub(crate) operation: Option<String>,
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
    /// Calls and agents that it started.
    started: u32,
    /// Known once it has started one.
    clock: Option<Arc<CallClock>>,
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
            started: 0,
            clock: None,
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

    /// The id of a call or an agent that `caller` starts, for one of `tools`.
    ///
    /// # Errors
    /// Which limit forbids it: depth, number, or that one of the tools waits for this very call.
    pub(crate) fn enter(&self, caller: &Caller, tools: &[String]) -> Result<String, String> {
        let mut running = self.lock();
        let waiting = within(&caller.call).filter_map(|call| running.get(call));
        let mut waiting: Vec<&str> = waiting.map(|call| call.asker.tool.as_str()).collect();
        if let Some(again) = tools.iter().find(|tool| waiting.contains(&tool.as_str())) {
            waiting.push(again);
            return Err(format!(
                "the call would come back to a tool that waits for it: {}",
                waiting.join(" → ")
            ));
        }
        if waiting.len() > DEPTH {
            return Err(format!(
                "calls within calls are at most {DEPTH} deep, and here {} wait for each other: {}",
                waiting.len(),
                waiting.join(" → ")
            ));
        }
        let Some(call) = running.get_mut(&caller.call) else {
            return Err("the call that asks has ended".to_owned());
        };
        if call.started >= WITHIN {
            return Err(format!(
                "a call starts at most {WITHIN} others; do the rest in another call"
            ));
        }
        call.started += 1;
        call.clock = Some(caller.clock.clone());
        Ok(format!("{}/{}", caller.call, call.started))
    }

    /// Says that a permission was denied on behalf of this call.
    pub(crate) fn denied(&self, call: &str) {
        self.update(call, |running| running.denied = true);
    }

    /// Stops the clocks of the calls that wait for this one.
    fn pause_around(&self, call: &str) -> Vec<Paused> {
        let running = self.lock();
        let around = within(call).filter(|outer| *outer != call);
        let clocks = around.filter_map(|outer| running.get(outer)?.clock.as_ref());
        clocks.map(CallClock::pause).collect()
    }

    fn update(&self, call: &str, change: impl FnOnce(&mut Running)) {
        if let Some(running) = self.lock().get_mut(call) {
            change(running);
        }
    }
}

/// The ids of the calls that a call is within, outermost first, and its own: `c5.0`, `c5.0/1`.
fn within(call: &str) -> impl Iterator<Item = &str> {
    let ends = call.match_indices('/').map(|(end, _)| end);
    ends.chain([call.len()]).map(|end| &call[..end])
}

/// Asks a person, with the clocks of the calls around the one that asks stopped as well.
pub(crate) struct Patient {
    pub(crate) approver: Arc<dyn Approver>,
    pub(crate) calls: Arc<Calls>,
}

#[async_trait]
impl Approver for Patient {
    async fn ask(&self, request: &PermissionRequest) -> Option<Answer> {
        let _waiting_for_a_person_costs_no_time = self.calls.pause_around(&request.call);
        self.approver.ask(request).await
    }

    fn remember(&self, rule: &Rule) -> Result<(), String> {
        self.approver.remember(rule)
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
    /// Why only a person may allow it.
    pub(crate) blocked: Option<String>,
    pub(crate) price_usd: Option<MicroUsd>,
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
            operation: asker.operation,
            // What a program or a job destroys is in what is shown of it.
            destructive: false,
            blocked: deed.blocked,
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
                self.calls.denied(&caller.call);
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
