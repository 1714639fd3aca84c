//! Secrets that the host knows, and the one way to type one.

use ml_intern_agent::redaction::Rules;
use ml_intern_trace::SecretRules;
use rustix::termios::{InputModes, LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::{PoisonError, RwLock};
use zeroize::Zeroizing;

/// What nothing that is printed may hold.
static KEPT: RwLock<Option<SecretRules>> = RwLock::new(None);

/// From now on these are replaced in everything that is printed.
pub(crate) fn keep_secret(rules: SecretRules) {
    *KEPT.write().unwrap_or_else(PoisonError::into_inner) = Some(rules);
}

/// The text without the secrets that the host knows.
pub(super) fn known(text: &str) -> Cow<'_, str> {
    match &*KEPT.read().unwrap_or_else(PoisonError::into_inner) {
        Some(rules) => rules.clean(text, Rules::Known),
        None => Cow::Borrowed(text),
    }
}

/// How a secret came in.
pub(crate) enum Typed {
    Line(Zeroizing<Vec<u8>>),
    /// Ctrl-C.
    Interrupted,
}

/// Reads at most `most` bytes and one more: a line from the terminal, which does not show it, or all of standard input
/// where that is none.
pub(crate) fn read_secret(prompt: &str, most: usize) -> io::Result<Typed> {
    // Read without the buffer of the standard library, which nobody overwrites.
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 1));
    if !io::stdin().is_terminal() {
        let mut byte = Zeroizing::new([0; 1]);
        while bytes.len() <= most && read_byte(&mut byte)? {
            bytes.push(byte[0]);
        }
        return Ok(Typed::Line(bytes));
    }
    let _quiet = Quiet::start()?;
    let mut terminal = io::stderr().lock();
    terminal.write_all(prompt.as_bytes())?;
    terminal.flush()?;
    let mut byte = Zeroizing::new([0; 1]);
    let mut typed = Typed::Interrupted;
    while read_byte(&mut byte)? {
        match byte[0] {
            b'\r' | b'\n' | 0x04 => {
                typed = Typed::Line(bytes);
                break;
            }
            0x03 => break,
            // Backspace, and the end of the line taken back.
            0x08 | 0x7f => drop_character(&mut bytes),
            0x15 => bytes.clear(),
            other if bytes.len() <= most => bytes.push(other),
            _ => {}
        }
    }
    terminal.write_all(b"\n")?;
    Ok(typed)
}

/// Whether there was one.
fn read_byte(byte: &mut [u8; 1]) -> io::Result<bool> {
    loop {
        match rustix::io::read(io::stdin(), &mut *byte) {
            Ok(count) => return Ok(count == 1),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn drop_character(bytes: &mut Vec<u8>) {
    while bytes.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
}

/// A terminal that shows nothing of what is typed. Ctrl-C comes as a character, so that the terminal is as before when
/// the program ends.
struct Quiet(Termios);

impl Quiet {
    fn start() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes -=
            LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG | LocalModes::IEXTEN;
        quiet.input_modes -= InputModes::IXON;
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _gone = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
