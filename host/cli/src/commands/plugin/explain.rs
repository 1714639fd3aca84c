//! `plugin explain`: which rule allows or denies a request, and the line that would change it.

use crate::commands::plugin::unknown;
use crate::compose::Plugins;
use crate::config::Config;
use crate::error::{Failure, Result};
use crate::ui::{self, Style};
use ml_intern_runtime::explain_request;
use serde_json::json;

pub(super) fn explain(
    config: &Config,
    method: &str,
    url: &str,
    only: Option<&str>,
    json: bool,
) -> Result<u8> {
    let plugins = Plugins::new(config)?;
    let mut rows = Vec::new();
    let entries = config.manifest.entries();
    for (section, entry) in entries.filter(|(_, entry)| only.is_none_or(|only| entry.name == only))
    {
        let loaded = plugins.load(section, entry)?;
        let decided = explain_request(&loaded.effective, method, url);
        rows.push((loaded.path(), decided));
    }
    if rows.is_empty() {
        return Err(match only {
            Some(name) => unknown(config, name),
            None => Failure::usage("the run manifest has no plugin"),
        });
    }
    if json {
        let rows = rows.iter().map(|(path, decided)| match decided {
            Ok(rule) => json!({ "plugin": path, "allowed": true, "rule": rule }),
            Err(reason) => json!({ "plugin": path, "allowed": false, "reason": reason }),
        });
        ui::out(&json!(rows.collect::<Vec<_>>()).to_string());
        return Ok(0);
    }
    let style = Style::stdout();
    for (path, decided) in rows {
        let (word, because) = match decided {
            Ok(rule) => (style.green("✓ allowed"), format!("it {rule}")),
            Err(reason) => (style.red("✗ denied"), reason),
        };
        ui::out(&format!("{word} to {}", style.bold(&format!("[{path}]"))));
        ui::out(&format!("    {}", ui::clean(&because)));
    }
    Ok(0)
}
