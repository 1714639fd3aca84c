use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use ml_intern_exec::{ExecError, Isolation, run};
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, check_support, finish, is_root, text};

#[tokio::test]
async fn a_token_in_the_home_is_not_there() {
    let bench = Bench::new();
    let file = bench.home.join("token");
    let script =
        format!("print('reached' if open({file:?}).read() == 'hf_secret' else 'reached not')");
    bench.attack(&script).await;
}

#[tokio::test]
async fn a_link_in_the_workspace_leads_nowhere() {
    let bench = Bench::new();
    symlink(bench.home.join("token"), bench.workspace.join("link")).unwrap();
    let script = "print('reached' if open('link').read() == 'hf_secret' else 'reached not')";
    bench.attack(script).await;
}

#[tokio::test]
async fn passwords_of_the_system_are_not_there() {
    let bench = Bench::new();
    let script = "open('/etc/shadow').read(); print('reached')";
    if is_root() {
        bench.attack(script).await;
    } else {
        bench.held(script).await;
    }
    bench
        .held("open('/etc/ssh/ssh_config').read(); print('reached')")
        .await;
}

#[tokio::test]
async fn nothing_is_written_outside() {
    let bench = Bench::new();
    let file = bench.home.join("new");
    bench
        .attack(&format!("open({file:?}, 'w').write('x'); print('reached')"))
        .await;
    // The first attack was the one without isolation.
    fs::remove_file(&file).unwrap();
    for path in [
        "/usr/new",
        "/etc/passwd",
        "/new",
        "/proc/sys/kernel/core_pattern",
        "/sys/new",
    ] {
        bench
            .held(&format!("open({path:?}, 'a').write('x'); print('reached')"))
            .await;
    }
    assert!(!file.exists());
}

#[tokio::test]
async fn a_device_is_used_and_not_changed() {
    check_support().await;
    let before = fs::metadata("/dev/null").unwrap();
    let bench = Bench::new();
    let script = "echo x > /dev/null && echo used; head -c 2 /dev/zero | wc -c; \
        for change in 'chmod 644' 'touch' 'chown 1:1' 'rm -f'; do $change /dev/null 2> err && echo \"$change\"; done; true";
    let held = finish(bench.shell(script, Isolation::Full)).await;
    assert_eq!(text(&held), "used\n2");
    let after = fs::metadata("/dev/null").unwrap();
    let state = |file: &fs::Metadata| (file.mode(), file.uid(), file.mtime(), file.ctime());
    assert_eq!(state(&after), state(&before));
}

#[tokio::test]
async fn the_hosts_own_files_are_hidden_also_within_the_workspace() {
    check_support().await;
    let bench = Bench::new();
    let state = bench.workspace.join("state");
    fs::create_dir(&state).unwrap();
    fs::write(state.join("key"), "secret").unwrap();
    fs::write(bench.workspace.join("file"), "secret").unwrap();
    let mut command = bench.shell("cat state/key file; ls -A state", Isolation::Full);
    command.view.hidden = vec![state, bench.workspace.join("file")];
    let held = finish(command).await;
    assert_eq!(text(&held), "");
    let free = finish(bench.shell("cat state/key", Isolation::None)).await;
    assert_eq!(text(&free), "secret");
}

#[tokio::test]
async fn a_workspace_that_is_the_home_keeps_its_secrets() {
    check_support().await;
    let bench = Bench::new();
    fs::create_dir(bench.workspace.join(".ssh")).unwrap();
    fs::write(bench.workspace.join(".ssh/id"), "secret").unwrap();
    let mut command = bench.shell("cat .ssh/id", Isolation::Full);
    command.view.home = Some(bench.workspace.clone());
    assert_eq!(text(&finish(command).await), "");
    let mut asked = bench.shell("cat .ssh/id", Isolation::Full);
    asked.view.home = Some(bench.workspace.clone());
    asked.view.read = vec![bench.workspace.join(".ssh")];
    assert_eq!(text(&finish(asked).await), "secret");
}

#[tokio::test]
async fn further_folders_are_read_or_written_as_the_user_said() {
    check_support().await;
    let bench = Bench::new();
    let script = format!(
        "cat {0}/token; echo; echo x > {0}/new || echo held",
        bench.home.display()
    );
    let mut command = bench.shell(&script, Isolation::Full);
    command.view.read = vec![bench.home.clone()];
    assert_eq!(text(&finish(command).await), "hf_secret\nheld");
    let mut command = bench.shell(&script, Isolation::Full);
    command.view.write.push(bench.home.clone());
    assert_eq!(text(&finish(command).await), "hf_secret");
    assert!(bench.home.join("new").is_file());
    let mut command = bench.shell("true", Isolation::Full);
    command.view.read = vec![bench.home.join("no-such-folder")];
    let error = run(command, &CancellationToken::new(), |_, _| {})
        .await
        .unwrap_err();
    assert!(matches!(error, ExecError::InvalidInput(_)), "{error}");
}

/// Every way to change a file that a program finds, and to make one that it does not find.
const TAMPER: &str = "
for name in ml-intern.toml ml-intern.lock .ml-intern; do
    echo grant > $name && echo wrote $name
    rm -rf $name; [ -e $name ] || echo removed $name
    mv $name away 2> /dev/null && echo moved $name
    echo grant > new; mv -T new $name 2> /dev/null && echo replaced $name
    ln -sfn elsewhere $name; [ -L $name ] && echo linked $name
    ln new $name 2> /dev/null && echo hard $name
    mkdir -p $name; echo grant > $name/new && echo inside $name
    chmod 777 $name 2> /dev/null && echo chmod $name
    touch $name 2> /dev/null && [ $name -nt reference ] && echo touched $name
done 2> /dev/null
true";

#[tokio::test]
async fn protected_files_stay_as_they_are() {
    let bench = Bench::new();
    let make = || {
        fs::write(bench.workspace.join("ml-intern.toml"), "mine").unwrap();
        fs::write(bench.workspace.join("ml-intern.lock"), "mine").unwrap();
        fs::create_dir_all(bench.workspace.join(".ml-intern/output")).unwrap();
        fs::write(bench.workspace.join("reference"), "").unwrap();
    };
    make();
    assert_eq!(bench.sh(TAMPER).await, "");
    let manifest = fs::read_to_string(bench.workspace.join("ml-intern.toml"));
    assert_eq!(manifest.unwrap(), "mine");
    assert!(bench.workspace.join(".ml-intern/output").is_dir());
    let free = finish(bench.shell(TAMPER, Isolation::None)).await;
    let said = text(&free);
    assert!(
        said.contains("wrote ml-intern.toml") && said.contains("replaced"),
        "{said}"
    );
}

#[tokio::test]
async fn protected_files_that_are_missing_cannot_be_made() {
    let bench = Bench::new();
    let names = ["ml-intern.toml", "ml-intern.lock", ".ml-intern"];
    assert_eq!(bench.sh(TAMPER).await, "");
    // The handle lets go of them a moment after the program has ended.
    for _ in 0..200 {
        if names
            .iter()
            .all(|name| !bench.workspace.join(name).exists())
        {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    for name in names {
        assert!(!bench.workspace.join(name).exists(), "{name}");
    }
    let free = finish(bench.shell("echo grant > ml-intern.toml", Isolation::None)).await;
    assert_eq!(free.exit_code, Some(0));
    assert!(bench.workspace.join("ml-intern.toml").is_file());
}

#[tokio::test]
async fn a_manifest_further_below_cannot_be_moved_away_with_its_folder() {
    check_support().await;
    let bench = Bench::new();
    let manifest = bench.workspace.join("a/b/ml-intern.toml");
    let script = "mv a c; mv a/b a/c; mkdir -p a/b; echo grant > a/b/ml-intern.toml; cat a/b/ml-intern.toml; echo fine > a/b/other";
    for level in [Isolation::Full, Isolation::None] {
        fs::create_dir_all(manifest.parent().unwrap()).unwrap();
        fs::write(&manifest, "mine").unwrap();
        let mut command = bench.shell(script, level);
        command.view.protected = vec![manifest.clone()];
        let outcome = finish(command).await;
        let expected = match level {
            Isolation::Full => "mine",
            _ => "grant",
        };
        assert_eq!(text(&outcome), expected);
        assert!(bench.workspace.join("a/b/other").is_file());
    }
}

#[tokio::test]
async fn temporary_files_are_the_programs_own() {
    let bench = Bench::new();
    let marker = tempfile::NamedTempFile::new().unwrap();
    let script = format!(
        "ls {}; ls -A /tmp; echo x > /tmp/mine; ls -A /var/tmp",
        marker.path().display()
    );
    check_support().await;
    let held = finish(bench.shell(&script, Isolation::Full)).await;
    let own = bench
        .directory
        .path()
        .file_name()
        .unwrap()
        .to_string_lossy();
    assert_eq!(text(&held), format!("{own}\n{own}\nmine"));
    assert!(!std::path::Path::new("/tmp/mine").exists());
    let folder = tempfile::tempdir().unwrap();
    let mut command = bench.shell("echo x > /tmp/kept", Isolation::Full);
    command.view.tmp = Some(folder.path().to_owned());
    finish(command).await;
    assert!(folder.path().join("kept").is_file());
}

#[tokio::test]
async fn the_tree_holds_the_system_and_little_else() {
    let bench = Bench::new();
    let listed = bench
        .sh("ls /dev /run /home /root /var /mnt 2> /dev/null; ls /etc")
        .await;
    for absent in [
        "shadow",
        "sda",
        "vda",
        "kvm",
        "mem",
        "docker.sock",
        "lib",
        "sudoers",
    ] {
        assert!(
            !listed.lines().any(|line| line == absent),
            "{absent}: {listed}"
        );
    }
    for present in ["null", "urandom", "shm", "passwd"] {
        assert!(
            listed.lines().any(|line| line == present),
            "{present}: {listed}"
        );
    }
}
