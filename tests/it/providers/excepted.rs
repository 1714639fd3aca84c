//! The cells that do not apply, and why.

/// Providers, cases, and the reason.
pub(super) const NOT_APPLICABLE: &[(&[&str], &[&str], &str)] = &[];
