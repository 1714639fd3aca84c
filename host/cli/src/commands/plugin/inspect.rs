//! `plugin inspect`: what a component is made of. Nothing of it runs, and nothing is compiled.

use super::chosen::{Named, named};
use crate::compose::{Plugins, fetch};
use crate::config::Config;
use crate::error::{Kind, OrFail, Result};
use crate::ui::{self, Style, Table};
use ml_intern_manifest::{Effective, Grant, PluginManifest, Source};
use ml_intern_registry::{Anatomy, Part, Resolved, anatomy};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Sections of one part that are shown; the rest is a sum.
const SECTIONS: usize = 8;
/// Parts that are shown one by one; the rest is a sum.
const PARTS: usize = 24;
/// Characters of a text beside the code.
const TEXT: usize = 200;

pub(super) fn inspect(config: &Config, plugin: &str, wit: bool, json: bool) -> Result<u8> {
    let resolved = match named(config, plugin)? {
        Named::File(path) => crate::compose::plugins::resolve(&Source::Local(path))?,
        Named::Name(name) => {
            let (section, entry) = config
                .any_entry(&name)
                .ok_or_else(|| super::unknown(config, &name))?;
            Plugins::new(config)?.load(section, entry)?.resolved
        }
    };
    let bytes = resolved
        .bytes
        .read()
        .map_err(|error| fetch::failure(&error))?;
    if wit {
        let text = ml_intern_toolchain::world_text(plugin, &bytes);
        ui::out(&ui::clean(text.or_fail(Kind::Plugin)?.trim_end()));
        return Ok(0);
    }
    let anatomy = anatomy(plugin, &bytes).or_fail(Kind::Plugin)?;
    let world = world(&resolved);
    if json {
        ui::out(&as_json(&resolved, &anatomy, &world).to_string());
        return Ok(0);
    }
    let style = Style::stdout();
    head(&resolved, &anatomy, style);
    ui::out(&style.bold("world"));
    ui::out(&ui::clean(&world));
    ui::out(&style.bold("asks for"));
    for line in wants(&resolved.manifest) {
        ui::out(&format!("  • {}", ui::clean(&line)));
    }
    ui::out(&style.bold("size"));
    ui::out(&sizes(&anatomy).render(style));
    Ok(0)
}

/// The names of imports and exports as a world.
fn world(resolved: &Resolved) -> String {
    let mut text = String::from("world plugin {\n");
    for import in &resolved.imports {
        text.push_str(&format!("  import {};\n", ui::one_line(import, TEXT)));
    }
    for kind in &resolved.kinds {
        text.push_str(&format!(
            "  export ml-intern:plugin/{kind}@{}.0;\n",
            resolved.abi
        ));
    }
    text.push('}');
    text
}

/// Everything that it asks for, in the words of a grant. Places that wait for a configuration are named by their key.
fn wants(manifest: &PluginManifest) -> Vec<String> {
    let request = &manifest.request;
    let all = Effective::compute("plugin", request, &Grant::all_of(request), &BTreeMap::new());
    let mut lines = all.map(|all| all.describe()).unwrap_or_default();
    let keys = request.config.iter();
    lines.extend(keys.map(|wanted| format!("the configuration key `{}`", wanted.key)));
    if lines.is_empty() {
        lines.push("nothing: it only computes".to_owned());
    }
    lines
}

fn head(resolved: &Resolved, anatomy: &Anatomy, style: Style) {
    let header = &resolved.manifest.plugin;
    let title = format!("{}@{}", header.id, header.version);
    ui::out(&style.bold(&ui::one_line(&title, TEXT)));
    ui::out(&ui::one_line(&header.description, 400));
    let kinds = resolved.kinds.iter().map(|kind| kind.as_str());
    let kinds = kinds.collect::<Vec<_>>().join(", ");
    let mut table = Table::new(&["kind", &kinds]).last(100);
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    row("source", resolved.source.to_string());
    row("digest", resolved.digest.to_string());
    row("ABI", resolved.abi.to_string());
    row("licence", header.license.clone());
    row("bytes", anatomy.bytes.to_string());
    let made = anatomy.producers.iter();
    let made = made.map(|one| format!("{} {}", one.name, one.version).trim().to_owned());
    let made = made.collect::<Vec<_>>();
    if !made.is_empty() {
        row("made with", made.join(", "));
    }
    for (name, text) in &anatomy.texts {
        row(name, text.clone());
    }
    row(
        "names",
        told(
            anatomy.function_names,
            "of functions are in it",
            "are stripped",
        ),
    );
    row(
        "signature",
        told(
            anatomy.signature,
            "there is one; it is not checked here",
            "none",
        ),
    );
    ui::out(&table.render(style));
}

fn told(there: bool, yes: &str, no: &str) -> String {
    if there { yes } else { no }.to_owned()
}

fn sizes(anatomy: &Anatomy) -> Table {
    let mut table = Table::new(&["PART", "SECTION", "BYTES", "SHARE"]);
    let share = |bytes: u64| {
        let share = bytes as f64 * 100.0 / anatomy.bytes.max(1) as f64;
        format!("{share:.1}%")
    };
    let mut row = |part: &str, section: String, bytes: u64| {
        table.row([part.to_owned(), section, bytes.to_string(), share(bytes)]);
    };
    let mut left: u64 = anatomy.bytes;
    for part in anatomy.parts.iter().take(PARTS) {
        row(&part.name, counted(part), part.bytes);
        left = left.saturating_sub(part.bytes);
        for section in part.sections.iter().take(SECTIONS) {
            let name = match section.count {
                1 => section.name.clone(),
                count => format!("{} (in {count})", section.name),
            };
            row("", name, section.bytes);
        }
        let rest = part
            .sections
            .iter()
            .skip(SECTIONS)
            .map(|section| section.bytes);
        let rest = rest.sum::<u64>();
        if rest > 0 {
            row("", "other sections".to_owned(), rest);
        }
    }
    let more = anatomy.parts.len().saturating_sub(PARTS) + anatomy.unlisted;
    let name = match more {
        0 => "heads of sections".to_owned(),
        more => format!("{more} more parts, and heads of sections"),
    };
    row("", name, left);
    table
}

fn counted(part: &Part) -> String {
    match part.functions {
        0 => String::new(),
        1 => "1 function".to_owned(),
        count => format!("{count} functions"),
    }
}

fn as_json(resolved: &Resolved, anatomy: &Anatomy, world: &str) -> Value {
    let header = &resolved.manifest.plugin;
    let kinds = resolved.kinds.iter().map(|kind| kind.as_str());
    let producers = anatomy
        .producers
        .iter()
        .map(|one| json!({ "role": one.role, "name": one.name, "version": one.version }));
    let parts = anatomy.parts.iter().map(|part| {
        let sections = part.sections.iter().map(|section| {
            json!({ "name": section.name, "bytes": section.bytes, "count": section.count })
        });
        json!({
            "name": part.name,
            "bytes": part.bytes,
            "functions": part.functions,
            "sections": sections.collect::<Vec<_>>(),
        })
    });
    let texts = anatomy.texts.iter();
    let texts = texts.map(|(name, text)| ((*name).to_owned(), json!(text)));
    json!({
        "id": header.id.to_string(),
        "version": header.version.to_string(),
        "description": header.description,
        "license": header.license,
        "source": resolved.source.to_string(),
        "digest": resolved.digest.to_string(),
        "abi": resolved.abi.to_string(),
        "kinds": kinds.collect::<Vec<_>>(),
        "imports": resolved.imports,
        "world": world,
        "asks_for": wants(&resolved.manifest),
        "bytes": anatomy.bytes,
        "parts": parts.collect::<Vec<_>>(),
        "parts_left_out": anatomy.unlisted,
        "producers": producers.collect::<Vec<_>>(),
        "metadata": Value::Object(texts.collect()),
        "function_names": anatomy.function_names,
        "signature": anatomy.signature,
    })
}
