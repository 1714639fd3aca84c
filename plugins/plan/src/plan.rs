//! A plan: its rules and how the model reads it back.

use std::collections::HashSet;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Value, json};

pub(crate) const MAX_ITEMS: usize = 100;
pub(crate) const MAX_ID_BYTES: usize = 64;
pub(crate) const MAX_CONTENT_BYTES: usize = 1024;

pub(crate) const DESCRIPTION: &str = "\
Replaces the plan of this session, which the user sees and which outlives context compaction. \
Use it for work of three or more steps. Send every item each time, in order. Keep exactly one item \
in_progress while you work; mark an item completed as soon as it fully succeeded, never before. \
An empty list clears the plan.";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    pub(crate) items: Vec<Item>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) content: String,
    pub(crate) status: Status,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Pending,
    InProgress,
    Completed,
}

pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "items": {
                "type": "array",
                "description": "The whole plan, in order.",
                "maxItems": MAX_ITEMS,
                "items": {
                    "type": "object",
                    "properties": {
                        "id": {
                            "type": "string",
                            "description": "Unique in the plan, for example \"1\".",
                            "minLength": 1,
                            "maxLength": MAX_ID_BYTES
                        },
                        "content": {
                            "type": "string",
                            "description": "The step, in one sentence.",
                            "minLength": 1,
                            "maxLength": MAX_CONTENT_BYTES
                        },
                        "status": {
                            "type": "string",
                            "enum": ["pending", "in_progress", "completed"]
                        }
                    },
                    "required": ["id", "content", "status"],
                    "additionalProperties": false
                }
            }
        },
        "required": ["items"],
        "additionalProperties": false
    })
}

impl Plan {
    /// The first rule that the plan breaks, in words for the model.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.items.len() > MAX_ITEMS {
            let count = self.items.len();
            return Err(format!("{count} items; a plan has at most {MAX_ITEMS}"));
        }
        let mut seen = HashSet::new();
        let mut active: Option<&str> = None;
        for item in &self.items {
            item.check()?;
            if !seen.insert(item.id.as_str()) {
                return Err(format!(
                    "two items have the id `{}`; ids are unique",
                    item.id
                ));
            }
            if item.status == Status::InProgress
                && let Some(other) = active.replace(&item.id)
            {
                let id = &item.id;
                return Err(format!(
                    "items `{other}` and `{id}` are both in_progress; at most one may be"
                ));
            }
        }
        Ok(())
    }

    /// One line an item, in order, then how much is done.
    pub(crate) fn render(&self) -> String {
        if self.items.is_empty() {
            return "plan is empty".to_owned();
        }
        let mut text = String::new();
        let mut done = 0;
        for item in &self.items {
            let mark = match item.status {
                Status::Pending => ' ',
                Status::InProgress => '~',
                Status::Completed => 'x',
            };
            done += usize::from(item.status == Status::Completed);
            writeln!(text, "[{mark}] {}. {}", item.id, item.content).expect("writing to a string");
        }
        write!(text, "{done}/{} done", self.items.len()).expect("writing to a string");
        text
    }
}

impl Item {
    fn check(&self) -> Result<(), String> {
        if self.id.trim().is_empty() {
            return Err("an item has an empty id".to_owned());
        }
        if self.id.len() > MAX_ID_BYTES {
            return Err(format!("the id `{}` is over {MAX_ID_BYTES} bytes", self.id));
        }
        if self.content.trim().is_empty() {
            return Err(format!("item `{}` has no content", self.id));
        }
        if self.content.len() > MAX_CONTENT_BYTES {
            let id = &self.id;
            return Err(format!(
                "the content of item `{id}` is over {MAX_CONTENT_BYTES} bytes"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(items: &[(&str, &str)]) -> Plan {
        let items: Vec<Value> = items
            .iter()
            .map(|(id, status)| json!({ "id": id, "content": format!("step {id}"), "status": status }))
            .collect();
        serde_json::from_value(json!({ "items": items })).expect("a plan")
    }

    #[track_caller]
    fn refused(plan: &Plan, part: &str) {
        let reason = plan.check().expect_err("a broken rule");
        assert!(reason.contains(part), "{reason}");
    }

    #[test]
    fn renders_in_order_with_a_count() {
        let plan = plan(&[("1", "completed"), ("2", "in_progress"), ("3", "pending")]);
        assert_eq!(plan.check(), Ok(()));
        assert_eq!(
            plan.render(),
            "[x] 1. step 1\n[~] 2. step 2\n[ ] 3. step 3\n1/3 done"
        );
    }

    #[test]
    fn an_empty_plan_is_fine() {
        let plan = plan(&[]);
        assert_eq!(plan.check(), Ok(()));
        assert_eq!(plan.render(), "plan is empty");
    }

    #[test]
    fn an_unknown_status_names_the_three() {
        let raw = r#"{"items":[{"id":"1","content":"a","status":"done"}]}"#;
        let error = serde_json::from_str::<Plan>(raw)
            .expect_err("no such status")
            .to_string();
        for status in ["pending", "in_progress", "completed"] {
            assert!(error.contains(status), "{error}");
        }
    }

    #[test]
    fn rules_are_held() {
        refused(
            &plan(&[("1", "in_progress"), ("2", "in_progress")]),
            "`1` and `2`",
        );
        refused(&plan(&[("1", "pending"), ("1", "pending")]), "`1`");
        refused(&plan(&[(" ", "pending")]), "empty id");
        refused(&plan(&[("é".repeat(33).as_str(), "pending")]), "64 bytes");
        let many: Vec<String> = (0..=MAX_ITEMS).map(|id| id.to_string()).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|id| (id.as_str(), "pending")).collect();
        refused(&plan(&many), "at most 100");
        let mut long = plan(&[("1", "pending")]);
        long.items[0].content = "x".repeat(MAX_CONTENT_BYTES + 1);
        refused(&long, "1024 bytes");
    }

    #[test]
    fn schema_names_the_same_fields() {
        let schema = schema();
        let item = &schema["properties"]["items"]["items"];
        assert_eq!(item["required"], json!(["id", "content", "status"]));
        assert_eq!(item["additionalProperties"], json!(false));
    }
}
