//! Tools that do again what they did.

use super::script::Script;
use crate::event::{CallStatus, Event};
use crate::ports::{Effects, Invocation, Outcome, Powers, Tool, Toolbox};
use async_trait::async_trait;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The calls of one run, with the outcomes that were recorded, in the order that was recorded.
pub(super) struct Scripted {
    script: Arc<Script>,
    tools: Vec<Tool>,
    calls: Arc<HashMap<String, super::calls::Recorded>>,
}

impl Scripted {
    /// `writers` are the names of the tools that write files.
    pub(super) fn new(script: Arc<Script>, writers: &BTreeSet<String>) -> Self {
        let calls = script.calls();
        let mut tools: Vec<Tool> = Vec::new();
        for (_, event) in &script.events {
            if let Event::ToolStarted { tool, plugin, .. } = event
                && !plugin.is_empty()
                && tools.iter().all(|known| known.name != *tool)
            {
                tools.push(offered(tool, plugin, writers.contains(tool)));
            }
        }
        Self {
            script,
            tools,
            calls,
        }
    }
}

fn offered(name: &str, plugin: &str, writes_files: bool) -> Tool {
    Tool {
        name: name.to_owned(),
        description: String::new(),
        input_schema: "{}".into(),
        plugin: plugin.to_owned(),
        effects: Effects::default(),
        operations: None,
        powers: Powers {
            writes_files,
            sends_requests: false,
        },
        grants: Vec::new(),
    }
}

#[async_trait]
impl Toolbox for Scripted {
    fn tools(&self) -> &[Tool] {
        &self.tools
    }

    async fn call(&self, invocation: Invocation) -> Outcome {
        let call = self.calls.get(&invocation.call);
        let Some((at, outcome)) = call.and_then(|call| call.finished.clone()) else {
            return std::future::pending().await;
        };
        self.script.reach(at).await;
        outcome
    }

    fn tool_of(&self, call: &str, name: &str) -> Option<&Tool> {
        let recorded = self.calls.get(call).map(|call| &call.tool);
        // One that the loop refused, in whose place it runs now.
        let recorded = recorded.filter(|tool| !tool.plugin.is_empty());
        recorded.or_else(|| self.tools.iter().find(|tool| tool.name == name))
    }

    fn refused(&self, call: &str) -> Option<(CallStatus, String)> {
        self.calls.get(call)?.refused.clone()
    }
}

/// Real tools, and how many of their calls are under way.
pub(super) struct Counted {
    pub(super) toolbox: Arc<dyn Toolbox>,
    pub(super) running: Arc<AtomicUsize>,
}

/// One call under way.
struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Toolbox for Counted {
    fn tools(&self) -> &[Tool] {
        self.toolbox.tools()
    }

    async fn call(&self, invocation: Invocation) -> Outcome {
        self.running.fetch_add(1, Ordering::SeqCst);
        let _until_it_ends = Running(self.running.clone());
        self.toolbox.call(invocation).await
    }
}
