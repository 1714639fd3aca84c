//! Decisions about plugins, in a line each.

use super::clean::one_line;
use ml_intern_agent::event::{Audit, AuditVerdict};

/// Characters of a line.
const WIDTH: usize = 400;

/// What was asked for, how it came out, and by which rule or why not.
pub(crate) fn audit_line(audit: &Audit) -> String {
    let reason = match audit.verdict {
        AuditVerdict::Allowed => audit.rule.as_deref(),
        _ => audit.detail.as_deref(),
    };
    let reason = reason
        .map(|reason| format!(": {reason}"))
        .unwrap_or_default();
    let line = format!(
        "{} {} → {}{reason}",
        audit.capability,
        audit.target,
        outcome(audit)
    );
    one_line(&line, WIDTH)
}

/// `allowed`, `allowed, status 200`, `denied`.
pub(crate) fn outcome(audit: &Audit) -> String {
    let word = match audit.verdict {
        AuditVerdict::Allowed => "allowed",
        AuditVerdict::Denied => "denied",
        AuditVerdict::Limited => "limited",
        AuditVerdict::Failed => "failed",
    };
    match audit.status {
        Some(status) => format!("{word}, status {status}"),
        None => word.to_owned(),
    }
}
