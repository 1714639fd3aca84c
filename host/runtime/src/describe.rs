//! What a tool plugin offers: asked once for each digest, with no capability at all, checked
//! against the contract, and kept.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ml_intern_manifest::{Digest, Limits};
use serde_json::json;

use crate::fault::{CallError, Fault, FaultCause};
use crate::load::ComponentSource;
use crate::plugin::Setup;
use crate::runtime::Runtime;
use crate::tool::{Descriptor, Effects, Operation};

/// Folder of the cache. The number goes up when what is accepted changes.
const FOLDERS: &[&str] = &["describe-1"];

const MAX_TOOLS: usize = 128;
const MAX_NAME: usize = 64;
const MAX_TITLE: usize = 256;
const MAX_DESCRIPTION: usize = 8 << 10;
const MAX_SCHEMA: usize = 64 << 10;
const MAX_OPERATIONS: usize = 128;

impl Runtime {
    /// The tools of a plugin. Runs nothing when the answer for these bytes is known.
    ///
    /// # Errors
    /// [`FaultCause::Description`] when the answer breaks the contract; otherwise as any call.
    pub async fn describe(
        self: &Arc<Self>,
        source: &ComponentSource,
    ) -> Result<Vec<Descriptor>, CallError> {
        let name = format!("{}.json", source.digest.hex());
        match self.cache.read(FOLDERS, &name) {
            Ok(Some(entry)) => match serde_json::from_slice(entry.body()) {
                Ok(tools) => return Ok(tools),
                Err(error) => self.report(&format!(
                    "the kept description of `{}` is not used: {error}",
                    source.id
                )),
            },
            Ok(None) => {}
            Err(error) => self.report(&format!(
                "the kept description of `{}` is not used: {error}",
                source.id
            )),
        }
        let plugin = self.plugin(source.clone(), Setup::bare(limits()));
        let tools = match plugin.documented_tools().await? {
            Some(tools) => tools,
            None => plugin.tools().await?,
        };
        check(&tools).map_err(|problem| {
            CallError::Fault(Fault {
                plugin: source.id.clone(),
                version: source.version.clone(),
                call: "describe".to_owned(),
                cause: FaultCause::Description(problem),
            })
        })?;
        let kept = serde_json::to_vec(&tools).map_err(|error| error.to_string());
        let kept = kept.and_then(|text| {
            self.cache
                .write(FOLDERS, &name, &text)
                .map_err(|error| error.to_string())
        });
        if let Err(error) = kept {
            self.report(&format!(
                "the description of `{}` is not kept: {error}",
                source.id
            ));
        }
        Ok(tools)
    }
}

/// The digest of what a plugin says of its tools, by which the lockfile pins it. Made of named parts
/// in a fixed order, so that it lasts over versions of this program.
pub fn description_digest(tools: &[Descriptor]) -> Digest {
    let effects = |effects: &Effects| {
        json!([
            effects.read_only,
            effects.destructive,
            effects.idempotent,
            effects.open_world
        ])
    };
    let operation = |one: &Operation| json!([one.name, effects(&one.effects)]);
    let tool = |tool: &Descriptor| {
        json!({
            "name": tool.name,
            "title": tool.title,
            "description": tool.description,
            "input-schema": tool.input_schema,
            "output-schema": tool.output_schema,
            "effects": effects(&tool.effects),
            "operations": tool.operations.as_ref().map(|(argument, operations)| {
                json!([argument, operations.iter().map(operation).collect::<Vec<_>>()])
            }),
        })
    };
    let text = tools.iter().map(tool).collect::<serde_json::Value>();
    Digest::of(text.to_string().as_bytes())
}

/// An answer that is the same every time should not take long; a Python guest starts its
/// interpreter first.
fn limits() -> Limits {
    Limits {
        cpu: Duration::from_secs(5),
        timeout: Duration::from_secs(10),
        memory_bytes: 256 << 20,
        ..Limits::default()
    }
}

fn check(tools: &[Descriptor]) -> Result<(), String> {
    if tools.len() > MAX_TOOLS {
        return Err(format!(
            "it names {} tools; at most {MAX_TOOLS} are allowed",
            tools.len()
        ));
    }
    let mut names = HashSet::new();
    for tool in tools {
        if !is_tool_name(&tool.name) {
            let shown: String = tool.name.chars().take(MAX_NAME).collect();
            return Err(format!(
                "not a tool name: {shown:?}; it must match ^[a-z][a-z0-9_]{{0,63}}$"
            ));
        }
        if !names.insert(tool.name.as_str()) {
            return Err(format!("it names the tool `{}` twice", tool.name));
        }
        check_one(tool).map_err(|problem| format!("tool `{}`: {problem}", tool.name))?;
    }
    Ok(())
}

fn check_one(tool: &Descriptor) -> Result<(), String> {
    if tool
        .title
        .as_ref()
        .is_some_and(|title| title.len() > MAX_TITLE)
    {
        return Err(format!("its title has more than {MAX_TITLE} bytes"));
    }
    if tool.description.len() > MAX_DESCRIPTION {
        return Err(format!(
            "its description has {} bytes; at most {MAX_DESCRIPTION} are allowed",
            tool.description.len()
        ));
    }
    check_schema("input schema", &tool.input_schema)?;
    if let Some(schema) = &tool.output_schema {
        check_schema("output schema", schema)?;
    }
    let Some((argument, operations)) = &tool.operations else {
        return Ok(());
    };
    let mut names = HashSet::new();
    let fits = |name: &str| (1..=MAX_NAME).contains(&name.len());
    if !fits(argument) || operations.len() > MAX_OPERATIONS {
        return Err(format!(
            "it has more than {MAX_OPERATIONS} operations, or their argument no name"
        ));
    }
    match operations
        .iter()
        .find(|operation| !fits(&operation.name) || !names.insert(&operation.name))
    {
        Some(operation) => {
            let shown: String = operation.name.chars().take(MAX_NAME).collect();
            Err(format!(
                "the operation {shown:?} is named twice, or has no name of 1 to {MAX_NAME} bytes"
            ))
        }
        None => Ok(()),
    }
}

fn check_schema(what: &str, text: &str) -> Result<(), String> {
    if text.len() > MAX_SCHEMA {
        return Err(format!(
            "its {what} has {} bytes; at most {MAX_SCHEMA} are allowed",
            text.len()
        ));
    }
    // serde_json refuses to nest deeper than 128.
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(serde_json::Value::Object(_)) => Ok(()),
        Ok(_) => Err(format!("its {what} is not a JSON object")),
        Err(error) => Err(format!("its {what} is not JSON: {error}")),
    }
}

fn is_tool_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str) -> Descriptor {
        let effects = Effects {
            read_only: true,
            destructive: false,
            idempotent: true,
            open_world: false,
        };
        Descriptor {
            name: name.to_owned(),
            title: None,
            description: "Reads.".to_owned(),
            input_schema: r#"{"type": "object"}"#.to_owned(),
            output_schema: None,
            effects,
            operations: Some((
                "mode".to_owned(),
                vec![Operation {
                    name: "read".to_owned(),
                    effects,
                }],
            )),
        }
    }

    #[test]
    fn a_good_description_passes_and_survives_being_kept() {
        let tools = vec![
            tool("read"),
            tool("a"),
            tool(&format!("x{}", "9".repeat(63))),
        ];
        check(&tools).unwrap();
        let kept = serde_json::to_vec(&tools).unwrap();
        assert_eq!(
            serde_json::from_slice::<Vec<Descriptor>>(&kept).unwrap(),
            tools
        );
    }

    #[test]
    fn the_digest_of_a_description_tells_every_part_apart() {
        let change = |change: &dyn Fn(&mut Descriptor)| {
            let mut one = tool("read");
            change(&mut one);
            description_digest(&[one])
        };
        let digests = [
            change(&|_| ()),
            change(&|tool| tool.name.push('s')),
            change(&|tool| tool.title = Some(String::new())),
            change(&|tool| tool.description.push('!')),
            change(&|tool| tool.input_schema.push(' ')),
            change(&|tool| tool.output_schema = Some(tool.input_schema.clone())),
            change(&|tool| tool.effects.read_only = false),
            change(&|tool| tool.effects.destructive = true),
            change(&|tool| tool.operations = None),
            change(&|tool| {
                let (_, operations) = tool.operations.as_mut().unwrap();
                operations[0].effects.idempotent = false;
            }),
            description_digest(&[]),
            description_digest(&[tool("read"), tool("a")]),
            description_digest(&[tool("a"), tool("read")]),
        ];
        for (at, digest) in digests.iter().enumerate() {
            assert!(!digests[..at].contains(digest), "{at}");
        }
        assert_eq!(digests[0], description_digest(&[tool("read")]));
        // Written into lockfiles: a change of this value stops every run until it is accepted.
        let pinned = "sha256:";
        assert!(digests[0].to_string().starts_with(pinned));
    }

    #[test]
    fn names_that_could_mislead_are_refused() {
        for name in [
            "",
            "Read",
            "1a",
            "_a",
            "a-b",
            "a b",
            "ré",
            "a\u{202e}b",
            &"a".repeat(65),
            "a\n",
        ] {
            assert!(
                check(&[tool(name)])
                    .unwrap_err()
                    .contains("not a tool name"),
                "{name:?}"
            );
        }
        assert!(
            check(&[tool("a"), tool("a")])
                .unwrap_err()
                .contains("twice")
        );
        assert!(check(&(0..129).map(|n| tool(&format!("t{n}"))).collect::<Vec<_>>()).is_err());
    }

    #[test]
    fn oversize_and_malformed_parts_are_refused() {
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        for schema in [
            "",
            "[]",
            "null",
            "{",
            &deep,
            &format!("{{\"a\": \"{}\"}}", "x".repeat(MAX_SCHEMA)),
        ] {
            assert!(
                check(&[Descriptor {
                    input_schema: schema.to_owned(),
                    ..tool("a")
                }])
                .is_err(),
                "{}",
                schema.len()
            );
            assert!(
                check(&[Descriptor {
                    output_schema: Some(schema.to_owned()),
                    ..tool("a")
                }])
                .is_err()
            );
        }
        assert!(
            check(&[Descriptor {
                description: "x".repeat(8193),
                ..tool("a")
            }])
            .is_err()
        );
        let operation = || Operation {
            name: "read".to_owned(),
            effects: tool("a").effects,
        };
        assert!(
            check(&[Descriptor {
                operations: Some(("mode".to_owned(), vec![operation(), operation()])),
                ..tool("a")
            }])
            .is_err()
        );
        assert!(
            check(&[Descriptor {
                operations: Some((String::new(), vec![])),
                ..tool("a")
            }])
            .is_err()
        );
    }
}
