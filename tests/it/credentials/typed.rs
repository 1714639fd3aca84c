//! A key that is typed at a terminal.

use std::fs::File;

use rustix::termios::{LocalModes, tcgetattr};

use super::{CANARY, stored};
use crate::support::ml_intern::{AtTerminal, Home};

const PROMPT: &str = "openai (not shown): ";

async fn asked(home: &Home) -> AtTerminal {
    let login = home.ml_intern(["login", "openai", "--store", "file"]);
    let terminal = login.at_terminal(80);
    terminal.wait_for(PROMPT).await;
    terminal
}

fn kept(home: &Home) -> String {
    std::fs::read_to_string(stored(home)).unwrap()
}

fn echoes(keyboard: &File) -> bool {
    let modes = tcgetattr(keyboard).unwrap().local_modes;
    modes.contains(LocalModes::ECHO | LocalModes::ICANON)
}

#[tokio::test]
async fn what_is_typed_is_not_shown() {
    let home = Home::new();
    let mut terminal = asked(&home).await;
    terminal.type_line(CANARY);
    let (code, written) = terminal.finish().await;
    assert_eq!(code, Some(0), "{written}");
    assert!(!written.contains("canary"), "{written:?}");
    assert_eq!(kept(&home).trim_end(), CANARY);
}

#[tokio::test]
async fn a_mistake_is_taken_back() {
    let home = Home::new();
    let mut terminal = asked(&home).await;
    // Backspace takes a character back, also one of several bytes; Ctrl-U all of them.
    terminal.type_line("wrong\u{15}sk-typed-é\u{7f}\u{7f}=0123x\u{8}");
    let (code, written) = terminal.finish().await;
    assert_eq!(code, Some(0), "{written}");
    assert_eq!(kept(&home), "sk-typed=0123\n");
}

#[tokio::test]
async fn who_gives_up_keeps_what_was_there() {
    let home = Home::new();
    super::logged_in(&home).await;
    let mut terminal = asked(&home).await;
    let keyboard = terminal.keyboard();
    assert!(!echoes(&keyboard));
    terminal.type_line("half of it\u{3}");
    let (code, written) = terminal.finish().await;
    assert_eq!(code, Some(130), "{written}");
    assert!(!written.contains("half"), "{written:?}");
    assert!(echoes(&keyboard), "the terminal shows again what is typed");
    assert_eq!(kept(&home).trim_end(), CANARY);
    // Nothing at all is no key.
    let mut terminal = asked(&home).await;
    terminal.type_end();
    let (code, _) = terminal.finish().await;
    assert_eq!(code, Some(2));
    assert_eq!(kept(&home).trim_end(), CANARY);
}
