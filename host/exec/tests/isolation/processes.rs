use std::time::Duration;

use ml_intern_exec::{Ended, Isolation, Outcome, Signal, Tree, random_hex};

use crate::bench::{Bench, check_support, finish, text};

/// The environment of every process that shows it, and the command line.
const LOOK: &str = "
import glob
found = 'reached not'
for name in ('environ', 'cmdline'):
    for path in glob.glob('/proc/[0-9]*/' + name):
        try: content = open(path, 'rb').read()
        except OSError: continue
        if WORD in content and b'WORD' not in content: found = 'reached'
print(found)";

#[tokio::test]
async fn other_processes_and_their_environment_are_not_seen() {
    let bench = Bench::new();
    // This process: tests are started by their path.
    let name = std::env::args().next().unwrap();
    bench
        .attack(&LOOK.replace("WORD in", &format!("b{name:?} in")))
        .await;
    // A variable of this process; the program's own are others.
    let (variable, value) = std::env::vars()
        .find(|(name, value)| name.starts_with("CARGO_") && value.len() > 3)
        .unwrap_or_else(|| ("HOME".into(), std::env::var("HOME").unwrap()));
    let variable = format!("b{:?} in", format!("{variable}={value}"));
    bench.attack(&LOOK.replace("WORD in", &variable)).await;
}

#[tokio::test]
async fn the_first_process_of_the_namespace_tells_nothing() {
    let bench = Bench::new();
    let said = bench
        .sh("tr -d '\\0' < /proc/1/cmdline; cat /proc/1/environ 2> /dev/null | tr -d '\\0'; cat /proc/1/mem 2> /dev/null | head -c 1; readlink /proc/1/fd/* /proc/1/exe /proc/1/cwd; ls /proc/1/root/ 2> /dev/null; echo end")
        .await;
    assert_eq!(said, "end");
}

#[tokio::test]
async fn a_process_of_the_host_cannot_be_signalled_or_traced() {
    let bench = Bench::new();
    let mut victim = std::process::Command::new("sleep")
        .arg("100")
        .spawn()
        .unwrap();
    let id = victim.id();
    bench
        .attack(&format!("import os; os.kill({id}, 0); print('reached')"))
        .await;
    let trace = "import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
if libc.ptrace(0, 0, 0, 0) != 0: raise OSError(ctypes.get_errno(), 'trace')
print('reached')";
    bench.attack(trace).await;
    let read = "import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
a, b = ctypes.create_string_buffer(b'x'), ctypes.create_string_buffer(1)
class V(ctypes.Structure): _fields_ = [('p', ctypes.c_void_p), ('n', ctypes.c_size_t)]
x, y = V(ctypes.addressof(a), 1), V(ctypes.addressof(b), 1)
if libc.process_vm_readv(os.getpid(), ctypes.byref(y), 1, ctypes.byref(x), 1, 0) != 1: raise OSError(ctypes.get_errno(), 'read')
print('reached')";
    bench.attack(read).await;
    victim.kill().unwrap();
    victim.wait().unwrap();
}

/// Calls by their number; what the kernel says to senseless arguments tells whether it got so
/// far as to look at them.
const CALL: &str = "
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
libc.syscall(*ARGUMENTS)
errno = ctypes.get_errno()
print('reached' if errno != REFUSED else 'reached not')";

#[cfg(target_arch = "x86_64")]
#[tokio::test]
async fn calls_into_rarely_used_parts_of_the_kernel_are_refused() {
    let bench = Bench::new();
    let call = |arguments: &str, refused: i32| {
        CALL.replace("ARGUMENTS", arguments)
            .replace("REFUSED", &refused.to_string())
    };
    // mount of nothing, bpf, add_key, io_uring_setup, open_tree, perf_event_open
    for arguments in [
        "(165, 0, b'/no/such', b'tmpfs', 0, 0)",
        "(321, 99, 0, 0)",
        "(248, 0, 0, 0, 0, 0)",
        "(425, 0, 0)",
        "(428, -1, b'/no/such', 0)",
        "(298, 0, 0, 0, -1, 0)",
    ] {
        if crate::bench::is_root() {
            bench.attack(&call(arguments, 1)).await;
        } else {
            bench.held(&call(arguments, 1)).await;
        }
    }
    // clone3: told to be unknown, so that the C library takes the one that can be looked at.
    bench.attack(&call("(435, 0, 0)", 38)).await;
}

#[cfg(target_arch = "x86_64")]
#[tokio::test]
async fn calls_with_the_numbers_of_another_architecture_kill() {
    check_support().await;
    let bench = Bench::new();
    let x32 = "import ctypes; ctypes.CDLL(None).syscall(0x40000000 + 39); print('went on')";
    let free = finish(bench.python(x32, Isolation::None)).await;
    assert_eq!(text(&free), "went on");
    let held = finish(bench.python(x32, Isolation::Full)).await;
    assert_eq!(held.signal, Some(31), "{held:?}");
}

#[tokio::test]
async fn namespaces_cannot_be_made_within() {
    let bench = Bench::new();
    let script = "import subprocess
print('reached' if subprocess.run(['unshare', '-Ur', 'true']).returncode == 0 else 'reached not')";
    bench.attack(script).await;
    // The same by the other call: CLONE_NEWUSER with SIGCHLD.
    let clone = "import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
child = libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0)
if child < 0: raise OSError(ctypes.get_errno(), 'clone')
if child == 0: os._exit(0)
os.waitpid(child, 0); print('reached')";
    if cfg!(target_arch = "x86_64") {
        bench.attack(clone).await;
    }
}

#[tokio::test]
async fn there_are_no_privileges_and_none_to_gain() {
    let bench = Bench::new();
    let status = bench
        .sh("grep -E '^(NoNewPrivs|Seccomp|Cap...):' /proc/self/status")
        .await;
    for line in status.lines() {
        let (name, value) = line.split_once(":\t").unwrap();
        let expected = match name {
            "NoNewPrivs" => "1",
            "Seccomp" => "2",
            _ => "0000000000000000",
        };
        assert_eq!(value, expected, "{name}");
    }
    assert_eq!(status.lines().count(), 7, "{status}");
    // A file that would make its user another one.
    let script = "import os
os.chmod(PATH, 0o4755)
print('reached' if os.statvfs('.').f_flag & os.ST_NOSUID == 0 else 'reached not')";
    std::fs::copy("/usr/bin/id", bench.workspace.join("id")).unwrap();
    bench.held(&script.replace("PATH", "'id'")).await;
}

/// Forks twice, leaves its session, and forgets its mark: nobody's child, and in nobody's group.
fn escape(name: &str) -> String {
    format!(
        "import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execve('/bin/sleep', ['sleep', '{name}'], {{}})
    os._exit(0)
os.wait(); time.sleep(0.3); open('ready', 'w').close(); time.sleep(60)"
    )
}

/// Living processes whose command line has this word.
fn running(word: &str) -> Vec<rustix::process::Pid> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let named = line
            .split(|byte| *byte == 0)
            .any(|part| part == word.as_bytes());
        let id = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        if let (true, Some(id)) = (named, id.and_then(rustix::process::Pid::from_raw)) {
            found.push(id);
        }
    }
    found
}

#[tokio::test]
async fn an_orphan_that_hides_ends_with_the_rest() {
    check_support().await;
    let bench = Bench::new();
    for level in [Isolation::Full, Isolation::None] {
        let name = format!(
            "300.{}",
            u32::from_str_radix(&random_hex(3).unwrap(), 16).unwrap()
        );
        let mut command = bench.python(&escape(&name), level);
        command.limits.wall = Duration::from_secs(3);
        let outcome = finish(command).await;
        assert_eq!(outcome.ended, Ended::TimedOut);
        assert!(bench.workspace.join("ready").exists(), "{outcome:?}");
        let left = running(&name);
        assert_eq!(
            left.len(),
            usize::from(level == Isolation::None),
            "{level:?}"
        );
        for id in left {
            rustix::process::kill_process(id, Signal::KILL).unwrap();
        }
        std::fs::remove_file(bench.workspace.join("ready")).unwrap();
    }
}

#[test]
fn background_children_end_with_the_host() {
    let bench = Bench::new();
    let name = format!(
        "301.{}",
        u32::from_str_radix(&random_hex(3).unwrap(), 16).unwrap()
    );
    let start = |runtime: &tokio::runtime::Runtime| -> Outcome {
        let mut command = bench.shell(&format!("nohup sleep {name} > log 2>&1 &"), Isolation::Full);
        command.keep_children = true;
        runtime.block_on(async {
            check_support().await;
            let outcome = finish(command).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            outcome
        })
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    assert_eq!(start(&runtime).exit_code, Some(0));
    assert_eq!(running(&name).len(), 1);
    drop(runtime);
    let until = std::time::Instant::now() + Duration::from_secs(5);
    while !running(&name).is_empty() {
        assert!(std::time::Instant::now() < until, "it lives on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The other half of the next test: a host that starts something and is killed.
#[tokio::test]
#[ignore = "the host process of another test"]
async fn host_entry() {
    let name = std::env::args().next_back().unwrap();
    let bench = Bench::new();
    let mut command = bench.shell(&format!("sleep {name} & sleep 0.1"), Isolation::Full);
    command.keep_children = true;
    finish(command).await;
    rustix::process::kill_process(rustix::process::getpid(), Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_killed_host_takes_everything_with_it() {
    check_support().await;
    let name = format!(
        "302.{}",
        u32::from_str_radix(&random_hex(3).unwrap(), 16).unwrap()
    );
    let mut host = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "processes::host_entry", &name])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let host_id = host.id().unwrap();
    let sleeping = || {
        running(&name)
            .into_iter()
            .filter(|id| id.as_raw_pid().cast_unsigned() != host_id)
            .count()
    };
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while sleeping() == 0 && host.try_wait().unwrap().is_none() {
        assert!(std::time::Instant::now() < until, "it never ran");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(!host.wait().await.unwrap().success());
    let until = std::time::Instant::now() + Duration::from_secs(5);
    while sleeping() > 0 {
        assert!(std::time::Instant::now() < until, "it outlived its host");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The mark finds nothing either.
    assert_eq!(Tree::marked(name.replace('.', "-")).signal(Signal::CONT), 0);
}
