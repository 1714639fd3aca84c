use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ml_intern_exec::{ExecError, Isolation, resolve, run, toolchains};
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, check_support, finish, text};

#[tokio::test]
async fn python_forks_shares_and_talks_to_itself() {
    check_support().await;
    let bench = Bench::new();
    let script = "
import asyncio, multiprocessing as mp, subprocess, threading
from multiprocessing import shared_memory
def square(x): return x * x
def put(queue): queue.put('queued')
if __name__ == '__main__':
    for method in ('fork', 'spawn', 'forkserver'):
        with mp.get_context(method).Pool(2) as pool: print(pool.map(square, [1, 2, 3]))
    queue = mp.Queue(); child = mp.Process(target=put, args=(queue,)); child.start()
    print(queue.get(timeout=20)); child.join()
    with mp.Manager() as manager: print(manager.dict(a=1).copy())
    memory = shared_memory.SharedMemory(create=True, size=100); memory.unlink(); memory.close()
    async def main():
        child = await asyncio.create_subprocess_exec('echo', 'async', stdout=subprocess.PIPE)
        print((await child.communicate())[0].decode().strip())
    asyncio.run(main())
    thread = threading.Thread(target=print, args=('thread',)); thread.start(); thread.join()
";
    std::fs::write(bench.workspace.join("work.py"), script).unwrap();
    let command = bench.command("/usr/bin/python3", &["work.py"], Isolation::Full);
    let outcome = finish(command).await;
    let expected = "[1, 4, 9]\n[1, 4, 9]\n[1, 4, 9]\nqueued\n{'a': 1}\nasync\nthread";
    assert_eq!(text(&outcome), expected, "{outcome:?}");
}

#[tokio::test]
async fn git_works() {
    let bench = Bench::new();
    let said = bench
        .sh("git init -q . && git config user.email a@b.test && git config user.name A && echo x > f && git add -A && git commit -q -m first && git log --format=%s && git ls-files")
        .await;
    assert_eq!(said, "first\nf");
}

#[tokio::test]
async fn a_virtual_environment_is_made_and_used() {
    check_support().await;
    let bench = Bench::new();
    let mut command = bench.shell(
        "/usr/bin/python3 -m venv --without-pip .venv && .venv/bin/python -c 'import sys; print(sys.prefix)'",
        Isolation::Full,
    );
    command.limits.wall = Duration::from_secs(120);
    let outcome = finish(command).await;
    assert_eq!(
        text(&outcome),
        bench.workspace.join(".venv").display().to_string()
    );
}

/// The user's own Python, wherever it lives on this machine.
#[tokio::test]
async fn programs_of_the_users_path_run() {
    check_support().await;
    let bench = Bench::new();
    let path: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .filter(|folder| folder.is_absolute() && folder.is_dir())
        .collect();
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let mut command = bench.command(
        "python3",
        &[
            "-c",
            "import sys, ssl, sqlite3, ctypes; print(sys.version_info[0])",
        ],
        Isolation::Full,
    );
    command.view.read = toolchains(&path, home.as_deref(), &command.view.write);
    command.view.home = home;
    command.path = path;
    let found = resolve("python3", &command.path).unwrap();
    let outcome = finish(command).await;
    assert_eq!(text(&outcome), "3", "{found:?} {outcome:?}");
}

#[tokio::test]
async fn a_file_without_an_interpreter_runs_in_a_shell() {
    check_support().await;
    let bench = Bench::new();
    let file = bench.workspace.join("script");
    std::fs::write(&file, "echo \"$1\"").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&file, mode).unwrap();
    let command = bench.command(file.to_str().unwrap(), &["given"], Isolation::Full);
    assert_eq!(text(&finish(command).await), "given");
}

#[tokio::test]
async fn a_program_that_is_not_seen_says_so() {
    check_support().await;
    let bench = Bench::new();
    let file = bench.home.join("tool");
    std::fs::copy("/bin/true", &file).unwrap();
    let command = bench.command(file.to_str().unwrap(), &[], Isolation::Full);
    let error = run(command, &CancellationToken::new(), |_, _| {})
        .await
        .unwrap_err();
    assert!(matches!(error, ExecError::Spawn { .. }), "{error}");
    let mut command = bench.shell("true", Isolation::Full);
    command.cwd = bench.home.clone();
    let error = run(command, &CancellationToken::new(), |_, _| {})
        .await
        .unwrap_err();
    assert!(error.to_string().contains("working directory"), "{error}");
}

#[tokio::test]
#[ignore = "a measurement, run by name"]
async fn start_overhead() {
    check_support().await;
    let bench = Bench::new();
    let room = std::sync::Arc::new(ml_intern_exec::Room::open(None).await.unwrap());
    let mut lines = String::new();
    for (name, level, shared) in [
        ("none", Isolation::None, false),
        ("landlock", Isolation::Landlock, false),
        ("full", Isolation::Full, false),
        ("full, shared room", Isolation::Full, true),
    ] {
        let mut all = Vec::new();
        for _ in 0..200 {
            let mut command = bench.command("/bin/true", &[], level);
            command.keep_children = true;
            if shared {
                command.room = Some(room.clone());
            }
            let started = Instant::now();
            assert_eq!(finish(command).await.exit_code, Some(0));
            all.push(started.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        all.sort_unstable();
        lines += &format!("{name}: median {:?} p95 {:?}\n", all[100], all[190]);
    }
    std::fs::write(Path::new("/tmp/ml-intern-start.txt"), lines).unwrap();
}
