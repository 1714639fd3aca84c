use std::os::fd::AsRawFd as _;

use ml_intern_exec::{Ended, Isolation, Support};

use crate::bench::{Bench, check_support, finish, text};

/// Forks until it is told to stop, and says how often that was.
const BOMB: &str = "import os, time
count = 0
try:
    while count < 900:
        if os.fork() == 0: time.sleep(60)
        count += 1
except OSError: pass
print(count, flush=True)
time.sleep(30)";

#[tokio::test]
async fn a_fork_bomb_stops_growing_and_is_ended() {
    check_support().await;
    let bench = Bench::new();
    for (level, bound) in [(Isolation::Full, 320), (Isolation::None, 900)] {
        let mut command = bench.python(BOMB, level);
        command.limits.processes = 100;
        let outcome = finish(command).await;
        assert_eq!(outcome.ended, Ended::TooManyProcesses);
        assert_eq!(outcome.survivors, 0);
        // An ordinary user is stopped without isolation too, somewhere above.
        let count: usize = text(&outcome).parse().unwrap_or(900);
        let stopped = count <= bound;
        assert!(stopped, "{level:?} {count}");
        if level == Isolation::None && crate::bench::is_root() {
            assert_eq!(count, 900);
        }
    }
}

#[tokio::test]
async fn a_tree_has_no_more_memory_than_one_process_may() {
    check_support().await;
    if !Support::of_this_machine().await.groups {
        return;
    }
    let bench = Bench::new();
    let script = "import os
children = []
for _ in range(4):
    child = os.fork()
    if child == 0:
        block = bytearray(120 << 20)
        for i in range(0, len(block), 4096): block[i] = 1
        import time; time.sleep(1); os._exit(0)
    children.append(child)
print(sum(os.waitpid(child, 0)[1] == 0 for child in children))";
    for level in [Isolation::Full, Isolation::None] {
        let mut command = bench.python(script, level);
        command.limits.memory_bytes = 256 << 20;
        let done: usize = text(&finish(command).await).parse().unwrap();
        match level {
            Isolation::Full => assert!(done < 4, "{done}"),
            _ => assert_eq!(done, 4),
        }
    }
}

#[tokio::test]
async fn files_in_memory_are_bounded() {
    check_support().await;
    let bench = Bench::new();
    let mut command = bench.shell(
        "for place in /tmp /dev/shm; do head -c 100000000 /dev/zero > $place/big && echo fits; rm -f $place/big; done",
        Isolation::Full,
    );
    command.limits.memory_bytes = 128 << 20;
    assert_eq!(text(&finish(command).await), "");
}

#[tokio::test]
async fn no_core_file_is_written() {
    let bench = Bench::new();
    let own = "grep -v ml-intern";
    let said = bench
        .sh(&format!(
            "ulimit -c unlimited && echo raised; ls -A | {own}; true"
        ))
        .await;
    assert_eq!(said, "");
    let said = bench
        .sh(&format!("sh -c 'kill -SEGV $$'; ls -A | {own}; true"))
        .await;
    assert_eq!(said, "");
}

#[tokio::test]
async fn descriptors_of_the_host_do_not_come_along() {
    check_support().await;
    let bench = Bench::new();
    let file = std::fs::File::open(bench.home.join("token")).unwrap();
    // As a careless parent of the host would have left it.
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).unwrap();
    let script = "import os
open_ones = [n for n in range(3, 200) if os.path.exists(f'/proc/self/fd/{n}')]
print(open_ones)";
    let held = finish(bench.python(script, Isolation::Full)).await;
    assert_eq!(text(&held), "[]");
    assert!(file.as_raw_fd() > 2);
}
