//! Ten thousand hostile calls leave the host as it was.

use super::*;

/// The resident memory of this process in bytes, and its open descriptors.
fn used() -> (u64, usize) {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
    (pages * 4096, descriptors)
}

/// Every way in which a call ends before its time.
fn attacks(place: &Place) -> Vec<Plugin> {
    let limits = Limits {
        memory_bytes: 4 << 20,
        concurrent: 8,
        ..short(20, 5000)
    };
    let flood = "(loop $again (call $write (i32.const 0) (i32.const 0) (i32.const 4096) (i32.const 0) (i32.const 0) (i32.const 0)) (br $again)) (unreachable)";
    let wild = "(call $write (i32.const 0) (i32.const -8) (i32.const 4096) (i32.const 0) (i32.const 0) (i32.const 0)) (unreachable)";
    let with_log = |body: &str| Guest {
        module: limits::LOG.to_owned(),
        ..Guest::call(body)
    };
    let guests = [
        Guest::call("(unreachable)"),
        Guest::call("(drop (memory.grow (i32.const 1000))) (unreachable)"),
        Guest::call("(i32.const -4)"),
        Guest {
            pages: 100,
            ..Guest::default()
        },
        with_log(wild),
        grants::runs_git(),
        Guest::default(),
        // By far the slowest, so they have the fewest turns below.
        with_log(flood),
        Guest::call("(loop $again (br $again)) (unreachable)"),
    ];
    let plugin = |guest: &Guest| {
        let setup = Setup {
            policy: policy(grants::REQUEST, "{}"),
            ..Setup::bare(limits.clone())
        };
        place.runtime.plugin(source(guest.component()), setup)
    };
    guests.iter().map(plugin).collect()
}

/// Makes `count` calls, eight at a time. Some are cancelled while they run.
async fn churn(attacks: &[Plugin], count: usize) {
    let (slow, quick) = (&attacks[7..], &attacks[..7]);
    let next = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let workers = (0..8).map(|_| {
        let (slow, quick, next) = (slow.to_vec(), quick.to_vec(), next.clone());
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                if number >= count {
                    return;
                }
                let plugin = match number % 100 {
                    0 => &slow[number / 100 % slow.len()],
                    _ => &quick[number % quick.len()],
                };
                let cancel = CancellationToken::new();
                if number % 100 == 0 && number % 300 == 0 {
                    let cancel = cancel.clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                        cancel.cancel();
                    });
                }
                let observer = Arc::new(Unobserved);
                let ended = plugin.call_tool("x", "{}", context(), observer, &cancel);
                drop(ended.await);
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
}

/// Runs in a process of its own, started below, where no other test opens or keeps anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by `ten_thousand_hostile_calls_leave_memory_and_descriptors_as_they_were`"]
async fn in_a_process_of_its_own() {
    let place = Place::new();
    let attacks = attacks(&place);
    for (attack, name) in attacks.iter().zip(0..) {
        let ended = call(attack).await;
        assert_eq!(ended.is_ok(), name == 6, "{name}: {ended:?}");
    }
    churn(&attacks, 2000).await;
    let (memory, descriptors) = used();
    churn(&attacks, 10_000).await;
    let (later_memory, later_descriptors) = used();
    place.check_neighbour().await;
    assert_eq!(later_descriptors, descriptors);
    // A KiB lost with each call would be ten MiB, a lost instance of 64 KiB 640.
    let grown = later_memory.saturating_sub(memory);
    assert!(grown < 8 << 20, "{memory} bytes grew by {grown}");
}

#[test]
fn ten_thousand_hostile_calls_leave_memory_and_descriptors_as_they_were() {
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "churn::in_a_process_of_its_own",
            "--nocapture",
        ])
        .status()
        .unwrap();
    assert!(status.success());
}
