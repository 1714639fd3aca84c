//! The table in `docs/providers.md`, made of the cases.

use std::path::Path;

use super::{COLUMNS, GROUPS, NOT_APPLICABLE, exception};

const BEGIN: &str = "<!-- conformance:begin -->\n";
const END: &str = "<!-- conformance:end -->\n";
/// Set to 1: the document is written instead of compared.
const UPDATE: &str = "UPDATE";

/// Each reason once, in the order in which the table needs them.
fn table() -> String {
    let mut reasons: Vec<&str> = Vec::new();
    let names: Vec<&str> = COLUMNS.iter().map(|provider| provider.name).collect();
    let mut table = format!("| case | {} |\n", names.join(" | "));
    table += &format!("|---|{}\n", ":-:|".repeat(names.len()));
    for case in GROUPS.iter().copied().flatten() {
        let cells = COLUMNS
            .iter()
            .map(|provider| match exception(provider, case.name) {
                None => "✓".to_owned(),
                Some(reason) => {
                    let known = reasons.iter().position(|known| *known == reason);
                    let number = known.unwrap_or_else(|| {
                        reasons.push(reason);
                        reasons.len() - 1
                    });
                    format!("– ({})", number + 1)
                }
            });
        table += &format!(
            "| {} | {} |\n",
            case.name,
            cells.collect::<Vec<_>>().join(" | ")
        );
    }
    table.push('\n');
    for (number, reason) in reasons.iter().enumerate() {
        table += &format!("{}. {reason}\n", number + 1);
    }
    table
}

#[test]
fn the_document_shows_what_is_tested() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/providers.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = document
        .split_once(BEGIN)
        .expect("the table has a beginning");
    let (shown, after) = rest.split_once(END).expect("the table has an end");
    let table = format!("\n{}\n", table());
    if std::env::var(UPDATE).is_ok_and(|update| update == "1") {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert!(
        shown == table,
        "docs/providers.md shows another table; run this test with {UPDATE}=1"
    );
}

#[test]
fn every_exception_names_a_cell_and_no_two_the_same() {
    let names: Vec<&str> = COLUMNS.iter().map(|provider| provider.name).collect();
    let cases: Vec<&str> = GROUPS
        .iter()
        .copied()
        .flatten()
        .map(|case| case.name)
        .collect();
    let mut cells = Vec::new();
    for (providers, excepted, reason) in NOT_APPLICABLE {
        assert!(!reason.is_empty());
        for provider in *providers {
            assert!(names.contains(provider), "no provider `{provider}`");
            cells.extend(excepted.iter().map(|case| (*provider, *case)));
        }
    }
    for (position, (provider, case)) in cells.iter().enumerate() {
        assert!(cases.contains(case), "no case `{case}`");
        let earlier = &cells[..position];
        assert!(
            !earlier.contains(&(provider, case)),
            "{provider} × {case} twice"
        );
    }
    let mut once = cases.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), cases.len(), "two cases have one name");
}
