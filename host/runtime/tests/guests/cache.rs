//! The compile cache and kept descriptions.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A source that counts how often its bytes are read.
fn counted(bytes: Vec<u8>) -> (ComponentSource, Arc<AtomicUsize>) {
    let reads = Arc::new(AtomicUsize::new(0));
    let mut counted = source(bytes.clone());
    let count = reads.clone();
    counted.bytes = Arc::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(bytes.clone().into())
    });
    (counted, reads)
}

fn entries(folder: &std::path::Path) -> Vec<PathBuf> {
    let list = |path: PathBuf| {
        std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect::<Vec<_>>()
    };
    list(folder.join("cache/aot"))
        .into_iter()
        .flat_map(list)
        .collect()
}

#[tokio::test]
async fn bytes_are_read_and_compiled_once_for_all_processes() {
    let folder = tempfile::tempdir().unwrap();
    let (source, reads) = counted(Guest::default().component());
    for _ in 0..3 {
        let runtime = runtime_in(
            folder.path(),
            Some(Arc::new(|problem: &str| panic!("{problem}"))),
        );
        let (one, two) = (
            runtime.plugin(source.clone(), Setup::bare(Limits::default())),
            runtime.plugin(source.clone(), Setup::bare(Limits::default())),
        );
        let (first, second) = tokio::join!(call(&one), call(&two));
        first.unwrap();
        second.unwrap();
    }
    assert_eq!(reads.load(Ordering::SeqCst), 1);
    assert_eq!(entries(folder.path()).len(), 1);
}

#[tokio::test]
async fn case_66_a_changed_swapped_or_cut_entry_is_reported_and_compiled_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (source, reads) = counted(Guest::default().component());
    let other = runtime_in(folder.path(), None);
    call(&other.plugin(
        super::source(Guest::call("(unreachable)").component()),
        Setup::bare(Limits::default()),
    ))
    .await
    .unwrap_err();
    let foreign = std::fs::read(&entries(folder.path())[0]).unwrap();
    let reports = Arc::new(Mutex::new(Vec::new()));
    let run = |source: ComponentSource| {
        let kept = reports.clone();
        let runtime = runtime_in(
            folder.path(),
            Some(Arc::new(move |problem: &str| {
                kept.lock().unwrap().push(problem.to_owned())
            })),
        );
        async move {
            call(&runtime.plugin(source, Setup::bare(Limits::default())))
                .await
                .unwrap()
        }
    };
    run(source.clone()).await;
    let name = format!("{}.cwasm", source.digest.hex());
    let entry = entries(folder.path())
        .into_iter()
        .find(|path| path.ends_with(&name))
        .unwrap();
    let good = std::fs::read(&entry).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    for (count, bad) in [
        flipped,
        good[..good.len() / 2].to_vec(),
        foreign,
        Vec::new(),
    ]
    .into_iter()
    .enumerate()
    {
        std::fs::write(&entry, bad).unwrap();
        run(source.clone()).await;
        assert_eq!(reads.load(Ordering::SeqCst), count + 2);
        assert_eq!(reports.lock().unwrap().len(), count + 1);
    }
    run(source.clone()).await;
    assert_eq!(reads.load(Ordering::SeqCst), 5);
}

#[expect(
    unsafe_code,
    reason = "shows what the engine alone makes of a changed artifact, which is never run"
)]
#[cfg(target_arch = "x86_64")]
#[test]
fn case_66_the_engine_alone_takes_a_changed_byte() {
    let engine = format::bare();
    // A number of which the machine code holds all four bytes in a row.
    let marked = Guest::call("(i32.store (i32.const 128) (i32.const 0x5eed1234)) (i32.const 64)");
    let mut code = engine.precompile_component(&marked.component()).unwrap();
    let mark = 0x5eed_1234_u32.to_le_bytes();
    let at = code.windows(4).position(|bytes| bytes == mark).unwrap();
    code[at] ^= 1;
    // SAFETY: the code is never run.
    unsafe { wasmtime::component::Component::deserialize(&engine, &code) }.unwrap();
}

#[tokio::test]
async fn without_a_usable_cache_calls_still_work() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cache"), "in the way").unwrap();
    let reports = Arc::new(AtomicUsize::new(0));
    let count = reports.clone();
    let runtime = runtime_in(
        folder.path(),
        Some(Arc::new(move |_: &str| {
            count.fetch_add(1, Ordering::SeqCst);
        })),
    );
    call(&runtime.plugin(
        source(Guest::default().component()),
        Setup::bare(Limits::default()),
    ))
    .await
    .unwrap();
    assert!(reports.load(Ordering::SeqCst) > 0);
}

#[tokio::test]
async fn a_description_is_asked_for_once() {
    let folder = tempfile::tempdir().unwrap();
    let (source, reads) = counted(Guest::default().component());
    for _ in 0..3 {
        assert!(
            runtime_in(folder.path(), None)
                .describe(&source)
                .await
                .unwrap()
                .is_empty()
        );
    }
    assert_eq!(reads.load(Ordering::SeqCst), 1);
    // Without the code, the kept answer suffices.
    std::fs::remove_dir_all(folder.path().join("cache/aot")).unwrap();
    runtime_in(folder.path(), None)
        .describe(&source)
        .await
        .unwrap();
    assert_eq!(reads.load(Ordering::SeqCst), 1);
}

/// Runs in a process of its own, started below with a short address space.
#[tokio::test]
#[ignore = "started by `where_the_address_space_is_short_instances_are_made_on_demand`"]
async fn in_a_short_address_space() {
    let place = Place::new();
    let plugin = place.plugin(&Guest::default(), Limits::default());
    for _ in 0..100 {
        call(&plugin).await.unwrap();
    }
    let limits = Limits {
        memory_bytes: 4 << 20,
        ..Limits::default()
    };
    let greedy = place.plugin(
        &Guest::call("(drop (memory.grow (i32.const 1000))) (unreachable)"),
        limits,
    );
    assert!(matches!(
        cause(call(&greedy).await),
        FaultCause::Memory { .. }
    ));
}

#[test]
fn where_the_address_space_is_short_instances_are_made_on_demand() {
    let test = "cache::in_a_short_address_space";
    let status = std::process::Command::new("sh")
        .args([
            "-c",
            "ulimit -v 4000000 && exec \"$0\" --ignored --exact \"$1\" >/dev/null",
        ])
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .status()
        .unwrap();
    assert!(status.success());
}
