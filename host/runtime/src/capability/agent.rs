//! What a tool may ask of the session that called it. Needs no grant; the plan is checked here.

use std::collections::HashSet;

use wasmtime::component::{HasData, Linker};

use crate::agent::{Host, PlanItem};
use crate::call::Call;
use crate::state::PluginState;
use crate::types::Error;

const MAX_ITEMS: usize = 100;
const MAX_ID: usize = 64;
const MAX_CONTENT: usize = 1024;

pub(crate) struct View<'a>(&'a Call);

struct Agent;

impl HasData for Agent {
    type Data<'a> = View<'a>;
}

pub(crate) fn link(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    crate::agent::add_to_linker::<_, Agent>(linker, |state| View(state.call()))
}

impl Host for View<'_> {
    async fn set_plan(&mut self, items: Vec<PlanItem>) -> wasmtime::Result<Result<(), Error>> {
        let Some(session) = &self.0.setup.services.session else {
            return Ok(Err(Error::Unsupported(
                "this host keeps no plan".to_owned(),
            )));
        };
        if let Err(problem) = check(&items) {
            return Ok(Err(Error::InvalidInput(problem)));
        }
        Ok(session.set_plan(items, self.0.caller()).await)
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
