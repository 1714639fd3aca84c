//! `policy.yaml`, in which the host `wassette` is told what a component may do (its
//! `docs/reference/permissions.md`, and the schema of `policy-mcp`, version 1; both of 2026). Here it
//! is what the component asks for, and no more: a person grants it, or a part of it.
//!
//! What it permits and this host does not give is told. What would make the request larger than the
//! file says, because it is not understood, is an error.

use ml_intern_manifest::{Scheme, names_secret, shorten};

use super::yaml::{self, Node};
use super::{Asked, Place};
use crate::error::Error;

/// Entries of one list; as many as a manifest has of a table.
const MAX_ENTRIES: usize = 64;
/// What is left where a policy does not fit.
const INSTEAD: &str = "write a `plugin.toml` beside the component";
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
                if version != "1" && !version.starts_with("1.") {
                    let version = shorten(version);
                    return Err(format!("its version is `{version}`; `1.0` is read here"));
                }
                versioned = true;
            }
            "description" | "$schema" => {}
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
    for (kind, value) in table(node, "permissions")? {
        match kind.as_str() {
            "network" => lists(value, kind, asked, network)?,
            "storage" => lists(value, kind, asked, storage)?,
            "environment" => lists(value, kind, asked, environment)?,
            "resources" => resources(value, asked)?,
            other => {
                let what = format!("`permissions.{}`", shorten(other));
                asked.leave_out(what, "has no counterpart here");
            }
        }
    }
    Ok(())
}

type Take = fn(Fields<'_>, &mut Asked) -> Result<(), String>;

/// `allow` and `deny`.
fn lists(node: &Node, kind: &str, asked: &mut Asked, take: Take) -> Result<(), String> {
    for (list, entries) in table(node, kind)? {
        let path = format!("permissions.{kind}.{}", shorten(list));
        let items = entries.items();
        let items = items.ok_or_else(|| format!("`{path}` is not a list"))?;
        if items.len() > MAX_ENTRIES {
            return Err(format!("`{path}` has more than {MAX_ENTRIES} entries"));
        }
        match list.as_str() {
            "allow" => {}
            "deny" if items.is_empty() => continue,
            "deny" => {
                return Err(format!(
                    "`{path}` takes something back from `allow`, which a request here cannot; {INSTEAD}"
                ));
            }
            _ => return Err(format!("`{path}` is not known; write `allow`")),
        }
        for item in items {
            take(table(item, &path)?, asked)?;
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
    only(fields, &["host"])?;
    match place(host) {
        Ok(place) if !asked.places.contains(&place) => asked.places.push(place),
        Ok(_) => {}
        Err(why) => asked.leave_out(format!("the host `{}`", shorten(host)), &why),
    }
    Ok(())
}

/// `api.example.org`, `localhost:8080` or `https://api.example.org/`.
fn place(text: &str) -> Result<Place, String> {
    let (scheme, rest) = match text.split_once("://") {
        None => (Scheme::Https, text),
        Some(("https", rest)) => (Scheme::Https, rest),
        Some(("http", rest)) => (Scheme::Http, rest),
        Some(_) => return Err("is reached by something else than HTTP".to_owned()),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.rsplit_once(':') {
        // An IPv6 address without a port has colons too.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            let port = port.parse::<u16>().ok().filter(|port| *port > 0);
            (host, Some(port.ok_or("has no port that is one")?))
        }
        _ => (rest, None),
    };
    let host = host.parse().map_err(|error| format!("is none: {error}"))?;
    Ok(Place { scheme, host, port })
}

fn storage(fields: Fields<'_>, asked: &mut Asked) -> Result<(), String> {
    only(fields, &["uri", "access"])?;
    let uri = text(fields, "uri").ok_or("a storage has no `uri`")?;
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
    if !is_workspace(uri) {
        let what = format!("the storage `{}`", shorten(uri));
        let why = format!(
            "is not the workspace as a whole, which is the only folder there is; where that will do, {INSTEAD}"
        );
        asked.leave_out(what, &why);
        return Ok(());
    }
    asked.workspace = Some(asked.workspace.unwrap_or(false) || writes);
    Ok(())
}

/// The ways to write the workspace as a whole; with `/*` it would be its own files only.
fn is_workspace(uri: &str) -> bool {
    let Some(path) = uri.strip_prefix("fs://") else {
        return false;
    };
    let path = path.strip_suffix("/**").unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    matches!(path, "workspace" | "/workspace" | ".")
}

fn environment(fields: Fields<'_>, asked: &mut Asked) -> Result<(), String> {
    only(fields, &["key"])?;
    let variable = text(fields, "key").ok_or("a variable has no `key`")?;
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
    } else if names_secret(variable) {
        asked.leave_out(
            what,
            "is named like a secret, which no component sees; write a `plugin.toml` with a [[request.credential]] beside it, and the host adds the secret to its requests",
        );
    } else if !asked.config.iter().any(|(own, _)| *own == key) {
        asked.config.push((key, variable.to_owned()));
    }
    Ok(())
}

/// `memory` in MB, or as Kubernetes writes it below `limits`; shares of a processor and of a disk are
/// not what is bounded here.
fn resources(node: &Node, asked: &mut Asked) -> Result<(), String> {
    for (key, value) in table(node, "permissions.resources")? {
        match key.as_str() {
            "memory" => asked.memory = Some(mebibytes(value, "MB")?),
            "limits" => {
                for (key, value) in table(value, "permissions.resources.limits")? {
                    match key.as_str() {
                        "memory" => asked.memory = Some(mebibytes(value, "")?),
                        other => asked.leave_out(limit(other), LIMITED),
                    }
                }
            }
            other => asked.leave_out(limit(other), LIMITED),
        }
    }
    Ok(())
}

const LIMITED: &str =
    "has no counterpart here; `[limits]` in a `plugin.toml` has those that there are";

fn limit(name: &str) -> String {
    format!("the limit `{}`", shorten(name))
}

/// An amount of memory, rounded up; `unit` is that of a bare number.
fn mebibytes(node: &Node, unit: &str) -> Result<u64, String> {
    let text = node.text().unwrap_or_default();
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (digits, own) = text.split_at(end.unwrap_or(text.len()));
    let own = if own.is_empty() {
        unit
    } else {
        own.trim_start()
    };
    let bytes: Option<u64> = match own {
        "" => Some(1),
        "k" | "K" | "KB" => Some(1000),
        "Ki" | "KiB" => Some(1 << 10),
        "M" | "MB" => Some(1_000_000),
        "Mi" | "MiB" => Some(1 << 20),
        "G" | "GB" => Some(1_000_000_000),
        "Gi" | "GiB" => Some(1 << 30),
        _ => None,
    };
    let bytes = bytes.and_then(|unit| digits.parse::<u64>().ok()?.checked_mul(unit));
    let mib = bytes.map(|bytes| bytes.div_ceil(1 << 20));
    // The bounds of `memory` in a manifest.
    mib.filter(|mib| (1..=2048).contains(mib)).ok_or_else(|| {
        format!(
            "`{}` is not an amount of memory from 1Mi to 2Gi",
            shorten(text)
        )
    })
}

/// A key that is not known could narrow what the entry says.
fn only(fields: Fields<'_>, known: &[&str]) -> Result<(), String> {
    match fields
        .iter()
        .find(|(key, _)| !known.contains(&key.as_str()))
    {
        Some((key, _)) => Err(format!(
            "`{}` beside `{}` is not known; remove it, or {INSTEAD}",
            shorten(key),
            known.join("` and `")
        )),
        None => Ok(()),
    }
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
