//! `sessions usage`: what a session took.

use crate::error::{Kind, OrFail, Result};
use crate::ui::{self, Style, Table};
use ml_intern_trace::{Counts, metrics};
use serde_json::json;
use std::path::Path;

pub(super) fn usage(folder: &Path, id: &str, json: bool) -> Result<u8> {
    let id = ml_intern_trace::choose(folder, id).or_fail(Kind::Usage)?;
    let events = ml_intern_trace::read(folder, &id).or_fail(Kind::Failed)?;
    let sums = metrics(&id, &events);
    if json {
        ui::out(&json!(sums).to_string());
        return Ok(0);
    }
    let llm = &sums.llm;
    let cached = (llm.cache_read_tokens * 100)
        .checked_div(llm.input_tokens)
        .unwrap_or(0);
    let rows = [
        (
            "model calls",
            format!("{} ({})", llm.calls, list(&llm.calls_by_purpose)),
        ),
        ("models", list(&llm.calls_by_model)),
        (
            "tokens",
            format!(
                "{} in ({cached} % from a cache), {} out, {} of them reasoning",
                llm.input_tokens, llm.output_tokens, llm.reasoning_tokens
            ),
        ),
        ("turns", list(&sums.turns)),
        (
            "tool calls",
            format!("{} ({})", sums.tools.calls, list(&sums.tools.by_status)),
        ),
        ("tools", list(&sums.tools.by_name)),
        ("tool time", ui::duration(sums.tools.ms)),
        (
            "jobs",
            format!("{} ({})", sums.jobs.submitted, list(&sums.jobs.by_state)),
        ),
        (
            "cost of model calls",
            price(
                llm.usd.to_string(),
                llm.calls - sums.data_quality.llm_calls_with_cost,
            ),
        ),
        ("cost of jobs", sums.jobs.usd.to_string()),
        ("cost", sums.total_usd.to_string()),
    ];
    let mut table = Table::new(&["USAGE", &id]);
    for (what, value) in rows {
        table.row([what.into(), value]);
    }
    ui::out(&table.render(Style::stdout()));
    Ok(0)
}

fn price(known: String, unknown: u64) -> String {
    match unknown {
        0 => known,
        unknown => format!("{known}, and {unknown} calls of unknown price"),
    }
}

fn list(counts: &Counts) -> String {
    let counts = counts.iter().map(|(name, count)| format!("{count} {name}"));
    match counts.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => "none".into(),
        list => list,
    }
}
