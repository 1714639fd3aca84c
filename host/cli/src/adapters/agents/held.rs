//! Some of the session's tools, held to what the call that asks is held to.

use super::super::toolbox::PluginTools;
use async_trait::async_trait;
use ml_intern_agent::ports::{Effects, Invocation, Outcome, Tool, Toolbox};
use ml_intern_runtime::types;
use std::sync::Arc;

pub(super) struct Held {
    inner: Arc<PluginTools>,
    tools: Vec<Tool>,
}

impl Held {
    /// The tools of these names. With `read_only` every call of them is one that only reads, whatever the tool says of
    /// itself.
    ///
    /// # Errors
    /// `not-found` names the first that the session does not have.
    pub(super) fn new(
        inner: Arc<PluginTools>,
        names: &[String],
        read_only: bool,
    ) -> Result<Self, types::Error> {
        let known = |name: &&String| inner.tools().iter().any(|tool| tool.name == **name);
        if let Some(unknown) = names.iter().find(|name| !known(name)) {
            let unknown: String = unknown.chars().take(64).collect();
            let text = format!("the session has no tool `{unknown}`");
            return Err(types::Error::NotFound(text));
        }
        let tools = inner.tools().iter();
        let mut tools: Vec<_> = tools
            .filter(|tool| names.contains(&tool.name))
            .cloned()
            .collect();
        if read_only {
            tools.iter_mut().for_each(hold);
        }
        Ok(Self { inner, tools })
    }
}

fn hold(tool: &mut Tool) {
    let held = |effects: &mut Effects| {
        *effects = Effects {
            read_only: true,
            destructive: false,
            idempotent: true,
        };
    };
    held(&mut tool.effects);
    let operations = tool.operations.iter_mut().flat_map(|(_, all)| all);
    operations.for_each(|(_, effects)| held(effects));
}

#[async_trait]
impl Toolbox for Held {
    fn tools(&self) -> &[Tool] {
        &self.tools
    }

    async fn call(&self, invocation: Invocation) -> Outcome {
        self.inner.call(invocation).await
    }
}
