//! Compiling a component in a process of its own, under limits of its own.
//!
//! The compiler is code of this host, its input is a stranger's: a function of a few hundred
//! kilobytes can be made that takes the compiler minutes and gigabytes, and a mistake in the compiler
//! should end that one compilation. A thread cannot be stopped and has no memory of its own, so a
//! program that calls [`compile_for_parent`] does it, ended by the kernel where it takes too much.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, getpid, getppid, kill_process, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::engine::Instances;
use crate::fault::FaultCause;
use crate::load::MAX_COMPONENT;
use crate::outcome::shortened;

/// Memory of a compilation, in bytes. Guests of 15 to 20 MiB in JavaScript and Python take 400 MiB;
/// one function of 45 KB was seen to take this and more.
const MEMORY: u64 = 2 << 30;
/// Processor time of a compilation: this, and as much more for each MiB of the component. Guests in
/// Rust, Python and JavaScript take a tenth of it; one function of 700 KB was seen to take more.
const TIME: Duration = Duration::from_secs(20);
const TIME_PER_MIB: Duration = Duration::from_secs(4);
/// How much longer it may take by the clock on the wall, on a machine that has more to do.
const WALL: u32 = 4;
/// How often a compilation looks whether somebody still waits for it.
const ORPHANED: Duration = Duration::from_millis(200);
/// Compiled code is at most this many times as large as the component, and at most a GiB.
const MAX_ARTIFACT: u64 = 1 << 30;
/// What a failed compiler may have to say.
const MAX_WORDS: u64 = 64 << 10;

/// What a compilation of a component of so many bytes may take.
fn time_for(bytes: usize) -> Duration {
    let mib = u32::try_from(bytes >> 20).unwrap_or(u32::MAX);
    TIME.saturating_add(TIME_PER_MIB.saturating_mul(mib))
}

/// Compiles the component that comes by standard input, and writes the code to standard output:
/// what a process does that was started as [`crate::RuntimeConfig::compiler`], with the one argument
/// that it was given. Returns its exit code; words about a failure are on standard error.
pub fn compile_for_parent(instances: &str) -> i32 {
    match compile_stdin(instances) {
        Ok(()) => 0,
        Err(words) => {
            // Who does not listen has lost only words.
            std::io::stderr().write_all(words.as_bytes()).ok();
            1
        }
    }
}

fn compile_stdin(instances: &str) -> Result<(), String> {
    end_with_parent();
    let instances = Instances::named(instances).ok_or("unknown kind of instances")?;
    let mut component = Vec::new();
    let most = MAX_COMPONENT as u64 + 1;
    let read = std::io::stdin().take(most).read_to_end(&mut component);
    read.map_err(|error| error.to_string())?;
    limit_this_process(time_for(component.len())).map_err(|error| error.to_string())?;
    let engine = instances.engine().map_err(|error| format!("{error:#}"))?;
    let code = engine.precompile_component(&component);
    let code = code.map_err(|error| format!("{error:#}"))?;
    let mut out = std::io::stdout();
    let written = out.write_all(&code).and_then(|()| out.flush());
    written.map_err(|error| error.to_string())
}

/// Nobody waits for the code once the parent was killed. The kernel's own signal for that comes when the thread ends
/// that started this process, which may be long before.
fn end_with_parent() {
    let parent = getppid();
    std::thread::spawn(move || {
        while getppid() == parent {
            std::thread::sleep(ORPHANED);
        }
        kill_process(getpid(), Signal::KILL).ok();
    });
}

/// Nothing raises these again: the kernel ends the process that goes beyond them.
fn limit_this_process(time: Duration) -> std::io::Result<()> {
    let at_most = |most: u64, last: u64| Rlimit {
        current: Some(most),
        maximum: Some(last),
    };
    // Of writable memory: reserved address space, of which the engine takes much, costs nothing.
    setrlimit(Resource::Data, at_most(MEMORY, MEMORY))?;
    // The first limit sends a signal of its own, the last one that of everything.
    let seconds = time.as_secs();
    setrlimit(Resource::Cpu, at_most(seconds, seconds.saturating_add(10)))?;
    setrlimit(Resource::Core, at_most(0, 0))?;
    Ok(())
}

/// Has `component` compiled by `program`. Dropping the future ends the compilation.
pub(crate) async fn compile(
    program: &[OsString],
    instances: Instances,
    component: &[u8],
) -> Result<Vec<u8>, FaultCause> {
    let failed = |error: std::io::Error| {
        FaultCause::Host(format!("the compiler could not be started: {error}"))
    };
    let (name, arguments) = program
        .split_first()
        .ok_or_else(|| FaultCause::Host("no compiler is named".to_owned()))?;
    let mut child = Command::new(name)
        .args(arguments)
        .arg(instances.name())
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let (mut input, output, errors) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (mut code, mut words) = (Vec::new(), Vec::new());
    let talk = async {
        let send = async {
            if let Some(mut input) = input.take() {
                // A compiler that ended early says why by its exit.
                input.write_all(component).await.ok();
            }
        };
        let read_code = async {
            match output {
                Some(output) => output.take(MAX_ARTIFACT).read_to_end(&mut code).await,
                None => Ok(0),
            }
        };
        let read_words = async {
            match errors {
                Some(errors) => errors.take(MAX_WORDS).read_to_end(&mut words).await,
                None => Ok(0),
            }
        };
        let ((), read_code, read_words) = tokio::join!(send, read_code, read_words);
        read_code.and(read_words)?;
        child.wait().await
    };
    let time = time_for(component.len());
    let status = match tokio::time::timeout(time.saturating_mul(WALL), talk).await {
        Ok(status) => status.map_err(failed)?,
        Err(_) => return Err(FaultCause::CompileTime { limit: time }),
    };
    if status.success() {
        return Ok(code);
    }
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    Err(refusal(signal, &String::from_utf8_lossy(&words), time))
}

/// What it means that the compiler ended in this way.
fn refusal(signal: Option<i32>, words: &str, time: Duration) -> FaultCause {
    let memory = FaultCause::CompileMemory { limit: MEMORY };
    match signal {
        Some(signal) if signal == Signal::XCPU.as_raw() => FaultCause::CompileTime { limit: time },
        Some(_) if words.contains("memory allocation of") => memory,
        Some(signal) => {
            FaultCause::NotLoadable(format!("the compiler ended by signal {signal} over it"))
        }
        None if words.contains("Cannot allocate memory") => memory,
        None => FaultCause::NotLoadable(shortened(words)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_in_which_a_compiler_ends_are_told_apart() {
        let time = Duration::from_secs(20);
        let cases = [
            (Some(24), "", FaultCause::CompileTime { limit: time }),
            (
                Some(6),
                "memory allocation of 99 bytes failed",
                FaultCause::CompileMemory { limit: MEMORY },
            ),
            (
                None,
                "Cannot allocate memory (os error 12)",
                FaultCause::CompileMemory { limit: MEMORY },
            ),
            (
                None,
                "invalid import",
                FaultCause::NotLoadable("invalid import".to_owned()),
            ),
            (
                Some(11),
                "",
                FaultCause::NotLoadable("the compiler ended by signal 11 over it".to_owned()),
            ),
        ];
        for (signal, words, cause) in cases {
            assert_eq!(refusal(signal, words, time), cause);
        }
    }

    #[tokio::test]
    async fn a_program_that_is_no_compiler_is_the_hosts_fault_and_one_that_fails_the_components() {
        let with = async |program: &[&str]| {
            let program: Vec<OsString> = program.iter().map(Into::into).collect();
            compile(&program, Instances::Pooled, &[0; 1 << 20]).await
        };
        assert!(matches!(with(&[]).await, Err(FaultCause::Host(_))));
        assert!(matches!(
            with(&["/nowhere/compiler"]).await,
            Err(FaultCause::Host(_))
        ));
        let words = with(&["/bin/sh", "-c", "echo no >&2; exit 1"]).await;
        assert_eq!(words, Err(FaultCause::NotLoadable("no\n".to_owned())));
        let signal = with(&["/bin/sh", "-c", "kill -XCPU $$"]).await;
        assert!(matches!(signal, Err(FaultCause::CompileTime { .. })));
        assert_eq!(
            with(&["/bin/sh", "-c", "cat >/dev/null; printf code"]).await,
            Ok(b"code".to_vec())
        );
    }
}
