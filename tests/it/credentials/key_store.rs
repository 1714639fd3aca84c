//! The key store of a Linux desktop: gnome-keyring on a bus of its own, read and written by libsecret's
//! own tool too.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use super::{CANARY, canary, command, status, stored};
use crate::support::ml_intern::{Finished, Home, Running};

/// What the host waits for an answer, and what a busy machine adds.
const PATIENCE: Duration = Duration::from_secs(2 + 8);

/// A bus with a key store on it.
struct Desktop {
    home: Home,
    _bus: Running,
    store: Running,
}

impl Desktop {
    async fn start() -> Self {
        let home = Home::new();
        let address = format!("unix:path={}", bus(&home).display());
        home.set("DBUS_SESSION_BUS_ADDRESS", &address);
        let address = format!("--address={address}");
        let args = ["--session", "--nofork", "--nopidfile", &address];
        let bus_daemon = home
            .program(Path::new("/usr/bin/dbus-daemon"), args)
            .start();
        wait(|| bus(&home).exists()).await;
        let store = keyring(&home, Some("password"));
        let desktop = Self {
            home,
            _bus: bus_daemon,
            store,
        };
        // It is on the bus before it is unlocked: ready is what takes a value.
        let mut last = String::new();
        for _ in 0..100 {
            let stored = desktop.secret_tool("store", "probe").await;
            if stored.code() == Some(0) {
                desktop.secret_tool("clear", "").await;
                return desktop;
            }
            last = stored.stderr;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{last}");
    }

    async fn secret_tool(&self, verb: &str, input: &str) -> Finished {
        let what = ["application", "ml-intern", "credential", "openai"];
        let label = ["--label=ml-intern: openai"]
            .into_iter()
            .filter(|_| verb == "store");
        let args = std::iter::once(verb).chain(label).chain(what);
        let tool = self.home.program(Path::new("/usr/bin/secret-tool"), args);
        tool.stdin(input).run().await
    }
}

fn bus(home: &Home) -> PathBuf {
    home.path().join("bus")
}

fn keyring(home: &Home, password: Option<&str>) -> Running {
    let args = ["--foreground", "--components=secrets"];
    let unlock = password.map(|_| "--unlock");
    let daemon = home.program(
        Path::new("/usr/bin/gnome-keyring-daemon"),
        args.into_iter().chain(unlock),
    );
    match password {
        Some(password) => daemon.stdin(password).start(),
        None => daemon.start(),
    }
}

async fn wait(done: impl Fn() -> bool) {
    for _ in 0..200 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it did not start");
}

async fn login(home: &Home, value: &str, more: &[&str]) -> Finished {
    let args = ["login", "openai"].into_iter().chain(more.iter().copied());
    home.ml_intern(args).stdin(value).run().await
}

#[tokio::test]
async fn a_key_is_kept_where_the_desktop_keeps_them() {
    let desktop = Desktop::start().await;
    let home = &desktop.home;
    let done = login(home, CANARY, &[]).await;
    done.assert_code(0);
    assert!(done.stdout.contains("key store"), "{}", done.stdout);
    assert_eq!(desktop.secret_tool("lookup", "").await.stdout, CANARY);
    let shown = status(home).await;
    assert_eq!(
        (&shown["from"], &shown["there"]),
        (&"key store".into(), &true.into())
    );
    // On the disk it is encrypted.
    assert!(canary::holding(home).await.is_empty());

    // What another program stores there is the key from then on.
    desktop
        .secret_tool("store", "sk-of-another-program")
        .await
        .assert_code(0);
    assert_eq!(status(home).await["there"], true);
    login(home, CANARY, &["--store", "keyring"])
        .await
        .assert_code(0);
    assert_eq!(desktop.secret_tool("lookup", "").await.stdout, CANARY);

    // A file instead: nothing is left in the store.
    login(home, CANARY, &["--store", "file"])
        .await
        .assert_code(0);
    assert_eq!(desktop.secret_tool("lookup", "").await.code(), Some(1));
    login(home, CANARY, &["--store", "keyring"])
        .await
        .assert_code(0);
    assert!(!stored(home).exists());
    command(home, &["logout", "openai"]).await.assert_code(0);
    assert_eq!(desktop.secret_tool("lookup", "").await.code(), Some(1));
    assert_eq!(status(home).await["there"], false);
}

#[tokio::test]
async fn a_locked_store_is_said_to_be_locked_and_never_waited_for() {
    let mut desktop = Desktop::start().await;
    login(&desktop.home, CANARY, &["--store", "keyring"])
        .await
        .assert_code(0);
    // As after a new login without a password.
    desktop.store.signal(Signal::TERM);
    desktop.store = keyring(&desktop.home, None);
    let home = &desktop.home;
    let mut problem = String::new();
    for _ in 0..100 {
        problem = status(home).await["problem"].to_string();
        if problem.contains("locked") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(problem.contains("it is locked"), "{problem}");
    let run = command(home, &["run", "-m", "openai/x", "go"]).await;
    run.assert_code(3);
    assert!(
        run.stderr.contains("it is locked") && run.stderr.contains("unlock it"),
        "{}",
        run.stderr
    );
    assert!(run.elapsed < PATIENCE, "{:?}", run.elapsed);
    let done = login(home, CANARY, &["--store", "keyring"]).await;
    done.assert_code(3);
    assert!(done.stderr.contains("--store file"), "{}", done.stderr);
    assert!(!done.stderr.contains(CANARY) && !stored(home).exists());
    // Who did not say where gets a file.
    let done = login(home, CANARY, &[]).await;
    done.assert_code(0);
    assert!(done.elapsed < PATIENCE, "{:?}", done.elapsed);
    assert!(
        done.stdout.contains(&stored(home).display().to_string()),
        "{}",
        done.stdout
    );
    assert_eq!(status(home).await["there"], true);
}

#[tokio::test]
async fn a_bus_that_never_answers_costs_two_seconds() {
    let home = Home::new();
    let _silent = UnixListener::bind(bus(&home)).unwrap();
    home.set(
        "DBUS_SESSION_BUS_ADDRESS",
        format!("unix:path={}", bus(&home).display()),
    );
    let done = login(&home, CANARY, &["--store", "keyring"]).await;
    done.assert_code(3);
    assert!(
        done.stderr.contains("nothing came within 2 s"),
        "{}",
        done.stderr
    );
    assert!(done.elapsed < PATIENCE, "{:?}", done.elapsed);
    let done = login(&home, CANARY, &[]).await;
    done.assert_code(0);
    assert!(
        done.elapsed < PATIENCE && stored(&home).exists(),
        "{:?}",
        done.elapsed
    );

    // One that is kept there, and cannot be had: the run says so instead of going on without.
    std::fs::remove_file(stored(&home)).unwrap();
    home.write(
        "../home/.config/ml-intern/credentials.toml",
        "[openai]\nstore = \"keyring\"\n",
    );
    let done = command(&home, &["run", "-m", "openai/x", "go"]).await;
    done.assert_code(3);
    assert!(
        done.stderr.contains("the key store of this system"),
        "{}",
        done.stderr
    );
    assert!(done.elapsed < PATIENCE, "{:?}", done.elapsed);
}
