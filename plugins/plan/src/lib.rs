//! The `plan` tool: the model's plan of the session, replaced whole by each call.

mod plan;

use ml_intern_plugin::{Context, Descriptor, Error, Output, Tool, agent, arguments};

use plan::{Plan, Status};

struct PlanTool;

ml_intern_plugin::export_tool!(PlanTool);

impl Tool for PlanTool {
    fn describe() -> Result<Vec<Descriptor>, Error> {
        let descriptor = Descriptor::new("plan", plan::DESCRIPTION, &plan::schema());
        Ok(vec![descriptor.title("Plan").idempotent()])
    }

    fn call(name: String, raw: String, _context: Context) -> Result<Output, Error> {
        if name != "plan" {
            return Err(Error::unknown_tool(&name));
        }
        let plan: Plan = match arguments(&raw) {
            Ok(plan) => plan,
            Err(error) => return Ok(Output::error(error.message())),
        };
        if let Err(reason) = plan.check() {
            return Ok(Output::error(reason));
        }
        let items: Vec<agent::PlanItem> = plan.items.iter().map(host_item).collect();
        match agent::set_plan(&items) {
            Ok(()) => Ok(Output::text(plan.render())),
            Err(Error::InvalidInput(reason)) => Ok(Output::error(reason)),
            Err(error) => Err(error),
        }
    }
}

fn host_item(item: &plan::Item) -> agent::PlanItem {
    agent::PlanItem {
        id: item.id.clone(),
        content: item.content.clone(),
        status: match item.status {
            Status::Pending => agent::PlanStatus::Pending,
            Status::InProgress => agent::PlanStatus::InProgress,
            Status::Completed => agent::PlanStatus::Completed,
        },
    }
}
