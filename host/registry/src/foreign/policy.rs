//! `policy.yaml`, in which the host `wassette` is told what a component may do
//! (its `docs/reference/permissions.md`, 2025). Here it is what the component asks for, and no more:
//! a person grants it, or a part of it.

use ml_intern_manifest::shorten;

use super::Asked;
use super::yaml::{self, Node};
use crate::error::Error;

/// Entries of one list; as many as a manifest has of a table.
const MAX_ENTRIES: usize = 64;
/// Lines about what is not given.
const MAX_NOT_GIVEN: usize = 32;

/// Reads the text of a `policy.yaml`; `file` is the path that errors show.
///
/// # Errors
/// [`Error::Manifest`] for what does not read, and for what would ask for more than the file says.
pub(crate) fn policy(file: &str, text: &str) -> Result<Asked, Error> {
    let asked = yaml::parse(text).and_then(|root| read(&root));
    asked.map_err(|problem| Error::Manifest {
        name: file.to_owned(),
        message: format!("is not a policy that can be read: {problem}"),
    })
}

fn read(root: &Node) -> Result<Asked, String> {
    let mut asked = Asked::default();
    let mut versioned = false;
    for (key, value) in table(root, "the file")? {
        match key.as_str() {
            "version" => {
                let version = value.text().unwrap_or_default();
                if !matches!(version, "1" | "1.0") {
                    let version = shorten(version);
                    return Err(format!("its version is `{version}`; `1.0` is read here"));
                }
                versioned = true;
            }
            "description" => {}
            "permissions" => permissions(value, &mut asked)?,
            other => asked.leave_out(format!("`{}`", shorten(other)), "is not known here"),
        }
    }
    match versioned {
        true => Ok(asked),
        false => Err("it has no `version`; write `version: \"1.0\"`".to_owned()),
    }
}

fn permissions(node: &Node, asked: &mut Asked) -> Result<(), String> {
    for (kind, lists) in table(node, "permissions")? {
        let take = match kind.as_str() {
            "network" => network,
            "storage" => storage,
            "environment" => environment,
            other => {
                let what = format!("`permissions.{}`", shorten(other));
                asked.leave_out(what, "has no counterpart here");
                continue;
            }
        };
        for (list, entries) in table(lists, kind)? {
            let path = format!("permissions.{kind}.{}", shorten(list));
            let items = entries.items();
            let items = items.ok_or_else(|| format!("`{path}` is not a list"))?;
            if items.len() > MAX_ENTRIES {
                return Err(format!("`{path}` has more than {MAX_ENTRIES} entries"));
            }
            match list.as_str() {
                "allow" => {}
                // Leaving these out would ask for more than the author meant.
                "deny" if !items.is_empty() => {
                    return Err(format!(
                        "`{path}` takes something back from `allow`, which a request here cannot; write a `plugin.toml` beside the component instead"
                    ));
                }
                "deny" => continue,
                _ => {
                    asked.leave_out(format!("`{path}`"), "is not known here");
                    continue;
                }
            }
            for item in items {
                let fields = table(item, &path)?;
                take(fields, asked)?;
            }
        }
    }
    Ok(())
}

type Fields<'a> = &'a [(String, Node)];

fn network(fields: Fields<'_>, asked: &mut Asked) -> Result<(), String> {
    let Some(host) = text(fields, "host") else {
        let what = format!("the network place {}", shown(fields));
        asked.leave_out(what, "is not a `host`; places are granted by host");
        return Ok(());
    };
    let bare = host.strip_prefix("https://").unwrap_or(host);
    match bare.trim_end_matches('/').parse() {
        Ok(pattern) if !asked.hosts.contains(&pattern) => asked.hosts.push(pattern),
        Ok(_) => {}
        Err(error) => {
            let what = format!("the host `{}`", shorten(host));
            asked.leave_out(what, &error.to_string());
        }
    }
    Ok(())
}

fn storage(fields: Fields<'_>, asked: &mut Asked) -> Result<(), String> {
    let uri = text(fields, "uri").unwrap_or_default();
    if !is_workspace(uri) {
        let what = format!("the storage `{}`", shorten(uri));
        asked.leave_out(
            what,
            "is not the workspace as a whole, which is the only folder there is",
        );
        return Ok(());
    }
    let field = fields.iter().find(|(key, _)| key == "access");
    let words = field.and_then(|(_, node)| node.items()).unwrap_or_default();
    let mut writes = false;
    for word in words {
        match word.text() {
            Some("read") => {}
            Some("write") => writes = true,
            _ => {
                return Err(
                    "`access` of a storage holds something else than `read` and `write`".to_owned(),
                );
            }
        }
    }
    if words.is_empty() {
        return Err("a storage has no `access`; write `[\"read\"]`".to_owned());
    }
    asked.workspace = Some(asked.workspace.unwrap_or(false) || writes);
    Ok(())
}

/// The ways to write the workspace as a whole.
fn is_workspace(uri: &str) -> bool {
    let Some(path) = uri.strip_prefix("fs://") else {
        return false;
    };
    let path = path.trim_end_matches('*').trim_end_matches('/');
    matches!(path, "workspace" | "/workspace" | ".")
}

fn environment(fields: Fields<'_>, asked: &mut Asked) -> Result<(), String> {
    let variable = text(fields, "key").unwrap_or_default();
    let what = format!("the variable `{}`", shorten(variable));
    // The way back has to lead to the same name.
    let key = variable.to_ascii_lowercase().replace('_', "-");
    let is_name = variable.len() <= 64
        && variable.starts_with(|c: char| c.is_ascii_uppercase())
        && variable
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    if !is_name {
        asked.leave_out(what, "is not a name of upper-case letters, digits and `_`");
    } else if is_secret(variable) {
        asked.leave_out(
            what,
            "is named like a secret, which no component sees; write a `plugin.toml` with a [[request.credential]] beside it, and the host adds the secret to its requests",
        );
    } else if !asked.config.iter().any(|(own, _)| *own == key) {
        asked.config.push((key, variable.to_owned()));
    }
    Ok(())
}

/// By the same words as in a manifest.
fn is_secret(variable: &str) -> bool {
    const WORDS: [&str; 9] = [
        "TOKEN",
        "KEY",
        "SECRET",
        "PASSWORD",
        "PASS",
        "PAT",
        "CREDENTIAL",
        "CREDENTIALS",
        "AUTH",
    ];
    variable
        .split('_')
        .any(|word| WORDS.contains(&word) || word == "APIKEY")
}

fn table<'a>(node: &'a Node, what: &str) -> Result<Fields<'a>, String> {
    let fields = node.entries();
    fields.ok_or_else(|| format!("`{}` is not a table of keys", shorten(what)))
}

fn text<'a>(fields: Fields<'a>, key: &str) -> Option<&'a str> {
    let field = fields.iter().find(|(own, _)| own == key);
    field.and_then(|(_, node)| node.text())
}

fn shown(fields: Fields<'_>) -> String {
    let shown = |(key, node): &(String, Node)| {
        format!(
            "`{}: {}`",
            shorten(key),
            shorten(node.text().unwrap_or("…"))
        )
    };
    fields
        .first()
        .map_or_else(|| "without a name".to_owned(), shown)
}

impl Asked {
    fn leave_out(&mut self, what: String, why: &str) {
        if self.not_given.len() < MAX_NOT_GIVEN {
            self.not_given.push(format!("{what} {why}"));
        }
    }
}
