//! What the model is told about the tools.

use ml_intern_plugin::Descriptor;
use serde_json::{Value, json};

use crate::{list, read, search};

pub(crate) fn descriptors() -> Vec<Descriptor> {
    vec![
        tool("read", READ, &["path"], json!({
            "path": path("The file."),
            "offset": integer("First line to show, from 1.", 1, None),
            "limit": integer("Most lines to show; 2000 if not given.", 1, Some(read::DEFAULT_LINES * 10)),
        }))
        .read_only(),
        tool("write", WRITE, &["path", "content"], json!({
            "path": path("The file; folders are created."),
            "content": { "type": "string", "description": "The whole new content." },
        }))
        .idempotent(),
        tool("edit", EDIT, &["path", "old_str", "new_str"], json!({
            "path": path("The file."),
            "old_str": { "type": "string", "description": "The present text, unique in the file; empty only for an empty file." },
            "new_str": { "type": "string", "description": "The text to put; empty deletes." },
            "replace_all": { "type": "boolean", "default": false, "description": "Change every occurrence." },
            "mode": {
                "type": "string",
                "enum": ["replace", "append_after", "prepend_before", "replace_all"],
                "default": "replace",
                "description": "append_after and prepend_before keep old_str and put new_str next to its first occurrence; replace_all is replace with replace_all set."
            },
        })),
        tool("list", LIST, &[], json!({
            "path": path("The folder; the workspace if not given."),
            "depth": integer("Levels of folders to show; 1 if not given.", 1, Some(list::MAX_DEPTH)),
            "git": { "type": "boolean", "default": false, "description": "Also show .git." },
        }))
        .read_only(),
        tool("search", SEARCH, &["pattern"], json!({
            "pattern": { "type": "string", "minLength": 1, "maxLength": 4096, "description": "A regular expression (Rust syntax, ASCII classes), held against each line." },
            "literal": { "type": "boolean", "default": false, "description": "Take pattern as plain text." },
            "ignore_case": { "type": "boolean", "default": false },
            "path": path("File or folder to search; the workspace if not given."),
            "glob": { "type": "string", "minLength": 1, "maxLength": 512, "description": "Only files like this: *.py, src/**/*.{rs,toml}. Without a slash it is held against names." },
            "context": integer("Lines to show before and after each match.", 0, Some(search::MAX_CONTEXT)),
        }))
        .read_only(),
    ]
}

const READ: &str = "\
Shows a text file of the workspace with line numbers, like cat -n: the first 2000 lines unless offset or limit \
say otherwise, lines cut at 4000 characters. Prefer the whole file. Read several files in parallel calls. \
A file must be read before it is edited or overwritten. For folders use list.";

const WRITE: &str = "\
Writes a whole file of the workspace. An existing file must have been read before; to change a part of it use edit. \
Answers with the difference.";

const EDIT: &str = "\
Replaces old_str by new_str in a file of the workspace that was read before. Fails when old_str is missing or not \
unique, unless replace_all is set. Keep the indentation; leave out the line numbers that read shows. \
Differences in trailing blanks, typographic quotes and indentation are tolerated and reported. Answers with the difference.";

const LIST: &str = "\
Lists a folder of the workspace: sizes and names, folders with a slash at the end, sorted, at most 1000 entries.";

const SEARCH: &str = "\
Finds lines in the text files of the workspace and shows them as path:line: text, at most 200 matches. \
Binary files, files over 8 MiB, links and .git are skipped.";

fn tool(name: &str, description: &str, required: &[&str], properties: Value) -> Descriptor {
    let schema = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false
    });
    Descriptor::new(name, description, &schema)
}

fn path(description: &str) -> Value {
    let description = format!("{description} Relative to the workspace, or absolute in it.");
    json!({ "type": "string", "minLength": 1, "maxLength": 4096, "description": description })
}

fn integer(description: &str, minimum: usize, maximum: Option<usize>) -> Value {
    let mut schema = json!({ "type": "integer", "minimum": minimum, "description": description });
    if let Some(maximum) = maximum {
        schema["maximum"] = maximum.into();
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_is_strict_and_reading_ones_are_read_only() {
        let all = descriptors();
        let names: Vec<&str> = all.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(names, ["read", "write", "edit", "list", "search"]);
        for tool in &all {
            let schema: Value = serde_json::from_str(&tool.input_schema).unwrap();
            assert_eq!(
                schema["additionalProperties"],
                json!(false),
                "{}",
                tool.name
            );
            let reads = ["read", "list", "search"].contains(&tool.name.as_str());
            assert_eq!(tool.effects.read_only, reads, "{}", tool.name);
            assert_eq!(
                tool.effects.idempotent,
                reads || tool.name == "write",
                "{}",
                tool.name
            );
        }
    }
}
