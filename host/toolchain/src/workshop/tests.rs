use std::time::Instant;

use super::*;

const MANIFEST: &str = "[plugin]\nid = \"acme/x\"\nversion = \"0.1.0\"\ndescription = \"x\"\n\
                        license = \"Apache-2.0\"\nabi = \"0.2\"\n";

/// Runs one line of a shell in a new folder; the answer comes with the lines that were shown.
async fn shell(options: &Options, line: &str) -> (Result<String, Error>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let manifest = PluginManifest::parse("plugin.toml", MANIFEST).unwrap();
    let mut lines = Vec::new();
    let mut keep = |progress: Progress<'_>| match progress {
        Progress::Step(text) | Progress::Line(text) => lines.push(text.to_owned()),
    };
    let mut workshop = Workshop::new(folder.path(), &manifest, options, &mut keep).unwrap();
    let answer = workshop.run(Program::new("sh", ["-c", line])).await;
    (answer, lines)
}

#[tokio::test]
async fn lines_come_as_they_are_written_and_the_output_at_the_end() {
    let (answer, lines) = shell(&Options::default(), "echo one; echo two >&2").await;
    assert_eq!(answer.unwrap(), "one\n");
    let mut lines = lines;
    lines.sort();
    assert_eq!(lines, ["one", "two"]);
}

#[tokio::test]
async fn a_program_that_fails_is_quoted() {
    let (answer, _) = shell(&Options::default(), "echo no such type >&2; exit 3").await;
    let text = answer.unwrap_err().to_string();
    assert_eq!(text, "`sh` failed with exit code 3:\nno such type");
}

#[tokio::test]
async fn a_program_ends_with_its_time_or_when_cancelled() {
    let options = Options {
        time_limit: Duration::from_millis(100),
        ..Options::default()
    };
    let start = Instant::now();
    let (answer, _) = shell(&options, "sleep 30").await;
    assert!(matches!(answer, Err(Error::TimedOut { .. })), "{answer:?}");
    let options = Options::default();
    options.cancel.cancel();
    let (answer, _) = shell(&options, "sleep 30").await;
    assert!(matches!(answer, Err(Error::Cancelled)), "{answer:?}");
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_program_gets_the_environment_that_was_given_and_no_flags_for_the_host() {
    let options = Options {
        environment: [("A", "1"), ("RUSTFLAGS", "-g"), ("LD_PRELOAD", "x")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        ..Options::default()
    };
    let (answer, _) = shell(&options, "echo \"$A,$RUSTFLAGS,$LD_PRELOAD\"").await;
    assert_eq!(answer.unwrap(), "1,,\n");
}
