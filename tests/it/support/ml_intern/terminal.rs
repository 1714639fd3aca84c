//! A program at a terminal of its own: the three standard streams are a pseudo-terminal, and
//! the test sits at its other end.
//!
//! The terminal is not the program's controlling one, so Ctrl-C is no signal here.

use std::{
    fs::File,
    io::Write,
    time::{Duration, Instant},
};

use rustix::{
    fs::{Mode, OFlags},
    process::{Pid, Signal, kill_process_group},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use tokio::{process::Child, time::timeout_at};

use super::{Program, capture::Capture};

impl Program {
    /// Starts it at a terminal that is `columns` wide.
    pub(crate) fn at_terminal(mut self, columns: u16) -> AtTerminal {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let size = Winsize {
            ws_row: 50,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&ours, size).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let theirs = || File::from(rustix::fs::open(&*name, flags, Mode::empty()).unwrap());
        self.command
            .stdin(theirs())
            .stdout(theirs())
            .stderr(theirs());
        let child = self.command.spawn().unwrap();
        let keyboard = File::from(ours);
        let (mut pump, screen) = std::os::unix::net::UnixStream::pair().unwrap();
        screen.set_nonblocking(true).unwrap();
        let screen = tokio::net::UnixStream::from_std(screen).unwrap();
        let mut written = keyboard.try_clone().unwrap();
        // Ends with the last program that has the terminal open, which is an error of the read.
        std::thread::spawn(move || std::io::copy(&mut written, &mut pump).unwrap_or_default());
        AtTerminal {
            child,
            keyboard,
            screen: Capture::start(screen),
            deadline: Instant::now() + self.life,
        }
    }
}

/// A program at its terminal; killed with its process group when dropped.
pub(crate) struct AtTerminal {
    child: Child,
    keyboard: File,
    screen: Capture,
    deadline: Instant,
}

impl AtTerminal {
    /// The test's end of the terminal, whose modes are those of the program's.
    pub(crate) fn keyboard(&self) -> File {
        self.keyboard.try_clone().unwrap()
    }

    /// Types a line and Enter.
    pub(crate) fn type_line(&mut self, line: &str) {
        self.keyboard
            .write_all(format!("{line}\n").as_bytes())
            .unwrap();
    }

    /// Types the character that ends the input.
    pub(crate) fn type_end(&mut self) {
        self.keyboard.write_all(b"\x04").unwrap();
    }

    /// All that was written to the terminal so far, with what the terminal echoed.
    pub(crate) fn written(&self) -> String {
        self.screen.text()
    }

    /// Waits until `wanted` accepts all that was written so far, and returns it.
    pub(crate) async fn wait_until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        match timeout_at(self.deadline.into(), self.screen.wait_for(wanted)).await {
            Ok(Some(text)) => text,
            Ok(None) => panic!("it ended before {what}\n{}", self.written()),
            Err(_) => panic!("no {what} in time\n{}", self.written()),
        }
    }

    /// Waits until `text` was written.
    pub(crate) async fn wait_for(&self, text: &str) -> String {
        self.wait_until(text, |all| all.contains(text)).await
    }

    /// Waits for its end; the exit code, and all that was written.
    pub(crate) async fn finish(mut self) -> (Option<i32>, String) {
        let Ok(status) = timeout_at(self.deadline.into(), self.child.wait()).await else {
            panic!("still running\n{}", self.written());
        };
        // What it started may keep the terminal open; what it wrote itself is there soon.
        let last = tokio::time::timeout(Duration::from_secs(5), self.screen.ended()).await;
        assert!(
            last.is_ok(),
            "its terminal is still open\n{}",
            self.written()
        );
        (status.unwrap().code(), self.written())
    }
}

impl Drop for AtTerminal {
    fn drop(&mut self) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok());
        // The group is gone already, or this is the second signal: both are fine.
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            kill_process_group(pid, Signal::KILL).unwrap_or_default();
        }
    }
}
