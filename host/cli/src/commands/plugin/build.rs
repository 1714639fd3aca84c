//! `plugin build`: from source to a component, and what that asks for.

use crate::args::BuildArgs;
use crate::error::{Failure, Kind, OrFail, Result};
use crate::paths::Paths;
use crate::ui::{self, Style, Table};
use ml_intern_manifest::{Effective, Grant, HttpTarget};
use ml_intern_registry::Inspected;
use ml_intern_toolchain::{Built, Error, Options, Progress, build as make};
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::Path;

/// What the interfaces let a plugin do, by the beginning of their names. What every program needs
/// is not worth a word.
const IN_WORDS: [(&str, &str); 10] = [
    ("wasi:http/", "the network"),
    ("wasi:filesystem/", "files"),
    ("wasi:config/", "configuration"),
    ("wasi:keyvalue/", "values kept between calls"),
    ("ml-intern:plugin/jobs", "jobs"),
    ("ml-intern:plugin/process", "native programs"),
    ("ml-intern:plugin/agent", "the session's model and tools"),
    ("ml-intern:plugin/credential", "names of credentials"),
    ("ml-intern:plugin/log", "log and progress"),
    ("wasi:sockets/", "sockets, which are always refused"),
];

pub(crate) async fn build(directory: Option<&Path>, arguments: &BuildArgs) -> Result<u8> {
    let folder = directory.unwrap_or(Path::new(".")).join(&arguments.folder);
    let options = Options {
        // What is not Unicode is no setting of a compiler.
        environment: std::env::vars_os()
            .filter_map(|(name, value)| name.into_string().ok().zip(value.into_string().ok()))
            .collect(),
        cache: Some(Paths::from_environment()?.tool_chains()),
        renew_sdk: arguments.renew_sdk,
        ..Options::default()
    };
    let cancel = options.cancel.clone();
    let building = make(&folder, &options, show);
    tokio::pin!(building);
    let built = loop {
        tokio::select! {
            built = &mut building => break built,
            // The build ends its programs, and then itself.
            Ok(()) = tokio::signal::ctrl_c() => cancel.cancel(),
        }
    };
    let built = built.map_err(failure)?;
    report(&built)?;
    Ok(0)
}

fn show(progress: Progress<'_>) {
    let style = Style::stderr();
    match progress {
        Progress::Step(text) => ui::err(&format!("{} {text}", style.green("→"))),
        // A compiler's own words are for those who watch; an error repeats the last of them.
        Progress::Line(line) if std::io::stderr().is_terminal() => {
            ui::err(&style.dim(&format!("  {}", ui::one_line(line, 300))));
        }
        Progress::Line(_) => (),
    }
}

fn failure(error: Error) -> Failure {
    let kind = match &error {
        Error::Cancelled => Kind::Interrupted,
        Error::Failed { .. } | Error::TimedOut { .. } => Kind::Failed,
        Error::Component { .. } | Error::Plugin(_) => Kind::Plugin,
        _ => Kind::Usage,
    };
    let hints = match &error {
        Error::ToolChain { ways, .. } => ways.clone(),
        _ => Vec::new(),
    };
    hints
        .into_iter()
        .fold(Failure::new(kind, error), Failure::hint)
}

fn report(built: &Built) -> Result<()> {
    let inspected = &built.inspected;
    let kinds = inspected.kinds.iter().map(|kind| kind.as_str());
    let mut table = Table::new(&["file", &built.component.display().to_string()]).last(200);
    table.row(["size".into(), size(built.bytes)]);
    table.row(["kind".into(), kinds.collect::<Vec<_>>().join(", ")]);
    table.row(["ABI".into(), inspected.abi.to_string()]);
    table.row(["imports".into(), imports(&inspected.imports)]);
    for (number, line) in asks_for(inspected)?.into_iter().enumerate() {
        let head = if number == 0 { "asks for" } else { "" };
        table.row([head.to_owned(), line]);
    }
    ui::out(&table.render(Style::stdout()));
    Ok(())
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        _ => format!("{}.{} MiB", bytes >> 20, (bytes >> 10) % 1024 * 10 / 1024),
    }
}

fn imports(names: &[String]) -> String {
    let used = IN_WORDS
        .iter()
        .filter(|(start, _)| names.iter().any(|name| name.starts_with(start)));
    let words: Vec<&str> = used.map(|(_, word)| *word).collect();
    match words.is_empty() {
        true => "nothing that needs a grant".to_owned(),
        false => words.join(", "),
    }
}

/// Lines of what its manifest requests, as `plugin add` will show them.
fn asks_for(inspected: &Inspected) -> Result<Vec<String>> {
    let request = &inspected.manifest.request;
    let values: BTreeMap<String, String> = BTreeMap::new();
    let all = Effective::compute("plugin.toml", request, &Grant::all_of(request), &values)
        .or_fail(Kind::Plugin)?;
    let mut lines = all.describe();
    lines.extend(
        request
            .http
            .iter()
            .filter_map(|wanted| match &wanted.target {
                HttpTarget::BaseUrl(key) if !all.config.contains_key(key) => {
                    Some(format!("reaches the server that is configured as `{key}`"))
                }
                _ => None,
            }),
    );
    if lines.is_empty() {
        lines.push("nothing: it only computes".to_owned());
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_for_people() {
        assert_eq!(size(10), "10 B");
        assert_eq!(size(1025), "2 KiB");
        assert_eq!(size(5 << 20 | 1 << 19), "5.5 MiB");
    }

    #[test]
    fn imports_are_told_by_what_they_allow() {
        let names = [
            "wasi:io/poll@0.2.12",
            "wasi:http/types@0.2.12",
            "ml-intern:plugin/log@0.2.0",
        ];
        assert_eq!(
            imports(&names.map(str::to_owned)),
            "the network, log and progress"
        );
        assert_eq!(imports(&[]), "nothing that needs a grant");
    }
}
