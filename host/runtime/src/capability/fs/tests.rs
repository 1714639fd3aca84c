//! What the host does with a guest's paths, without a guest.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{FileType, Mode};

use super::*;

/// A workspace with a neighbour that nobody may reach.
struct Ground {
    root: tempfile::TempDir,
    mount: Mount,
    start: Arc<File>,
}

const PROTECTED: [&str; 4] = [
    "ml-intern.toml",
    "ml-intern.lock",
    ".ml-intern",
    "conf/exp/run.toml",
];

impl Ground {
    fn new() -> Self {
        Self::with(&Limits::default())
    }

    fn with(limits: &Limits) -> Self {
        let root = tempfile::tempdir().unwrap();
        let workspace = root.path().join("workspace");
        for folder in [
            "workspace/sub/deep",
            "workspace/.ml-intern/output",
            "workspace/conf/exp",
            "outside",
        ] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        for (file, text) in [
            ("workspace/a.txt", "inside"),
            ("workspace/sub/b.txt", "inside"),
            ("workspace/ml-intern.toml", "kept"),
            ("workspace/.ml-intern/output/o.txt", "kept"),
            ("workspace/conf/exp/run.toml", "kept"),
            ("outside/secret.txt", "outside"),
        ] {
            fs::write(root.path().join(file), text).unwrap();
        }
        let protected = PROTECTED.map(PathBuf::from);
        let quota = Quota::new(limits, Written::default());
        let mount = Mount::open(&workspace, &protected, quota).unwrap();
        let start = Arc::new(mount.folder.try_clone().unwrap());
        Self { root, mount, start }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join("workspace").join(path)
    }

    fn outside(&self) -> PathBuf {
        self.root.path().join("outside")
    }

    fn open(&self, path: &str, how: How) -> Result<Opened, Refused> {
        change::open(&self.mount, &self.start, path, how)
    }

    fn read(&self, path: &str) -> Result<String, Refused> {
        match self.open(path, READ)? {
            Opened::File(mut file) => {
                let mut text = String::new();
                file.read_to_string(&mut text)?;
                Ok(text)
            }
            Opened::Folder(_) => Ok("a folder".to_owned()),
        }
    }

    fn write(&self, path: &str) -> Result<(), Refused> {
        match self.open(path, WRITE)? {
            Opened::File(mut file) => Ok(file.write_all(b"by the guest")?),
            Opened::Folder(_) => panic!("a folder was opened for writing"),
        }
    }

    /// A descriptor of a folder that the guest opened.
    fn below(&self, path: &str) -> Arc<File> {
        match self.open(path, READ).unwrap() {
            Opened::Folder(folder) => Arc::new(folder),
            Opened::File(_) => panic!("{path} is no folder"),
        }
    }

    /// Everything that changes `path`, each as a guest would try it.
    fn changes(&self, path: &str) -> Vec<(&'static str, Result<(), Refused>)> {
        let (mount, start) = (&self.mount, &self.start);
        let times = Timestamps {
            last_access: timespec(types::NewTimestamp::Now).unwrap(),
            last_modification: timespec(types::NewTimestamp::Now).unwrap(),
        };
        vec![
            ("write", self.write(path)),
            ("unlink", change::remove(mount, start, path, false)),
            ("rmdir", change::remove(mount, start, path, true)),
            (
                "rename from",
                change::rename(mount, (start, path), (start, "moved")),
            ),
            (
                "rename onto",
                change::rename(mount, (start, "a.txt"), (start, path)),
            ),
            (
                "link from",
                change::link(mount, (start, path), (start, "linked")),
            ),
            ("times", change::set_times(mount, start, path, true, &times)),
        ]
    }
}

const READ: How = How {
    read: true,
    write: false,
    create: false,
    exclusive: false,
    truncate: false,
    folder: false,
    follow: true,
};

const WRITE: How = How {
    read: false,
    write: true,
    create: true,
    truncate: true,
    ..READ
};

fn why<T>(result: Result<T, Refused>) -> Why {
    match result {
        Err(Refused::Denied(why)) => why,
        Err(other) => panic!("not denied but {other:?}"),
        Ok(_) => panic!("it was done"),
    }
}

/// The kind of the system's error.
fn failed<T>(result: Result<T, Refused>) -> std::io::ErrorKind {
    match result {
        Err(Refused::Io(error)) => error.kind(),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was done"),
    }
}

#[test]
fn paths_and_links_lead_everywhere_inside_and_nowhere_else() {
    let ground = Ground::new();
    let outside = ground.outside();
    for (link, target) in [
        ("up.txt", "../outside/secret.txt"),
        ("absolute.txt", outside.join("secret.txt").to_str().unwrap()),
        ("folder", outside.to_str().unwrap()),
        ("sub/round.txt", "../../workspace/a.txt"),
        ("chain", "up.txt"),
        ("sub/fine.txt", "../a.txt"),
        ("fine", "sub/deep/.."),
        ("loop", "loop"),
    ] {
        symlink(target, ground.at(link)).unwrap();
    }
    for path in [
        "a.txt",
        "./a.txt",
        "sub/../a.txt",
        "sub/deep/../../a.txt",
        "sub//b.txt",
        "sub/fine.txt",
        "fine/b.txt",
    ] {
        assert_eq!(ground.read(path).unwrap(), "inside", "{path}");
    }
    for path in [
        "../outside/secret.txt",
        "sub/../../outside/secret.txt",
        "..",
        "../workspace/a.txt",
        "/etc/passwd",
        "up.txt",
        "absolute.txt",
        "folder/secret.txt",
        "folder",
        "sub/round.txt",
        "chain",
    ] {
        assert_eq!(why(ground.read(path)), Why::Outside, "{path}");
        assert_eq!(why(ground.write(path)), Why::Outside, "{path}");
    }
    assert_eq!(why(ground.write("folder/new.txt")), Why::Outside);
    assert!(!outside.join("new.txt").exists());
    assert_eq!(
        failed(ground.read("a.txt\0.png")),
        std::io::ErrorKind::InvalidInput
    );
    assert_eq!(failed(ground.read("")), std::io::ErrorKind::NotFound);
    assert_eq!(
        failed(ground.read("a.txt/")),
        std::io::ErrorKind::NotADirectory
    );
    assert!(ground.read("loop").is_err());
    assert_eq!(
        fs::read_to_string(outside.join("secret.txt")).unwrap(),
        "outside"
    );
}

#[test]
fn a_folder_that_was_opened_is_no_way_up() {
    let ground = Ground::new();
    let sub = ground.below("sub");
    for path in ["../a.txt", "deep/../../a.txt"] {
        let opened = change::open(&ground.mount, &sub, path, READ);
        assert_eq!(why(opened), Why::Outside, "{path}");
    }
    let renamed = change::rename(
        &ground.mount,
        (&sub, "b.txt"),
        (&sub, "../../outside/b.txt"),
    );
    assert_eq!(why(renamed), Why::Outside);
    // Also not when somebody else moves it out.
    fs::rename(ground.at("sub"), ground.outside().join("sub")).unwrap();
    let made = change::open(&ground.mount, &sub, "c.txt", WRITE);
    assert_eq!(why(made), Why::Moved);
    assert_eq!(
        why(change::remove(&ground.mount, &sub, "b.txt", false)),
        Why::Moved
    );
}

#[test]
fn links_that_lead_out_are_not_made_nor_moved_to_where_they_do() {
    let ground = Ground::new();
    let (mount, start) = (&ground.mount, &ground.start);
    let link = |target: &str, path: &str| change::symlink(mount, target, start, path);
    link("../a.txt", "sub/one").unwrap();
    link("sub/b.txt", "two").unwrap();
    assert_eq!(ground.read("sub/one").unwrap(), "inside");
    for (target, path) in [
        ("/etc/passwd", "bad"),
        ("../outside", "bad"),
        ("../../outside", "sub/bad"),
        ("sub/../../outside", "bad"),
    ] {
        assert_eq!(why(link(target, path)), Why::LinkOut(target.to_owned()));
        assert!(fs::symlink_metadata(ground.at(path)).is_err());
    }
    // What stays inside from one folder leaves it from another.
    let moved = change::rename(mount, (start, "sub/one"), (start, "one"));
    assert_eq!(why(moved), Why::LinkOut("../a.txt".to_owned()));
    change::rename(mount, (start, "sub/one"), (start, "sub/deep/one")).unwrap();
    // A second name is for regular files.
    fs::hard_link(ground.outside().join("secret.txt"), ground.at("shared.txt")).unwrap();
    symlink(ground.outside().join("secret.txt"), ground.at("out.txt")).unwrap();
    for source in ["sub", "out.txt"] {
        assert!(
            change::link(mount, (start, source), (start, "again")).is_err(),
            "{source}"
        );
    }
    let far = change::link(mount, (start, "../outside/secret.txt"), (start, "again"));
    assert_eq!(why(far), Why::Outside);
    change::link(mount, (start, "a.txt"), (start, "sub/again")).unwrap();
}

#[test]
fn a_file_with_a_name_elsewhere_is_read_and_not_written() {
    let ground = Ground::new();
    let secret = ground.outside().join("secret.txt");
    fs::hard_link(&secret, ground.at("shared.txt")).unwrap();
    assert_eq!(ground.read("shared.txt").unwrap(), "outside");
    assert_eq!(why(ground.write("shared.txt")), Why::Shared(2));
    assert_eq!(fs::read_to_string(&secret).unwrap(), "outside");
    // A new file in its place is no longer that file.
    let (mount, start) = (&ground.mount, &ground.start);
    ground.write("new.txt").unwrap();
    change::rename(mount, (start, "new.txt"), (start, "shared.txt")).unwrap();
    assert_eq!(fs::read_to_string(&secret).unwrap(), "outside");
    ground.write("shared.txt").unwrap();
}

#[test]
fn only_regular_files_and_folders_are_opened() {
    let ground = Ground::new();
    let fifo = ground.at("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        FileType::Fifo,
        Mode::RUSR | Mode::WUSR,
        0,
    )
    .unwrap();
    symlink("fifo", ground.at("to-fifo")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(ground.at("socket")).unwrap();
    let (mount, start) = (&ground.mount, &ground.start);
    for path in ["fifo", "to-fifo", "socket", "sub/../fifo"] {
        assert_eq!(why(ground.read(path)), Why::Special, "{path}");
        assert_eq!(why(ground.write(path)), Why::Special, "{path}");
    }
    assert_eq!(
        why(change::link(mount, (start, "fifo"), (start, "again"))),
        Why::Special
    );
    // It can be put away.
    change::remove(mount, start, "fifo", false).unwrap();
}

#[test]
fn what_the_user_decides_with_is_nobodys_to_change() {
    let ground = Ground::new();
    symlink("ml-intern.toml", ground.at("alias")).unwrap();
    symlink(".ml-intern", ground.at("own")).unwrap();
    for path in [
        "ml-intern.toml",
        "./sub/../ml-intern.toml",
        "sub/../conf/exp/run.toml",
        ".ml-intern/output/o.txt",
        "own/output/o.txt",
    ] {
        assert_eq!(ground.read(path).unwrap(), "kept");
        for (how, done) in ground.changes(path) {
            assert_eq!(why(done), Why::Protected, "{how} {path}");
        }
    }
    // The link may go; what it leads to stays.
    assert_eq!(why(ground.write("alias")), Why::Protected);
    for folder in [".ml-intern", ".ml-intern/output", "conf", "conf/exp"] {
        for (how, done) in ground.changes(folder) {
            match how {
                "write" => assert_eq!(failed(done), std::io::ErrorKind::IsADirectory),
                "link from" => assert!(done.is_err()),
                _ => assert_eq!(why(done), Why::Protected, "{how} {folder}"),
            }
        }
    }
    assert_eq!(ground.read("ml-intern.toml").unwrap(), "kept");
}

#[test]
fn what_is_protected_and_not_there_is_not_made_by_any_name() {
    let ground = Ground::new();
    let (mount, start) = (&ground.mount, &ground.start);
    fs::remove_dir_all(ground.at(".ml-intern")).unwrap();
    let sub = ground.below("sub");
    for name in [
        "ml-intern.lock",
        "ML-Intern.Lock",
        "sub/../ml-intern.lock",
        "ml-intern.loc\u{212a}",
    ] {
        assert_eq!(why(ground.write(name)), Why::Protected, "{name}");
        let renamed = change::rename(mount, (start, "a.txt"), (start, name));
        assert_eq!(why(renamed), Why::Protected, "{name}");
        let renamed = change::rename(mount, (&sub, "b.txt"), (start, name));
        assert_eq!(why(renamed), Why::Protected, "{name}");
        assert_eq!(
            why(change::link(mount, (start, "a.txt"), (start, name))),
            Why::Protected
        );
        assert_eq!(
            why(change::symlink(mount, "a.txt", start, name)),
            Why::Protected
        );
    }
    assert_eq!(
        why(change::create_folder(mount, start, ".ml-intern")),
        Why::Protected
    );
    let moved = change::rename(mount, (start, "sub"), (start, ".ml-intern/"));
    assert_eq!(why(moved), Why::Protected);
    // The same names elsewhere are anybody's.
    ground.write("sub/ml-intern.lock").unwrap();
    change::create_folder(mount, start, "sub/.ml-intern").unwrap();
}

#[test]
fn a_manifest_that_is_a_link_is_protected_where_it_leads() {
    let ground = Ground::new();
    fs::remove_file(ground.at("ml-intern.toml")).unwrap();
    fs::write(ground.at("sub/real.toml"), "kept").unwrap();
    symlink("sub/real.toml", ground.at("ml-intern.toml")).unwrap();
    for path in ["ml-intern.toml", "sub/real.toml"] {
        for (how, done) in ground.changes(path) {
            match how {
                "link from" if path == "ml-intern.toml" => assert!(done.is_err()),
                _ => assert_eq!(why(done), Why::Protected, "{how} {path}"),
            }
        }
    }
    assert_eq!(ground.read("sub/real.toml").unwrap(), "kept");
}

#[test]
fn files_and_holes_are_counted_before_they_are_made() {
    let ground = Ground::with(&Limits {
        files: 3,
        file_bytes: 1000,
        ..Limits::default()
    });
    let (mount, start) = (&ground.mount, &ground.start);
    // What is there already, and what fails, costs nothing.
    ground.write("a.txt").unwrap();
    assert_eq!(
        failed(change::create_folder(mount, start, "sub")),
        std::io::ErrorKind::AlreadyExists
    );
    assert_eq!(
        failed(ground.write("no/where.txt")),
        std::io::ErrorKind::NotFound
    );
    ground.write("1").unwrap();
    change::create_folder(mount, start, "2").unwrap();
    change::symlink(mount, "a.txt", start, "3").unwrap();
    for refused in [
        ground.write("4"),
        change::create_folder(mount, start, "4"),
        change::symlink(mount, "a.txt", start, "4"),
        change::link(mount, (start, "a.txt"), (start, "4")),
    ] {
        assert!(matches!(refused, Err(Refused::Spent(_))), "{refused:?}");
    }
    assert!(!ground.at("4").exists());
    let file = File::open(ground.at("a.txt")).unwrap();
    let size = file.metadata().unwrap().size();
    assert_eq!(change::growth(&file, size + 7).unwrap(), 7);
    assert_eq!(change::growth(&file, 1).unwrap(), 0);
    assert_eq!(change::growth(&file, u64::MAX).unwrap(), u64::MAX - size);
}

/// Swaps a folder, a link out of the workspace and a FIFO until told to stop.
fn swap(workspace: &Path, outside: &Path, stop: &AtomicBool) {
    let (there, away) = (workspace.join("race"), workspace.join("away"));
    while !stop.load(Ordering::Relaxed) {
        fs::rename(&there, &away).unwrap();
        symlink(outside, &there).unwrap();
        fs::remove_file(&there).unwrap();
        fs::rename(&away, &there).unwrap();
        let file = there.join("secret.txt");
        fs::remove_file(&file).unwrap();
        symlink(outside.join("secret.txt"), &file).unwrap();
        fs::remove_file(&file).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &file,
            FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        fs::remove_file(&file).unwrap();
        fs::write(&file, "inside").unwrap();
    }
}

#[test]
fn whoever_swaps_files_and_links_meanwhile_gains_nothing() {
    let ground = Ground::new();
    fs::create_dir(ground.at("race")).unwrap();
    fs::write(ground.at("race/secret.txt"), "inside").unwrap();
    let stop = AtomicBool::new(false);
    let (mut read, mut denied) = (0, 0);
    std::thread::scope(|scope| {
        let (workspace, outside) = (ground.at(""), ground.outside());
        let stop_swapping = &stop;
        scope.spawn(move || swap(&workspace, &outside, stop_swapping));
        for round in 0..20_000 {
            match ground.read("race/secret.txt") {
                Ok(text) => {
                    assert!(text.is_empty() || text == "inside", "read {text}");
                    read += 1;
                }
                Err(Refused::Denied(Why::Outside | Why::Special)) => denied += 1,
                Err(_) => {}
            }
            if round % 4 == 0
                && let Ok(Opened::File(mut file)) = ground.open(
                    "race/secret.txt",
                    How {
                        truncate: false,
                        create: false,
                        ..WRITE
                    },
                )
            {
                // Nobody reads what was removed meanwhile.
                file.write_all(b"inside").unwrap();
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(
        fs::read_to_string(ground.outside().join("secret.txt")).unwrap(),
        "outside"
    );
    // Otherwise nothing was raced with.
    assert!(read > 0 && denied > 0, "{read} read, {denied} denied");
}

#[test]
fn the_host_reads_for_itself_what_a_plugin_might() {
    let ground = Ground::new();
    let workspace = ground.at("");
    symlink("sub/b.txt", ground.at("AGENTS.md")).unwrap();
    assert_eq!(read_below(&workspace, "AGENTS.md", 100).unwrap(), b"inside");
    assert_eq!(read_below(&workspace, "AGENTS.md", 2).unwrap(), b"in");
    fs::remove_file(ground.at("AGENTS.md")).unwrap();
    symlink(ground.outside().join("secret.txt"), ground.at("AGENTS.md")).unwrap();
    read_below(&workspace, "AGENTS.md", 100).unwrap_err();
    fs::remove_file(ground.at("AGENTS.md")).unwrap();
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        ground.at("AGENTS.md"),
        FileType::Fifo,
        mode,
        0,
    )
    .unwrap();
    read_below(&workspace, "AGENTS.md", 100).unwrap_err();
    read_below(&workspace, "sub", 100).unwrap_err();
}
