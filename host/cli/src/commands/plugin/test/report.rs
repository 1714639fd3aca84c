//! How cases came out, a line each.

use super::Tried;
use crate::ui::{self, Style};
use serde_json::{Value, json};
use std::time::Duration;

/// Lines of the problems of one case.
const LINES: usize = 60;

/// For people.
pub(in crate::commands::plugin) fn show(tried: &[Tried], took: Duration) {
    let style = Style::stdout();
    for line in tried.iter().flat_map(|one| lines(one, style)) {
        ui::out(&line);
    }
    ui::out(&sum(tried, took, style));
}

/// Those that fail first: what does not fit a screen is below.
pub(in crate::commands::plugin) fn sorted_lines(tried: &[Tried], style: Style) -> Vec<String> {
    let failed = tried.iter().filter(|one| !one.problems.is_empty());
    let passed = tried.iter().filter(|one| one.problems.is_empty());
    failed
        .chain(passed)
        .flat_map(|one| lines(one, style))
        .collect()
}

fn lines(one: &Tried, style: Style) -> Vec<String> {
    let mut all = vec![line(one, style)];
    let problems = one.problems.iter().flat_map(|problem| problem.lines());
    let mut problems = problems.map(|line| format!("    {}", ui::clean(line)));
    all.extend(problems.by_ref().take(LINES));
    let more = problems.count();
    if more > 0 {
        all.push(format!("    … {more} more lines"));
    }
    all
}

fn line(one: &Tried, style: Style) -> String {
    let name = ui::one_line(&one.name, 120);
    let took = style.dim(&format!("({})", ui::duration(millis(one.took))));
    match (one.problems.is_empty(), one.updated) {
        (true, false) => format!("{} {name} {took}", style.green("✓")),
        (true, true) => format!("{} {name} {took} written", style.yellow("+")),
        (false, _) => format!("{} {} {took}", style.red("✗"), style.bold(&name)),
    }
}

pub(in crate::commands::plugin) fn sum(tried: &[Tried], took: Duration, style: Style) -> String {
    let failed = tried.iter().filter(|one| !one.problems.is_empty()).count();
    let passed = tried.len() - failed;
    let took = ui::duration(millis(took));
    match failed {
        0 => style.green(&format!("{passed} passed in {took}")),
        _ => style.red(&format!("{passed} passed, {failed} failed in {took}")),
    }
}

/// For programs.
pub(super) fn as_json(tried: &[Tried], took: Duration) -> Value {
    let failed = tried.iter().filter(|one| !one.problems.is_empty()).count();
    let cases = tried.iter().map(|one| {
        json!({
            "name": one.name,
            "tool": one.tool,
            "passed": one.problems.is_empty(),
            "problems": one.problems,
            "updated": one.updated,
            "ms": millis(one.took),
            "call": one.called.as_ref().map(super::Called::as_json),
        })
    });
    json!({
        "passed": tried.len() - failed,
        "failed": failed,
        "ms": millis(took),
        "cases": cases.collect::<Vec<_>>(),
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
