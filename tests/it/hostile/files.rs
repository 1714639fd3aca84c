//! Cases 18, 55 to 59 and 65: files that are not the plugin's, more of them than a disk should
//! hold, and keys of another plugin. Beside each attack stands what makes it one: the same path
//! in the hands of the standard library, the same tool under a wider grant or limit.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use rustix::fs::{CWD, FileType, Mode, RenameFlags, makedev, mknodat, renameat_with};
use serde_json::json;

use crate::support::{
    fake_openai::Call,
    guests::{Installed, install},
    ml_intern::Home,
};

use super::support::{Attack, Attacked, attack, audited, home, neighbour};

const READ: &str = "fs = [{ mount = \"/workspace\", access = \"read\" }]";
const WRITE: &str = "fs = [{ mount = \"/workspace\", access = \"read-write\" }]";
/// Limits that stop none of the attacks below.
const RAISED: &str = "file-bytes = \"64MiB\"\nfiles = 10000\ncpu = \"2m\"\ntimeout = \"2m\"";
/// What lies outside and nobody may read or change.
const SECRET: &str = "outside the workspace";

fn attacker() -> Installed {
    Installed::guest("hostile-files").grant(WRITE)
}

/// A home with files inside of the workspace and one beside it.
async fn ground(plugins: &[Installed]) -> Home {
    let home = home(plugins).await;
    fs::write(beside(&home, "secret.txt"), SECRET).unwrap();
    fs::create_dir(beside(&home, "elsewhere")).unwrap();
    fs::write(beside(&home, "elsewhere/secret.txt"), SECRET).unwrap();
    home.write("a.txt", "inside");
    home.write("sub/b.txt", "inside");
    home
}

/// A path beside the workspace.
fn beside(home: &Home, name: &str) -> PathBuf {
    home.workspace().parent().unwrap().join(name)
}

fn call(tool: &str, path: &str) -> Call {
    Call::new(tool, json!({ "path": path }))
}

fn call_to(tool: &str, path: &str, other: &str) -> Call {
    Call::new(tool, json!({ "path": path, "other": other }))
}

fn call_from(tool: &str, from: &str, path: &str, other: &str) -> Call {
    Call::new(tool, json!({ "from": from, "path": path, "other": other }))
}

fn much(tool: &str, path: &str, amount: u64) -> Call {
    Call::new(tool, json!({ "path": path, "amount": amount }))
}

/// Every attack was denied with these words, and written down as `capability`.
#[track_caller]
fn all_denied(attacked: &Attacked, capability: &str, says: &[&str]) {
    for ended in &attacked.attacks {
        denied(attacked, ended, capability, says);
    }
}

#[track_caller]
fn denied(attacked: &Attacked, ended: &Attack, capability: &str, says: &[&str]) {
    ended.check("denied", says);
    assert!(
        !ended.text.contains(SECRET),
        "{}: {}",
        ended.what,
        ended.text
    );
    audited(&attacked.events, &ended.call, capability);
}

/// Every attack went through: the tools do what they say.
#[track_caller]
fn all_done(attacked: &Attacked) {
    for ended in &attacked.attacks {
        ended.check("ok", &[]);
    }
}

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

#[tokio::test]
async fn case_55_paths_and_links_do_not_leave_the_workspace() {
    let home = ground(&[attacker()]).await;
    let workspace = home.workspace();
    let outside = beside(&home, "secret.txt");
    symlink("../secret.txt", workspace.join("up.txt")).unwrap();
    symlink(&outside, workspace.join("absolute.txt")).unwrap();
    symlink(beside(&home, "elsewhere"), workspace.join("folder")).unwrap();
    symlink("up.txt", workspace.join("chain.txt")).unwrap();
    symlink("/proc/self", workspace.join("process")).unwrap();
    let absolute = outside.display().to_string();
    let ways = [
        "../secret.txt",
        "sub/../../secret.txt",
        &absolute,
        "/etc/passwd",
        "up.txt",
        "absolute.txt",
        "chain.txt",
        "folder/secret.txt",
        "process/environ",
        "../workspace/a.txt",
    ];
    // Whoever follows them as the system does is outside.
    for way in &ways[..8] {
        assert!(fs::read(workspace.join(way)).is_ok(), "{way}");
    }
    let reads = ways.map(|way| call("read_path", way));
    let looks = ["../secret.txt", "up.txt", "folder/secret.txt"].map(|way| call("look", way));
    let from = [
        call_from("read_path", "sub", "../../secret.txt", ""),
        call_from("read_path", "sub", "../a.txt", ""),
    ];
    let attacks = reads.into_iter().chain(looks).chain(from);
    let attacked = attack(home, attacks).await;
    all_denied(
        &attacked,
        "fs.read",
        &["leads out of /workspace", "ml-intern -C FOLDER"],
    );

    let home = attacked.world.home;
    let inside = ["a.txt", "./sub/../a.txt", "sub//b.txt"].map(|way| call("read_path", way));
    let nul = call("read_path", "a.txt\0../secret.txt");
    let attacked = attack(home, inside.into_iter().chain([nul])).await;
    for inside in &attacked.attacks[..3] {
        inside.check("ok", &["inside"]);
    }
    attacked.attacks[3].check("error", &["invalid"]);
}

#[tokio::test]
async fn case_55_nothing_is_written_renamed_or_linked_out_of_the_workspace() {
    let home = ground(&[attacker()]).await;
    let workspace = home.workspace();
    symlink("../secret.txt", workspace.join("up.txt")).unwrap();
    symlink(beside(&home, "elsewhere"), workspace.join("folder")).unwrap();
    let out = [
        call("write_path", "../new.txt"),
        call("write_path", "up.txt"),
        call("write_path", "folder/new.txt"),
        call("append", "up.txt"),
        call("touch", "up.txt"),
        call("make_folder", "../new"),
        call("remove", "folder/secret.txt"),
        call("remove_folder", "../elsewhere"),
        call_to("rename", "a.txt", "../a.txt"),
        call_to("rename", "../secret.txt", "mine.txt"),
        call_from("rename", "sub", "b.txt", "folder/b.txt"),
        call_from("rename", "sub", "../../secret.txt", "mine.txt"),
        call_to("link", "../secret.txt", "mine.txt"),
        call_to("link", "folder/secret.txt", "mine.txt"),
        call_to("link", "a.txt", "../a.txt"),
    ];
    let attacked = attack(home, out).await;
    all_denied(&attacked, "fs.write", &["leads out of /workspace"]);

    let home = attacked.world.home;
    let links = ["/etc/passwd", "../secret.txt", "sub/../../secret.txt"];
    let links = links.map(|target| call_to("symlink", "made.txt", target));
    let attacked = attack(home, links).await;
    all_denied(
        &attacked,
        "fs.write",
        &["would lead out of /workspace", "relative path"],
    );

    let home = attacked.world.home;
    assert_eq!(
        fs::read_to_string(beside(&home, "secret.txt")).unwrap(),
        SECRET
    );
    assert_eq!(fs::read_dir(beside(&home, "elsewhere")).unwrap().count(), 1);
    for made in ["new.txt", "new", "a.txt"] {
        assert!(!beside(&home, made).exists(), "{made}");
    }
    for made in ["mine.txt", "made.txt"] {
        assert!(
            fs::symlink_metadata(workspace.join(made)).is_err(),
            "{made}"
        );
    }
    // Inside, each of them is what a file tool is for.
    let inside = [
        call("write_path", "sub/new.txt"),
        call_to("rename", "sub/new.txt", "new.txt"),
        call_from("rename", "sub", "b.txt", "b.txt"),
        call_to("link", "new.txt", "second.txt"),
        call_to("symlink", "sub/made.txt", "../a.txt"),
        call("remove", "second.txt"),
        call("append", "new.txt"),
        call("touch", "new.txt"),
    ];
    all_done(&attack(home, inside).await);
}

#[tokio::test]
async fn case_55_a_file_that_has_a_name_elsewhere_is_not_written() {
    let home = ground(&[attacker()]).await;
    let (outside, shared) = (
        beside(&home, "secret.txt"),
        home.workspace().join("shared.txt"),
    );
    fs::hard_link(&outside, &shared).unwrap();
    let attacks = [
        call("write_path", "shared.txt"),
        call("append", "shared.txt"),
        much("resize", "shared.txt", 0),
        call("touch", "shared.txt"),
    ];
    let attacked = attack(home, attacks).await;
    all_denied(
        &attacked,
        "fs.write",
        &["2 names", "rename it to `shared.txt`"],
    );
    assert_eq!(fs::read_to_string(&outside).unwrap(), SECRET);
    // What the words advise works, and leaves the other name alone.
    let home = attacked.world.home;
    let advised = [
        call("write_path", "new.txt"),
        call_to("rename", "new.txt", "shared.txt"),
        call("write_path", "shared.txt"),
    ];
    let attacked = attack(home, advised).await;
    all_done(&attacked);
    assert_eq!(fs::read_to_string(&outside).unwrap(), SECRET);
    // By the system alone, the attack succeeds.
    fs::remove_file(&shared).unwrap();
    fs::hard_link(&outside, &shared).unwrap();
    fs::write(&shared, "changed").unwrap();
    assert_eq!(fs::read_to_string(&outside).unwrap(), "changed");
}

/// Swaps a folder and a link out of the workspace, over and over, until dropped.
struct Swapping {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Swapping {
    fn start(one: PathBuf, other: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        // No test takes this long; a loop has to end by itself all the same.
        let end = Instant::now() + Duration::from_secs(120);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) && Instant::now() < end {
                renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let thread = Some(thread);
        Self { stop, thread }
    }
}

impl Drop for Swapping {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

#[tokio::test]
async fn case_55_a_folder_swapped_for_a_link_meanwhile_is_not_followed() {
    let home = ground(&[attacker().limits(RAISED)]).await;
    let workspace = home.workspace();
    home.write("race/secret.txt", "inside");
    symlink(beside(&home, "elsewhere"), workspace.join("link")).unwrap();
    let swapping = Swapping::start(workspace.join("race"), workspace.join("link"));
    // Who looks first and opens then is caught by it.
    let caught = (0..200_000).any(|_| {
        let place = workspace.join("race");
        let looked = fs::symlink_metadata(&place).is_ok_and(|found| found.is_dir());
        looked && fs::read_to_string(place.join("secret.txt")).is_ok_and(|text| text == SECRET)
    });
    assert!(caught, "the race is never lost");
    let attacked = attack(home, [much("read_often", "race/secret.txt", 5000)]).await;
    drop(swapping);
    let seen = attacked.attacks[0].check("ok", &["\"inside\"", "not-permitted"]);
    assert!(!seen.text.contains(SECRET), "{}", seen.text);
    audited(&attacked.events, &seen.call, "fs.read");
}

#[tokio::test]
async fn case_56_nothing_is_changed_under_a_grant_to_read() {
    let home = ground(&[attacker().grant(READ)]).await;
    let old = SystemTime::now() - Duration::from_secs(3600);
    for file in ["a.txt", "sub/b.txt"] {
        home.age(file);
    }
    let attacks = || {
        [
            call("touch", "a.txt"),
            call("append", "a.txt"),
            much("resize", "a.txt", 3),
            call("write_path", "a.txt"),
            call("write_path", "new.txt"),
            call("make_folder", "new"),
            call_to("symlink", "new.link", "a.txt"),
            call_to("link", "sub/b.txt", "new.name"),
            call_to("rename", "sub/b.txt", "sub/c.txt"),
            call("remove", "sub/c.txt"),
            call("remove_folder", "new"),
        ]
    };
    let refused = attacks().into_iter().chain([call("touch_open", "a.txt")]);
    let attacked = attack(home, refused).await;
    let line =
        "[plugins.hostile-files.grant] fs = [{ mount = \"/workspace\", access = \"read-write\" }]";
    all_denied(
        &attacked,
        "fs.write",
        &["writing below /workspace (`", "is not granted", line],
    );
    let home = attacked.world.home;
    assert_eq!(home.read("a.txt") + &home.read("sub/b.txt"), "insideinside");
    let times = fs::metadata(home.workspace().join("a.txt")).unwrap();
    assert!(times.modified().unwrap() < old + Duration::from_secs(600));

    // What it reads is read, and there is no way to set a mode, whatever the grant.
    let attacked = attack(
        home,
        [call("read_path", "a.txt"), call("set_mode", "a.txt")],
    )
    .await;
    attacked.attacks[0].check("ok", &["inside"]);
    let mode = |home: &Home| {
        fs::metadata(home.workspace().join("a.txt"))
            .unwrap()
            .permissions()
            .mode()
    };
    assert_eq!(
        attacked.attacks[1].status, "error",
        "{:?}",
        attacked.attacks[1]
    );
    assert_eq!(mode(&attacked.world.home) & 0o777, 0o644);

    // Granted, the same calls go through.
    let home = ground(&[attacker()]).await;
    all_done(&attack(home, attacks()).await);
}

#[tokio::test]
async fn case_56_a_file_opened_to_read_keeps_its_times() {
    let home = ground(&[attacker()]).await;
    home.age("a.txt");
    let attacked = attack(home, [call("touch_open", "a.txt")]).await;
    all_denied(&attacked, "fs.write", &["opened for reading"]);
    let times = fs::metadata(attacked.world.home.workspace().join("a.txt")).unwrap();
    assert!(times.modified().unwrap() < SystemTime::now() - Duration::from_secs(600));
}

#[tokio::test]
async fn case_57_fifos_devices_and_sockets_are_not_opened() {
    let home = ground(&[attacker()]).await;
    let workspace = home.workspace();
    fifo(&workspace.join("fifo"));
    symlink("fifo", workspace.join("to-fifo")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(workspace.join("socket")).unwrap();
    let mut places = vec!["fifo", "to-fifo", "socket"];
    // Only root makes devices; as another user the case is two thirds of itself.
    let device = workspace.join("zero");
    if mknodat(
        CWD,
        &device,
        FileType::CharacterDevice,
        Mode::all(),
        makedev(1, 5),
    )
    .is_ok()
    {
        places.push("zero");
    }
    // By the system, opening waits for somebody at the other end.
    let waiting = std::thread::spawn({
        let path = workspace.join("fifo");
        move || fs::File::open(path).is_ok()
    });
    std::thread::sleep(Duration::from_millis(200));
    assert!(!waiting.is_finished(), "the FIFO lets itself be opened");

    let tools = ["read_path", "write_path", "append"];
    let attacks = tools
        .iter()
        .flat_map(|tool| places.iter().map(|place| call(tool, place)));
    let began = Instant::now();
    let attacked = attack(home, attacks.collect::<Vec<_>>()).await;
    assert!(
        began.elapsed() < Duration::from_secs(50),
        "{:?}",
        began.elapsed()
    );
    for (at, ended) in attacked.attacks.iter().enumerate() {
        let capability = if at < places.len() {
            "fs.read"
        } else {
            "fs.write"
        };
        denied(
            &attacked,
            ended,
            capability,
            &["a FIFO, a device or a socket"],
        );
    }
    // Nobody came to the other end, until now.
    assert!(!waiting.is_finished(), "a plugin opened the FIFO");
    drop(
        fs::File::options()
            .write(true)
            .open(workspace.join("fifo"))
            .unwrap(),
    );
    assert!(waiting.join().unwrap());
}

#[tokio::test]
async fn case_58_a_disk_is_not_filled() {
    let attacks = || {
        [
            much("fill", "big.bin", 4096),
            much("write_far", "far.bin", 8 << 20),
            much("resize", "a.txt", 8 << 20),
        ]
    };
    let home = ground(&[attacker()]).await;
    let attacked = attack(home, attacks()).await;
    for ended in &attacked.attacks {
        ended.check(
            "error",
            &[
                "at most 1MiB to files",
                "`limits.file-bytes`",
                "plugin.toml",
            ],
        );
        audited(&attacked.events, &ended.call, "limits");
    }
    let home = attacked.world.home;
    let length = |home: &Home, file: &str| fs::metadata(home.workspace().join(file)).unwrap().len();
    assert!((512 << 10..=1 << 20).contains(&length(&home, "big.bin")));
    assert_eq!((length(&home, "far.bin"), length(&home, "a.txt")), (0, 6));

    let raised = ground(&[attacker().limits(RAISED)]).await;
    let attacked = attack(raised, attacks()).await;
    all_done(&attacked);
    assert_eq!(length(&attacked.world.home, "big.bin"), 4 << 20);
}

#[tokio::test]
async fn case_58_a_million_files_end_after_a_few() {
    let home = ground(&[attacker()]).await;
    home.write("many/.keep", "");
    let attacked = attack(home, [much("many", "many", 1_000_000)]).await;
    let ended = attacked.attacks[0].check("error", &["creates at most 20 files", "`limits.files`"]);
    audited(&attacked.events, &ended.call, "limits");
    let count = |home: &Home| fs::read_dir(home.workspace().join("many")).unwrap().count() - 1;
    assert_eq!(count(&attacked.world.home), 20);

    let raised = ground(&[attacker().limits(RAISED)]).await;
    raised.write("many/.keep", "");
    let attacked = attack(raised, [much("many", "many", 300)]).await;
    all_done(&attacked);
    assert_eq!(count(&attacked.world.home), 300);
}

#[tokio::test]
async fn case_58_small_calls_do_not_add_up_to_a_full_disk() {
    let home = ground(&[attacker().limits("files = 2")]).await;
    home.write("many/.keep", "");
    let two = |round: u32| {
        let arguments = json!({ "path": "many", "other": format!("{round}-"), "amount": 2 });
        Call::new("many", arguments)
    };
    let attacked = attack(home, (0..17).map(two)).await;
    let (last, others) = attacked.attacks.split_last().unwrap();
    for fine in others {
        fine.check("ok", &[]);
    }
    last.check(
        "error",
        &["creates at most 32 files in one session", "`limits.files`"],
    );
    audited(&attacked.events, &last.call, "limits");
}

#[tokio::test]
async fn case_59_what_decides_about_plugins_is_not_changed_by_one() {
    let home = ground(&[attacker()]).await;
    let before = (home.read("ml-intern.toml"), home.read("ml-intern.lock"));
    home.write(".ml-intern/output/o.txt", "kept");
    let workspace = home.workspace();
    symlink("ml-intern.toml", workspace.join("alias")).unwrap();
    symlink(".ml-intern", workspace.join("own")).unwrap();
    let attacks = [
        call("write_path", "ml-intern.toml"),
        call("write_path", "sub/../ml-intern.lock"),
        call("write_path", "alias"),
        call("append", "ml-intern.toml"),
        much("resize", "ml-intern.lock", 0),
        call("touch", "ml-intern.lock"),
        call("remove", "ml-intern.lock"),
        call("write_path", ".ml-intern/output/o.txt"),
        call("write_path", "own/output/new.txt"),
        call_from("remove", ".ml-intern/output", "o.txt", ""),
        call_to("rename", "a.txt", "ml-intern.toml"),
        call_to("rename", "ml-intern.lock", "old.lock"),
        call_to("rename", ".ml-intern", "old"),
        call_to("link", "ml-intern.toml", "second.toml"),
        call("make_folder", ".ml-intern/new"),
        call_to("symlink", ".ml-intern/new", "../a.txt"),
        call("remove_folder", ".ml-intern/output"),
    ];
    let attacked = attack(home, attacks).await;
    all_denied(
        &attacked,
        "fs.write",
        &["is yours to change and no plugin's", "ml-intern plugin"],
    );
    let home = attacked.world.home;
    assert_eq!(
        (home.read("ml-intern.toml"), home.read("ml-intern.lock")),
        before
    );
    assert_eq!(home.read(".ml-intern/output/o.txt"), "kept");

    // They are read, and files of other names are anybody's.
    let others = [
        call("read_path", "ml-intern.toml"),
        call("read_path", ".ml-intern/output/o.txt"),
        call("write_path", "other.toml"),
        call_to("rename", "other.toml", "other.lock"),
        call("write_path", "sub/ml-intern.toml"),
    ];
    all_done(&attack(home, others).await);
}

#[tokio::test]
async fn case_59_a_missing_lockfile_is_not_made_and_the_hosts_own_files_are_not_reached() {
    let home = ground(&[attacker()]).await;
    let config = home.path().join(".config/ml-intern/config.toml");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    fs::write(&config, "# the user's\n").unwrap();
    symlink(home.path(), home.workspace().join("home")).unwrap();
    let outside = [
        "../home/.config/ml-intern/config.toml",
        "home/.config/ml-intern/config.toml",
        "home/.config/ml-intern/approvals.jsonl",
        "home/.local/share/ml-intern/cache.key",
    ];
    let attacked = attack(home, outside.map(|path| call("write_path", path))).await;
    all_denied(&attacked, "fs.write", &["leads out of /workspace"]);
    assert_eq!(fs::read_to_string(&config).unwrap(), "# the user's\n");
    let approvals = config.with_file_name("approvals.jsonl");
    assert!(!approvals.exists());

    // The manifest may lie elsewhere: then it is protected there, with a lockfile still to come.
    let home = attacked.world.home;
    let made = ["ML-INTERN.toml", ".ml-intern/x", ".ml-intern"];
    let mut attacks = Vec::from(made.map(|path| call("write_path", path)));
    attacks.push(call("make_folder", ".ml-intern"));
    let attacked = attack(home, attacks).await;
    for ended in &attacked.attacks {
        match ended.what.contains(".ml-intern/x") {
            // There is no such folder to put it in.
            true => assert_eq!(ended.status, "error", "{ended:?}"),
            false => denied(&attacked, ended, "fs.write", &["is yours to change"]),
        }
    }
    assert!(!attacked.world.home.workspace().join(".ml-intern").exists());
}

#[tokio::test]
async fn case_18_endless_keys_end_with_a_full_bucket() {
    let home = home(&[attacker().limits(RAISED)]).await;
    let attacked = attack(
        home,
        [
            much("keep_often", "", 1_000_000),
            much("keep_often", "", 100),
        ],
    )
    .await;
    let full = attacked.attacks[0].check("error", &["the bucket is full", "at most 4096 keys"]);
    audited(&attacked.events, &full.call, "limits");
    // Keys that are there are still set.
    attacked.attacks[1].check("ok", &[]);
    let values = attacked.world.home.session().join("values");
    let bytes: u64 = fs::read_dir(values)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(bytes < 64 << 20, "{bytes} bytes");
}

/// What the plugins of the project keep: each file with its content.
fn values(home: &Home) -> Vec<(PathBuf, Vec<u8>)> {
    let projects = home.path().join(".local/share/ml-intern/projects");
    let project = fs::read_dir(projects).unwrap().next().unwrap().unwrap();
    let files = fs::read_dir(project.path().join("values")).unwrap();
    files
        .map(|file| {
            let path = file.unwrap().path();
            let content = fs::read(&path).unwrap();
            (path, content)
        })
        .collect()
}

#[tokio::test]
async fn case_65_keys_are_the_plugins_own_and_no_paths() {
    let victim = attacker()
        .named("victim")
        .manifest(|text| text.replace("stranger/hostile-files", "stranger/victim"));
    let own = [
        call_to("keep", "key", "the victim's"),
        call("recall", "key"),
    ];
    let kept = attack(home(std::slice::from_ref(&victim)).await, own).await;
    kept.attacks[1].check("ok", &["the victim's"]);

    // In the same project another plugin sees nothing of it, whatever it calls its keys.
    let home = kept.world.home;
    let before = values(&home);
    install(&home, &[attacker(), neighbour()]).await;
    let keys = [
        "key",
        "../victim/key",
        "../../values/key",
        "/key",
        "a\0b",
        "..",
        "stranger_victim",
    ];
    let reads = keys.map(|key| call("recall", key));
    let writes = keys.map(|key| call_to("keep", key, "mine"));
    let listed = [call("list_keys", "")];
    let attacked = attack(home, reads.into_iter().chain(writes).chain(listed)).await;
    for (at, ended) in attacked.attacks.iter().enumerate() {
        let says: &[&str] = if at < keys.len() { &["nothing"] } else { &[] };
        ended.check("ok", says);
        assert!(!ended.text.contains("the victim's"), "{ended:?}");
    }
    // Each key is text in a file of its own plugin, and no file was made from a key.
    let home = attacked.world.home;
    let after = values(&home);
    assert_eq!(after.len(), before.len() + 2, "{after:?}");
    for file in &before {
        assert!(after.contains(file), "{} was changed", file.0.display());
    }

    // A bucket is asked for by name, and another's has none.
    let names = ["victim", "../victim", "stranger/victim", ""];
    let attacked = attack(home, names.map(|name| call_to("open_bucket", "", name))).await;
    for ended in &attacked.attacks {
        ended.check("error", &["there is no bucket", "`session` and `project`"]);
        audited(&attacked.events, &ended.call, "keyvalue");
    }
    let names = ["session", "project"].map(|name| call_to("open_bucket", "", name));
    let attacked = attack(attacked.world.home, names).await;
    all_done(&attacked);

    // Its owner finds the key as it was.
    let home = attacked.world.home;
    install(&home, &[victim, neighbour()]).await;
    let attacked = attack(home, [call("recall", "key")]).await;
    attacked.attacks[0].check("ok", &["the victim's"]);
}
