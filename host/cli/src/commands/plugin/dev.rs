//! `plugin dev`: builds a plugin and tries its cases, again and again.

use super::chosen::AUTHORS;
use super::test;
use crate::args::{DevArgs, TestArgs};
use crate::config::Config;
use crate::error::{Failure, Kind, OrFail, Result};
use crate::ui::{self, Style};
use ml_intern_toolchain::{Built, Options, Progress, build};
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};
use tokio_util::sync::CancellationToken;

/// How often the sources are looked at.
const LOOK: Duration = Duration::from_millis(200);
/// Files that are watched; a plugin has tens.
const FILES: usize = 20_000;
/// Folders within folders that are watched.
const DEPTH: usize = 16;
/// What builds write, and nobody else.
const SKIPPED: [&str; 10] = [
    "build",
    "Cargo.lock",
    "package-lock.json",
    "go.sum",
    "target",
    "node_modules",
    "__pycache__",
    ".venv",
    ".git",
    "wit_world",
];
/// Lines of a report: one screen, with room for a prompt.
const LINES: usize = 22;
/// Characters of a line.
const WIDTH: usize = 160;

/// Every file of the source, with what changes when it is written.
type Sources = Vec<(PathBuf, Option<SystemTime>, u64)>;

pub(super) async fn dev(config: &Config, arguments: &DevArgs) -> Result<u8> {
    let folder = config.workspace.join(&arguments.folder);
    let folder = folder.canonicalize().map_err(|error| {
        Failure::usage(format!(
            "cannot read {}: {error}",
            arguments.folder.display()
        ))
    })?;
    if !folder.join(AUTHORS).is_file() {
        return Err(
            Failure::usage(format!("{} holds no `{AUTHORS}`", folder.display()))
                .hint("`ml-intern plugin new NAME` writes the folder of a plugin"),
        );
    }
    let work = rounds(config, &folder, arguments);
    tokio::select! {
        never = work => match never {},
        pressed = tokio::signal::ctrl_c() => pressed.or_fail(Kind::Failed)?,
    }
    Ok(Kind::Interrupted as u8)
}

async fn rounds(config: &Config, folder: &Path, arguments: &DevArgs) -> std::convert::Infallible {
    loop {
        let before = sources(folder);
        say(&round(config, folder, arguments).await);
        // What was written while it was built is built next.
        settled(folder, &before).await;
    }
}

/// Waits until something is written, and until nothing more is.
async fn settled(folder: &Path, before: &Sources) {
    let mut last = sources(folder);
    while last == *before {
        tokio::time::sleep(LOOK).await;
        last = sources(folder);
    }
    loop {
        tokio::time::sleep(LOOK).await;
        let now = sources(folder);
        if now == last {
            return;
        }
        last = now;
    }
}

/// One build, and its cases.
async fn round(config: &Config, folder: &Path, arguments: &DevArgs) -> Vec<String> {
    let style = Style::stdout();
    let began = Instant::now();
    let options = Options {
        // What is not Unicode is no setting of a compiler.
        environment: std::env::vars_os()
            .filter_map(|(name, value)| name.into_string().ok().zip(value.into_string().ok()))
            .collect(),
        cancel: CancellationToken::new(),
        ..Options::default()
    };
    // Dropped with this future: what was started ends with it.
    let _end_with_the_round = options.cancel.clone().drop_guard();
    let built = Box::pin(build(folder, &options, |progress| {
        // A compiler's last words are in its error.
        if let Progress::Step(text) = progress {
            ui::progress(text);
        }
    }));
    match built.await {
        Ok(built) => {
            let mut lines = vec![built_line(&built, began.elapsed(), style)];
            lines.extend(tried(config, folder, arguments, style).await);
            lines
        }
        Err(error) => {
            let mut lines = vec![style.red("the build failed")];
            let words = error.to_string();
            lines.extend(words.lines().map(|line| ui::cut(&ui::clean(line), WIDTH)));
            if let ml_intern_toolchain::Error::ToolChain { ways, .. } = &error {
                lines.extend(ways.iter().map(|way| format!("hint: {way}")));
            }
            lines
        }
    }
}

fn built_line(built: &Built, took: Duration, style: Style) -> String {
    let took = ui::duration(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    let header = &built.inspected.manifest.plugin;
    let line = format!(
        "built {}@{} in {took}, {} bytes",
        header.id, header.version, built.bytes
    );
    style.bold(&line)
}

async fn tried(config: &Config, folder: &Path, arguments: &DevArgs, style: Style) -> Vec<String> {
    if arguments.cases.is_none() && !folder.join(test::CASES).is_file() {
        return vec![format!("no cases: {} is not there", test::CASES)];
    }
    let began = Instant::now();
    let wanted = TestArgs {
        plugin: folder.to_owned(),
        cases: arguments.cases.clone(),
        filter: arguments.filter.clone(),
        json: false,
        update: false,
    };
    match test::cases(config, &wanted).await {
        Ok(tried) => {
            let mut lines = test::sorted_lines(&tried, style);
            lines.push(test::sum(&tried, began.elapsed(), style));
            lines
        }
        Err(failure) => {
            let mut lines = vec![style.red("the cases could not be tried")];
            let text = ui::clean(&format!("{:#}", failure.error));
            lines.extend(text.lines().map(str::to_owned));
            lines.extend(failure.hints.iter().map(|hint| ui::clean(hint)));
            lines
        }
    }
}

/// Shows one screen, its first line and its end at least.
fn say(lines: &[String]) {
    let mut screen = String::new();
    if std::io::stdout().is_terminal() {
        // Clears the screen and what was scrolled away, and begins at its top.
        screen.push_str("\u{1b}[2J\u{1b}[3J\u{1b}[H");
    }
    let shown = |line: &String| {
        // The colours are ours; what comes from others was cleaned before it got them.
        line.lines().map(|line| line.to_owned()).collect::<Vec<_>>()
    };
    let lines: Vec<String> = lines.iter().flat_map(shown).collect();
    let middle = LINES.saturating_sub(2);
    for (number, line) in lines.iter().enumerate() {
        let last = number + 1 == lines.len();
        if number < middle || last {
            let _written = writeln!(screen, "{line}");
        } else if number == middle {
            let more = lines.len() - middle - 1;
            let _written = writeln!(screen, "… {more} more lines: `ml-intern plugin test`");
        }
    }
    screen.push_str("watching; Ctrl-C ends");
    ui::out(&screen);
}

/// The files of a source.
fn sources(folder: &Path) -> Sources {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else {
            continue;
        };
        for entry in entries.flatten() {
            if found.len() >= FILES {
                break;
            }
            let name = entry.file_name();
            let Ok(facts) = entry.metadata() else {
                continue;
            };
            let skipped = SKIPPED.iter().any(|skipped| name == *skipped);
            if facts.is_dir() && !skipped && depth < DEPTH {
                folders.push((entry.path(), depth + 1));
            } else if facts.is_file() && !skipped {
                found.push((entry.path(), facts.modified().ok(), facts.len()));
            }
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_build_writes_is_no_change_of_the_source() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path();
        std::fs::create_dir_all(folder.join("src/deep")).unwrap();
        std::fs::create_dir(folder.join("build")).unwrap();
        std::fs::write(folder.join("src/deep/a.rs"), "x").unwrap();
        let before = sources(folder);
        assert_eq!(before.len(), 1);
        std::fs::write(folder.join("build/a.wasm"), "x").unwrap();
        assert_eq!(sources(folder), before);
        std::fs::write(folder.join("src/deep/a.rs"), "xy").unwrap();
        assert_ne!(sources(folder), before);
    }
}
