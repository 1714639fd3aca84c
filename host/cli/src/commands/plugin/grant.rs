//! `plugin grant` and `plugin revoke`: what a plugin may do, changed in the manifest and the
//! lockfile. A running session notices what was taken back.

use crate::args::GrantArgs;
use crate::commands::confirmed;
use crate::commands::plugin::unknown;
use crate::compose::{Loaded, Plugins, lock};
use crate::config::{self, Config};
use crate::error::{Failure, Kind, OrFail, Result};
use crate::ui::{self, Style};
use ml_intern_manifest::{self as manifest, Entry, Grant, Request, RunManifest, Section};

pub(super) fn grant(config: &Config, name: &str, what: &GrantArgs, yes: bool) -> Result<u8> {
    let (section, entry) = entry(config, name)?;
    let plugins = Plugins::new(config)?;
    let before = plugins.load(section, entry)?;
    let mut grant = entry.grant_for(&before.resolved.manifest.request);
    let more = match what.all {
        true => Grant::all_of(&before.resolved.manifest.request),
        false => read(what, &before.resolved.manifest.request)?,
    };
    grant.add(more);
    let changed = Changed::new(config, &plugins, &before, &grant)?;
    let new = gained(&before, &changed.after);
    if new.is_empty() {
        let nothing = format!(
            "[{}] gains nothing by that: a plugin may do what it asks for and you grant; \
             `ml-intern plugin info {name}` shows both",
            before.path()
        );
        return Err(Failure::usage(nothing));
    }
    for line in &new {
        ui::err(&format!(
            "  {} {}",
            Style::stderr().green("+"),
            ui::clean(line)
        ));
    }
    if !yes && !confirmed("granting this", "grant this?")? {
        let nothing = anyhow::anyhow!("nothing was granted");
        return Err(Failure::new(Kind::Blocked, nothing));
    }
    changed.write(config)
}

pub(super) fn revoke(config: &Config, name: &str, what: &GrantArgs) -> Result<u8> {
    let (section, entry) = entry(config, name)?;
    let plugins = Plugins::new(config)?;
    let before = plugins.load(section, entry)?;
    let mut grant = entry.grant_for(&before.resolved.manifest.request);
    if what.all {
        grant = Grant::default();
    } else if !grant.take(&read(what, &before.resolved.manifest.request)?) {
        let nothing = format!("[{}] was not granted that", before.path());
        return Err(Failure::usage(nothing).hint(format!(
            "`ml-intern plugin info {name}` shows what it was granted"
        )));
    }
    let changed = Changed::new(config, &plugins, &before, &grant)?;
    for line in gained(&changed.after, &before) {
        ui::err(&format!(
            "  {} {}",
            Style::stderr().red("-"),
            ui::clean(&line)
        ));
    }
    changed.write(config)
}

fn entry<'a>(config: &'a Config, name: &str) -> Result<(Section, &'a Entry)> {
    config.any_entry(name).ok_or_else(|| unknown(config, name))
}

/// What the second may do and the first may not, in words.
fn gained(before: &Loaded, after: &Loaded) -> Vec<String> {
    let old = before.effective.describe();
    let new = after.effective.describe().into_iter();
    new.filter(|line| !old.contains(line)).collect()
}

/// The files as they will be.
struct Changed {
    text: String,
    after: Loaded,
}

impl Changed {
    fn new(config: &Config, plugins: &Plugins<'_>, before: &Loaded, grant: &Grant) -> Result<Self> {
        let path = config.editable_manifest();
        let label = path.display().to_string();
        let text = config::text_of(&path)?.unwrap_or_default();
        let (section, name) = (before.section, before.name.as_str());
        let text = manifest::set_grant(&label, &text, section, name, grant).or_fail(Kind::Usage)?;
        let folder = path.parent().unwrap_or(std::path::Path::new("/"));
        // As the next run will read it, laid over the weaker layers.
        let changed = RunManifest::parse(&label, &text)
            .or_fail(Kind::Usage)?
            .based_at(folder)
            .merge_over(&config.manifest);
        let entry = changed.section(section).iter().find(|own| own.name == name);
        let entry =
            entry.ok_or_else(|| Failure::usage(format!("{label} lost [{}]", before.path())))?;
        Ok(Self {
            after: plugins.load(section, entry)?,
            text,
        })
    }

    fn write(self, config: &Config) -> Result<u8> {
        let path = config.editable_manifest();
        lock::replace(&path, &self.text)?;
        let after = &self.after;
        if !after.resolved.source.is_builtin() {
            let lock_path = config.lockfile_path_for(&path);
            let mut lockfile = lock::read(&lock_path)?;
            // Only what is in the lockfile already: accepting new bytes is another decision.
            if let Some(old) = lockfile.get(after.section, &after.name).cloned() {
                let entry = manifest::LockEntry {
                    grants: after.effective.describe(),
                    ..old
                };
                lockfile.insert(after.section, &after.name, entry);
                lock::write(&lock_path, &lockfile)?;
            }
        }
        ui::out(&format!(
            "changed [{}.grant] in {}",
            after.path(),
            path.display()
        ));
        Ok(0)
    }
}

/// The flags and fragments as one grant; what is said of programs and jobs alike goes to those that
/// the plugin asks for.
fn read(what: &GrantArgs, request: &Request) -> Result<Grant> {
    let mut lines = what.lines.clone();
    for place in &what.http {
        lines.push(format!("http = [{{ {} }}]", place_keys(place)?));
    }
    if let Some(access) = &what.fs {
        lines.push(format!(
            "fs = [{{ mount = \"/workspace\", access = \"{access}\" }}]"
        ));
    }
    let list = |items: &[String]| {
        let quoted: Vec<String> = items
            .iter()
            .map(|item| manifest::toml_string(item))
            .collect();
        format!("[{}]", quoted.join(", "))
    };
    if !what.program.is_empty() {
        lines.push(format!(
            "process = {{ programs = {} }}",
            list(&what.program)
        ));
    }
    if !what.network.is_empty() {
        let network = list(&what.network);
        let tables = [
            ("process", request.process.is_some()),
            ("jobs", request.jobs.is_some()),
        ];
        let asked = tables.into_iter().filter(|(_, asked)| *asked);
        lines.extend(asked.map(|(table, _)| format!("{table} = {{ network = {network} }}")));
    }
    if !what.flavor.is_empty() {
        let usd = what.max_usd.unwrap_or(0.0);
        let flavors = list(&what.flavor);
        lines.push(format!(
            "jobs = {{ flavors = {flavors}, max-usd = {usd:?} }}"
        ));
    }
    if what.model || !what.tool.is_empty() {
        let tools = list(&what.tool);
        let tools = if what.tool.is_empty() {
            String::new()
        } else {
            format!(", tools = {tools}")
        };
        lines.push(format!("agent = {{ complete = {}{tools} }}", what.model));
    }
    if !what.credential.is_empty() {
        lines.push(format!("credentials = {}", list(&what.credential)));
    }
    let mut grant = Grant::default();
    for line in &lines {
        grant.add(fragment(line)?);
    }
    Ok(grant)
}

/// One line as a denial shows it, with or without the name of its table before it.
fn fragment(line: &str) -> Result<Grant> {
    let line = line.trim();
    let body = match line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((table, body)) if table.ends_with(".grant") => body.trim(),
        _ => line,
    };
    let text = format!("[plugins.granted.grant]\n{body}\n");
    let run = RunManifest::parse("the grant", &text).or_fail(Kind::Usage)?;
    let grant = run.plugins.first().and_then(|entry| entry.grant.clone());
    grant.filter(|_| run.plugins.len() == 1).ok_or_else(|| {
        Failure::usage(format!(
            "`{}` is no line of a grant",
            ui::one_line(line, 100)
        ))
        .hint("write one such as: http = [{ host = \"example.org\" }]")
    })
}

/// `example.org` or `http://127.0.0.1:8080` as the keys of a place.
fn place_keys(place: &str) -> Result<String> {
    let (scheme, rest) = match place.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest.trim_end_matches('/')),
        None => (None, place),
    };
    if rest.contains('/') {
        return Err(Failure::usage(format!(
            "`{}` names a path; paths are written as: http = [{{ host = \"…\", paths = [\"/…\"] }}]",
            ui::one_line(place, 100)
        )));
    }
    let colon = rest.rfind(':').filter(|at| !rest[*at..].contains(']'));
    let (host, port) = match colon {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    let mut keys = format!("host = {}", manifest::toml_string(host));
    if let Some(scheme) = scheme {
        keys.push_str(&format!(", scheme = {}", manifest::toml_string(scheme)));
    }
    if let Some(port) = port {
        let port: u16 = port.parse().map_err(|_| {
            Failure::usage(format!(
                "`{}` has no port that is one",
                ui::one_line(place, 100)
            ))
        })?;
        keys.push_str(&format!(", port = {port}"));
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing() -> GrantArgs {
        GrantArgs {
            lines: Vec::new(),
            all: false,
            http: Vec::new(),
            fs: None,
            program: Vec::new(),
            network: Vec::new(),
            flavor: Vec::new(),
            max_usd: None,
            tool: Vec::new(),
            model: false,
            credential: Vec::new(),
        }
    }

    #[test]
    fn flags_and_the_line_of_a_denial_say_the_same() {
        let flags = GrantArgs {
            http: vec!["example.org".into(), "http://127.0.0.1:8080".into()],
            program: vec!["git".into()],
            tool: vec!["bash".into()],
            ..nothing()
        };
        let lines = GrantArgs {
            lines: vec![
                "[plugins.x.grant] http = [{ host = \"example.org\" }]".into(),
                "http = [{ host = \"127.0.0.1\", scheme = \"http\", port = 8080 }]".into(),
                "process = { programs = [\"git\"] }".into(),
                "agent = { tools = [\"bash\"] }".into(),
            ],
            ..nothing()
        };
        let none = Request::default();
        assert_eq!(read(&flags, &none).unwrap(), read(&lines, &none).unwrap());
    }

    #[test]
    fn what_is_no_grant_is_refused_with_an_example() {
        for line in [
            "",
            "http",
            "x = 1",
            "http = [{ host = \"*\" }]",
            "]\n[agent]\nmodel = \"a/b\"",
        ] {
            let lines = GrantArgs {
                lines: vec![line.to_owned()],
                ..nothing()
            };
            // An empty line adds nothing.
            assert!(
                line.is_empty() || read(&lines, &Request::default()).is_err(),
                "{line:?}"
            );
        }
        for place in ["https://a.org/path", "a.org:http", "*"] {
            let flags = GrantArgs {
                http: vec![place.to_owned()],
                ..nothing()
            };
            assert!(read(&flags, &Request::default()).is_err(), "{place}");
        }
    }
}
