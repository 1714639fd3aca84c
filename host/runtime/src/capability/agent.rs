//! What a tool may ask of the session that called it: its plan, which needs no grant, and its model
//! and tools, which do.

use std::collections::HashSet;
use std::sync::Arc;

use ml_intern_manifest::{AgentRules, Denial};

use wasmtime::component::{HasData, Linker};

use crate::agent::{Answer, Ask, Host, PlanItem, Report, Task};
use crate::call::{AuditRecord, Call, Verdict};
use crate::services::SessionHost;
use crate::state::PluginState;
use crate::types::Error;

const MAX_ITEMS: usize = 100;
const MAX_ID: usize = 64;
const MAX_CONTENT: usize = 1024;

/// Bytes of the texts that a plugin hands to a model.
const MAX_SYSTEM: usize = 64 << 10;
const MAX_PROMPT: usize = 1 << 20;
const MAX_TOKENS: u32 = 32_768;
const MAX_ITERATIONS: u32 = 200;

pub(crate) struct View<'a> {
    rules: Arc<AgentRules>,
    call: &'a Call,
}

struct Agent;

impl HasData for Agent {
    type Data<'a> = View<'a>;
}

impl<'a> View<'a> {
    pub(crate) fn of(state: &'a mut PluginState) -> Self {
        let call = state.call();
        Self {
            rules: Arc::clone(&call.effective().agent),
            call,
        }
    }

    fn session(&self) -> Result<&dyn SessionHost, Error> {
        let session = self.call.setup.services.session.as_deref();
        session.ok_or_else(|| Error::Unsupported("this host has no session".to_owned()))
    }

    /// Writes down what was decided.
    fn decide(&self, checked: Result<(), Denial>, target: &str) -> Result<(), Error> {
        match checked {
            Ok(()) => {
                let rule = self.rules.describe();
                self.call.allowed("agent", target.to_owned(), rule);
                Ok(())
            }
            Err(denial) => Err(self.call.refuse(denial, target.to_owned())),
        }
    }

    /// Writes down that what the grant allows was refused by a limit of the session, or by a person.
    fn noted<T>(&self, done: Result<T, Error>, target: String) -> Result<T, Error> {
        let verdict = match &done {
            Err(Error::Limit(text)) => Verdict::Limited(text.clone()),
            Err(Error::Denied(denial)) => Verdict::Denied(denial.detail.clone()),
            Err(Error::NotFound(text)) => Verdict::Failed(text.clone()),
            _ => return done,
        };
        self.call.audit(&AuditRecord::new("agent", target, verdict));
        done
    }

    async fn ask(&self, ask: Ask) -> Result<String, Error> {
        self.decide(self.rules.check_complete(), "complete")?;
        check_text("system", ask.system.as_deref(), MAX_SYSTEM)?;
        check_text("prompt", Some(&ask.prompt), MAX_PROMPT)?;
        check_number("max-tokens", ask.max_tokens, MAX_TOKENS)?;
        let done = self.session()?.complete(ask, self.call.caller()).await;
        self.noted(done, "complete".to_owned())
    }

    async fn call(&self, name: String, arguments: String) -> Result<Answer, Error> {
        let target = shown("call", &name);
        self.decide(self.rules.check_tool(&name), &target)?;
        let session = self.session()?;
        let done = session.call_tool(name, arguments, self.call.caller()).await;
        self.noted(done, target)
    }

    async fn start(&self, task: Task) -> Result<Report, Error> {
        self.decide(self.rules.check_complete(), "run")?;
        for tool in &task.tools {
            self.decide(self.rules.check_tool(tool), &shown("run with", tool))?;
        }
        check_text("instructions", Some(&task.instructions), MAX_SYSTEM)?;
        check_text("prompt", Some(&task.prompt), MAX_PROMPT)?;
        check_number("max-iterations", task.max_iterations, MAX_ITERATIONS)?;
        if task
            .budget_usd
            .is_some_and(|usd| !(0.0..=1e6).contains(&usd))
        {
            let text = "budget-usd must be 0 to 1000000 US dollars";
            return Err(Error::InvalidInput(text.to_owned()));
        }
        let done = self.session()?.run(task, self.call.caller()).await;
        self.noted(done, "run".to_owned())
    }
}

/// `call bash`, with what a guest says cut short.
fn shown(verb: &str, tool: &str) -> String {
    let tool: String = tool.chars().take(MAX_ID).collect();
    format!("{verb} {tool}")
}

fn check_text(what: &str, text: Option<&str>, most: usize) -> Result<(), Error> {
    match text {
        Some(text) if text.trim().is_empty() || text.len() > most => Err(Error::InvalidInput(
            format!("{what} must have 1 to {most} bytes that are not all blank"),
        )),
        _ => Ok(()),
    }
}

fn check_number(what: &str, number: u32, most: u32) -> Result<(), Error> {
    if (1..=most).contains(&number) {
        Ok(())
    } else {
        let text = format!("{what} must be 1 to {most}, not {number}");
        Err(Error::InvalidInput(text))
    }
}

pub(crate) fn link(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    crate::agent::add_to_linker::<_, Agent>(linker, |state| View::of(state))
}

impl Host for View<'_> {
    async fn set_plan(&mut self, items: Vec<PlanItem>) -> wasmtime::Result<Result<(), Error>> {
        if let Err(problem) = check(&items) {
            return Ok(Err(Error::InvalidInput(problem)));
        }
        Ok(match self.session() {
            Ok(session) => session.set_plan(items, self.call.caller()).await,
            Err(error) => Err(error),
        })
    }

    async fn complete(&mut self, ask: Ask) -> wasmtime::Result<Result<String, Error>> {
        Ok(self.ask(ask).await)
    }

    async fn call_tool(
        &mut self,
        name: String,
        arguments: String,
    ) -> wasmtime::Result<Result<Answer, Error>> {
        Ok(self.call(name, arguments).await)
    }

    async fn run(&mut self, task: Task) -> wasmtime::Result<Result<Report, Error>> {
        Ok(self.start(task).await)
    }
}

fn check(items: &[PlanItem]) -> Result<(), String> {
    if items.len() > MAX_ITEMS {
        return Err(format!(
            "a plan has at most {MAX_ITEMS} items, not {}",
            items.len()
        ));
    }
    let mut ids = HashSet::new();
    for (index, item) in items.iter().enumerate() {
        let number = index + 1;
        if item.id.is_empty() || item.id.len() > MAX_ID {
            return Err(format!(
                "the id of item {number} must have 1 to {MAX_ID} bytes"
            ));
        }
        if !ids.insert(item.id.as_str()) {
            return Err(format!(
                "the id of item {number} is used twice: `{}`",
                item.id
            ));
        }
        if item.content.trim().is_empty() || item.content.len() > MAX_CONTENT {
            return Err(format!(
                "the content of item {number} must have 1 to {MAX_CONTENT} bytes"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::PlanStatus;

    fn item(id: &str, content: &str) -> PlanItem {
        PlanItem {
            id: id.to_owned(),
            content: content.to_owned(),
            status: PlanStatus::Pending,
        }
    }

    #[test]
    fn each_rule_of_a_plan_is_named_when_broken() {
        check(&[item("1", "read"), item("2", "write")]).unwrap();
        check(&[]).unwrap();
        let broken = [
            (vec![item("1", "a"), item("1", "b")], "used twice"),
            (vec![item("", "a")], "id of item 1"),
            (
                vec![item("1", "a"), item(&"x".repeat(65), "a")],
                "id of item 2",
            ),
            (vec![item("1", " ")], "content of item 1"),
            (vec![item("1", &"x".repeat(1025))], "content of item 1"),
            (
                (0..101).map(|id| item(&id.to_string(), "a")).collect(),
                "at most 100",
            ),
        ];
        for (items, problem) in broken {
            assert!(check(&items).unwrap_err().contains(problem));
        }
    }
}
