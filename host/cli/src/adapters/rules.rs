//! What a person allowed beyond the session, kept in a file of theirs.

use ml_intern_agent::approval::Rule;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Reads what was allowed.
pub(crate) fn remembered(path: &Path) -> Vec<Rule> {
    // Without the file, or with a line that does not parse, people are asked again: that is the safe side.
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// Adds a rule.
pub(crate) fn keep(path: &Path, rule: &Rule) -> Result<(), String> {
    let line = serde_json::to_string(rule).map_err(|error| error.to_string())?;
    let write = || {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(format!("{line}\n").as_bytes())
    };
    write().map_err(|error: std::io::Error| format!("cannot write {}: {error}", path.display()))
}
