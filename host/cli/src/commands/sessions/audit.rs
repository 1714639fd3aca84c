//! `sessions audit`: what plugins asked for, and which rule decided.

use crate::commands::sessions::when;
use crate::error::{Kind, OrFail, Result};
use crate::ui::{self, Style, Table};
use ml_intern_agent::event::{Audit, AuditVerdict};
use ml_intern_agent::{Event, Stamp};
use std::path::Path;

/// Characters of a target, and of a rule or reason, in the table; `--json` has all.
const TARGET: usize = 60;
const REASON: usize = 100;

pub(super) fn audit(
    folder: &Path,
    id: &str,
    refused: bool,
    plugin: Option<&str>,
    json: bool,
) -> Result<u8> {
    let id = ml_intern_trace::choose(folder, id).or_fail(Kind::Usage)?;
    let events = ml_intern_trace::read(folder, &id).or_fail(Kind::Failed)?;
    let wanted = |audit: &Audit| {
        (!refused || audit.verdict != AuditVerdict::Allowed)
            && plugin.is_none_or(|plugin| audit.plugin.starts_with(plugin))
    };
    let mut count = 0;
    let mut table = Table::new(&[
        "TIME",
        "CALL",
        "PLUGIN",
        "CAPABILITY",
        "TARGET",
        "VERDICT",
        "OUT",
        "IN",
        "RULE OR REASON",
    ])
    .last(REASON);
    for (stamp, event) in &events {
        let Event::Audit { audit } = event else {
            continue;
        };
        if !wanted(audit) {
            continue;
        }
        count += 1;
        if json {
            ui::out(ml_intern_trace::render(*stamp, Some(&id), event).trim_end());
        } else {
            table.row(row(*stamp, audit));
        }
    }
    if !json && count > 0 {
        ui::out(&table.render(Style::stdout()));
    }
    if count == 0 {
        ui::err("nothing of that kind was decided in this session");
    }
    Ok(0)
}

fn row(stamp: Stamp, audit: &Audit) -> [String; 9] {
    let reason = match audit.verdict {
        AuditVerdict::Allowed => &audit.rule,
        _ => &audit.detail,
    };
    [
        when(stamp.ms),
        ui::one_line(&audit.call, 24),
        ui::one_line(&audit.plugin, 40),
        audit.capability.clone(),
        ui::one_line(&audit.target, TARGET),
        ui::outcome(audit),
        audit.sent_bytes.to_string(),
        audit.received_bytes.to_string(),
        ui::one_line(reason.as_deref().unwrap_or_default(), REASON),
    ]
}
