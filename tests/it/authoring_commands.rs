use crate::support::{
    guests::{guest, guest_manifest, with_manifest},
    ml_intern::{Finished, Home},
};

mod cases;
mod dev;
mod inspect;
mod reload;
mod run;

/// A home whose workspace is the folder of the guest `naughty`, with these cases.
fn authors(cases: &str) -> Home {
    let home = Home::new();
    home.write("plugin.toml", guest_manifest("naughty"));
    home.write("build/naughty.wasm", guest("naughty"));
    home.write("cases.toml", cases);
    home
}

async fn plugin(home: &Home, args: &[&str]) -> Finished {
    home.ml_intern([&["plugin"], args].concat()).run().await
}

/// What was measured, and what changes with every build, in the place of which a word stands.
fn steady(text: &str) -> String {
    let mut steady = String::new();
    for line in text.lines() {
        let line = line.trim_end();
        let line = match line.rsplit_once(" (") {
            Some((before, time)) if time.ends_with(" ms)") || time.ends_with(" s)") => {
                format!("{before} (TIME)")
            }
            _ => line.to_owned(),
        };
        let line = match line.split_once(" in ") {
            Some((before, _)) if before.ends_with("passed") || before.ends_with("failed") => {
                format!("{before} in TIME")
            }
            _ => line,
        };
        let line = match line.find('#') {
            Some(at) if line[at + 1..].len() >= 12 => {
                format!("{}#DIGEST{}", &line[..at], &line[at + 13..])
            }
            _ => line,
        };
        steady += &line;
        steady.push('\n');
    }
    steady
}
