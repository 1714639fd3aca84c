//! Colours, where the terminal has them and the user wants them.

use crate::args::Color;
use std::io::IsTerminal;
use std::sync::OnceLock;

static CHOICE: OnceLock<Color> = OnceLock::new();

/// Called once, with what the user asked for.
pub(crate) fn set_color(choice: Color) {
    // A second call would be a second command line.
    let _first_wins = CHOICE.set(choice);
}

/// How to mark text for one stream.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    on: bool,
}

impl Style {
    pub(crate) fn stderr() -> Self {
        Self::new(std::io::stderr().is_terminal())
    }

    pub(crate) fn stdout() -> Self {
        Self::new(std::io::stdout().is_terminal())
    }

    /// No marks at all.
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self { on: false }
    }

    fn new(terminal: bool) -> Self {
        // https://no-color.org: any non-empty value means no colour.
        let unwanted = || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let on = match CHOICE.get().copied().unwrap_or(Color::Auto) {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !unwanted() && !dumb(),
        };
        Self { on }
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.mark("31", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.mark("32", text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.mark("33", text)
    }

    pub(crate) fn cyan(self, text: &str) -> String {
        self.mark("36", text)
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.mark("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.mark("2", text)
    }

    fn mark(self, code: &str, text: &str) -> String {
        if self.on {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}
