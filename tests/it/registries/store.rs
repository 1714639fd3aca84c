use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use rustix::process::Signal;

use crate::support::{
    fake_openai::{Reply, Script},
    ml_intern::{Home, binary},
    registry::{Registry, answers},
    world::World,
};

fn store(home: &Home) -> PathBuf {
    home.path().join(".local/share/ml-intern/plugins")
}

async fn with_plugin(registry: &Registry, world: &World) -> PathBuf {
    let image = registry.image("acme/answers:1");
    world.home.publish(&answers("1.0.0"), &image).await;
    world.home.add(&image).await.assert_code(0);
    store(&world.home).join(&world.home.stored()[0])
}

#[tokio::test]
async fn verify_finds_every_file_that_was_changed() {
    let registry = Registry::open().await;
    let world = World::new(Script::steps([Reply::text("done")])).await;
    let component = with_plugin(&registry, &world).await;
    let verify = || world.home.ml_intern(["plugin", "verify"]).run();
    verify().await.assert_code(0);
    let good = std::fs::read(&component).unwrap();

    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    std::fs::write(&component, bad).unwrap();
    let found = verify().await;
    found.assert_code(7);
    assert!(
        found.stdout.contains("is not what was fetched"),
        "{}",
        found.stdout
    );
    std::fs::write(&component, &good).unwrap();

    // What was noted of it, so that a start need not look into it.
    let noted = component.with_extension("json");
    let text = std::fs::read_to_string(&noted).unwrap();
    std::fs::write(&noted, text.replace("1.0.0", "1.0.1")).unwrap();
    let found = verify().await;
    found.assert_code(7);
    assert!(
        found
            .stdout
            .contains("does not say what the component says"),
        "{}",
        found.stdout
    );
    // A run is stopped by the lockfile then.
    world.run(["go"]).run().await.assert_code(7);
    std::fs::remove_file(&noted).unwrap();
    verify().await.assert_code(0);

    // What was forgotten is fetched again.
    std::fs::remove_file(&component).unwrap();
    verify().await.assert_code(7);
    world.run(["go"]).run().await.assert_code(0);
    assert_eq!(std::fs::read(&component).unwrap(), good);
}

#[tokio::test]
async fn prune_deletes_what_no_lockfile_names_and_nothing_else() {
    let registry = Registry::open().await;
    let world = World::new(Script::steps([Reply::text("done")])).await;
    let home = &world.home;
    with_plugin(&registry, &world).await;
    let nothing = home.ml_intern(["plugin", "prune"]).run().await;
    assert!(
        nothing.stdout.contains("0 components"),
        "{}",
        nothing.stdout
    );
    // A project elsewhere that uses the same store.
    let other = home.path().join("other");
    std::fs::create_dir(&other).unwrap();
    let image = registry.image("acme/answers:2");
    home.publish(&answers("2.0.0"), &image).await;
    let add = ["plugin", "add", &image, "--yes"];
    home.ml_intern(add)
        .current_dir(&other)
        .run()
        .await
        .assert_code(0);
    assert_eq!(home.stored().len(), 2);
    let nothing = home.ml_intern(["plugin", "prune"]).run().await;
    assert!(
        nothing.stdout.contains("0 components"),
        "{}",
        nothing.stdout
    );

    home.ml_intern(["plugin", "remove", "answers"])
        .run()
        .await
        .assert_code(0);
    let dry = home.ml_intern(["plugin", "prune", "--dry-run"]).run().await;
    assert!(dry.stdout.contains("1 component, "), "{}", dry.stdout);
    assert_eq!(home.stored().len(), 2);
    home.ml_intern(["plugin", "prune"])
        .run()
        .await
        .assert_code(0);
    assert_eq!(home.stored().len(), 1);
    // A lockfile that cannot be read may name anything.
    std::fs::write(other.join("ml-intern.lock"), "version = 9\n").unwrap();
    home.ml_intern(["plugin", "prune"])
        .run()
        .await
        .assert_code(2);
    assert_eq!(home.stored().len(), 1);
}

#[tokio::test]
async fn eight_processes_add_the_same_plugin_at_once() {
    let registry = Registry::open().await;
    let image = registry.image("acme/answers:1");
    let home = Home::new();
    home.publish(&answers("1.0.0"), &image).await;
    let folders: Vec<PathBuf> = (0..8).map(|i| home.path().join(format!("p{i}"))).collect();
    let running = folders.iter().map(|folder| {
        std::fs::create_dir(folder).unwrap();
        home.ml_intern(["plugin", "add", &image, "--yes"])
            .current_dir(folder)
            .start()
    });
    let running: Vec<_> = running.collect();
    for one in running {
        one.finish().await.assert_code(0);
    }
    assert_eq!(home.stored().len(), 1);
    let left = std::fs::read_dir(store(&home)).unwrap();
    let parts = left.filter(|file| {
        file.as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .ends_with(".part")
    });
    assert_eq!(parts.count(), 0);
}

/// Killed again and again at another moment, the next one installs what this one did not.
#[tokio::test]
async fn a_crash_at_any_moment_of_an_install_leaves_nothing_half_done() {
    let registry = Registry::open().await;
    let image = registry.image("acme/answers:1");
    let home = Home::new();
    home.publish(&answers("1.0.0"), &image).await;
    for wait in [1, 5, 10, 20, 40, 80, 160] {
        let running = home.ml_intern(["plugin", "add", &image, "--yes"]).start();
        tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
        running.signal(Signal::KILL);
        running.finish().await;
        // Both files are as before or as after.
        let listed = home.ml_intern(["plugin", "list"]).run().await;
        listed.assert_code(0);
    }
    // Either it was all done, or it can be done again.
    if !home.workspace().join("ml-intern.toml").exists() {
        home.add(&image).await.assert_code(0);
    }
    home.ml_intern(["plugin", "verify"])
        .run()
        .await
        .assert_code(0);
    assert_eq!(home.stored().len(), 1);
}

#[tokio::test]
async fn a_full_disk_and_a_folder_that_cannot_be_written_leave_everything_as_it_was() {
    let registry = Registry::open().await;
    let image = registry.image("acme/answers:1");
    let home = Home::new();
    home.publish(&answers("1.0.0"), &image).await;
    let folder = store(&home);
    std::fs::create_dir_all(&folder).unwrap();
    // Room for less than the component.
    let script = "mount -t tmpfs -o size=64k none \"$1\" && \"$0\" plugin add \"$2\" --yes; \
                  code=$?; ls \"$1\"; exit $code";
    let program = binary();
    let args = [
        Path::new("-rm"),
        Path::new("bash"),
        Path::new("-c"),
        Path::new(script),
    ];
    let args = args
        .into_iter()
        .chain([program.as_path(), &folder, Path::new(&image)]);
    let full = home.program(Path::new("unshare"), args).run().await;
    full.assert_code(7);
    assert!(full.stderr.contains("No space left"), "{}", full.stderr);
    assert!(!full.stdout.contains(".wasm"), "{}", full.stdout);
    assert!(!home.workspace().join("ml-intern.toml").exists());
    std::fs::remove_dir(&folder).unwrap();
    std::fs::write(&folder, "no folder").unwrap();
    let refused = home.add(&image).await;
    refused.assert_code(7);
    assert!(refused.stderr.contains("plugins"), "{}", refused.stderr);
    assert!(!home.workspace().join("ml-intern.toml").exists());
    std::fs::remove_file(&folder).unwrap();
    home.add(&image).await.assert_code(0);
    let mode = std::fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o022, 0, "{mode:o}");
}
