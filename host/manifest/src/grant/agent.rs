//! What one plugin may ask of the session: its model, its tools, an agent of its own.

use crate::error::Denial;
use crate::grant::effective::{Held, toml_string};
use crate::grant::{AgentGrant, Grant, Request, is_tool_name};
use crate::plugin_ref::shorten;

/// What of the session is in force for one plugin.
#[derive(Debug, Clone)]
pub struct AgentRules {
    complete: bool,
    tools: Vec<String>,
    requested: AgentGrant,
    held: Held,
}

impl AgentRules {
    pub(super) fn compute(request: &Request, grant: &Grant, held: Held) -> Self {
        let requested = request
            .agent
            .as_ref()
            .map(AgentGrant::of)
            .unwrap_or_default();
        let granted = grant.agent.clone().unwrap_or_default();
        let mut tools = requested.tools.clone();
        tools.retain(|tool| granted.tools.contains(tool));
        Self {
            complete: requested.complete && granted.complete,
            tools,
            requested,
            held,
        }
    }

    /// Whether the plugin may ask the session's model.
    ///
    /// # Errors
    /// The line that would allow it.
    pub fn check_complete(&self) -> Result<(), Denial> {
        if self.complete {
            return Ok(());
        }
        let asked = "asking the session's model";
        Err(self.denial(asked, self.requested.complete, true, &self.tools))
    }

    /// Whether the plugin may call this tool of the session, itself or through an agent of its own.
    ///
    /// # Errors
    /// The line that would allow it.
    pub fn check_tool(&self, name: &str) -> Result<(), Denial> {
        if self.tools.iter().any(|own| own == name) {
            return Ok(());
        }
        let asked = format!("calling the tool `{}`", shorten(name));
        if !is_tool_name(name) {
            return Err(Denial {
                capability: "agent",
                detail: format!("{asked} cannot be granted; tools have names such as `bash`"),
            });
        }
        let requested = self.requested.tools.iter().any(|own| own == name);
        let mut tools = self.tools.clone();
        tools.push(name.to_owned());
        Err(self.denial(&asked, requested, self.complete, &tools))
    }

    fn denial(&self, asked: &str, requested: bool, complete: bool, tools: &[String]) -> Denial {
        let mut keys = Vec::new();
        if complete {
            keys.push("complete = true".to_owned());
        }
        if !tools.is_empty() {
            let names: Vec<String> = tools.iter().map(|name| toml_string(name)).collect();
            keys.push(format!("tools = [{}]", names.join(", ")));
        }
        let rule = format!("agent = {{ {} }}", keys.join(", "));
        let detail = if requested {
            format!(
                "{asked} is not granted; allow it in ml-intern.toml with: {}",
                self.held.grant_line(&rule)
            )
        } else {
            format!(
                "{asked} is not among what the plugin asks for; its author can ask in plugin.toml with: request.{rule}"
            )
        };
        Denial {
            capability: "agent",
            detail,
        }
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.complete &= other.complete;
        both.tools.retain(|tool| other.tools.contains(tool));
        both
    }

    /// The tools that may be called, in the order of the plugin manifest.
    pub fn tools(&self) -> &[String] {
        &self.tools
    }

    /// What is allowed, in words; none when nothing is.
    pub fn describe(&self) -> Option<String> {
        let mut words = Vec::new();
        if self.complete {
            words.push("asks the session's model".to_owned());
        }
        if !self.tools.is_empty() {
            words.push(format!("calls the tools {}", self.tools.join(", ")));
        }
        (!words.is_empty()).then(|| words.join("; "))
    }
}
