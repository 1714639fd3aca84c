//! Cases 66 to 70: bytes, descriptions and identities that are not what was approved, and a
//! compile cache that somebody wrote into.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::approvals::{answer_all, asked};
use crate::support::{
    fake_openai::{Call, FakeOpenAi, Reply, Script},
    guests::{Installed, guest, install, outcomes},
    ml_intern::{Finished, Home},
    world::World,
};

use super::describe::describing;
use super::support::neighbour;

/// A model that makes one call of the tool that the prompt names.
async fn world(home: Home) -> World {
    let script = Script::new(|asked| match asked.last_text() {
        "done" => Reply::text("done"),
        tool if tool.starts_with("call ") => {
            let arguments = match tool {
                "call remember" => json!({ "value": "kept" }),
                _ => json!({}),
            };
            Reply::calls([Call::new(&tool[5..], arguments)])
        }
        _ => Reply::text("done"),
    });
    let fake = FakeOpenAi::start(script).await;
    home.set("OPENAI_BASE_URL", fake.base_url());
    World { home, fake }
}

async fn neighbour_answers(world: &World) -> Finished {
    let done = world.run(["--json", "call neighbour"]).run().await;
    done.assert_code(0);
    assert_eq!(outcomes(&done.events()), [("ok", "good")]);
    done
}

/// The run does not begin, says all of `says`, and asks no model.
async fn stops(world: &World, says: &[&str]) {
    let before = world.fake.exchanges().len();
    let stopped = world.run(["call neighbour"]).run().await;
    stopped.assert_code(7);
    for text in says {
        assert!(
            stopped.stderr.contains(text),
            "no `{text}` in {}",
            stopped.stderr
        );
    }
    assert_eq!(world.fake.exchanges().len(), before);
}

async fn lock(home: &Home) -> Finished {
    let locked = home.ml_intern(["plugin", "lock"]).run().await;
    locked.assert_code(0);
    locked
}

/// Every file of the compile cache of a cold home.
fn cached(home: &Home) -> Vec<PathBuf> {
    fn below(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => below(&path, found),
                false => found.push(path),
            }
        }
    }
    let mut found = Vec::new();
    below(&home.path().join(".cache/ml-intern"), &mut found);
    found.sort();
    found
}

#[tokio::test]
async fn case_66_a_cache_that_was_written_into_is_made_anew() {
    let home = Home::cold();
    install(&home, &[neighbour()]).await;
    let world = world(home).await;
    let quiet = |done: &Finished| !done.stderr.contains("not used");
    neighbour_answers(&world).await;
    assert!(quiet(&neighbour_answers(&world).await));

    let files = cached(&world.home);
    let whole: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    let restored = || {
        files
            .iter()
            .zip(&whole)
            .all(|(file, whole)| fs::read(file).unwrap() == *whole)
    };
    // Compiled code and descriptions of the provider, the neighbour and what comes with the program.
    assert!(files.len() >= 4, "{files:?}");
    let elsewhere = world.home.path().join("elsewhere");
    type Tamper<'a> = (&'a str, &'a dyn Fn(usize, &Path));
    let tampers: [Tamper<'_>; 4] = [
        ("changed", &|number, file| {
            let mut bytes = whole[number].clone();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(file, bytes).unwrap();
        }),
        ("swapped", &|number, file| {
            fs::write(file, &whole[(number + 1) % whole.len()]).unwrap();
        }),
        ("linked", &|number, file| {
            let target = elsewhere.join(number.to_string());
            fs::create_dir_all(&elsewhere).unwrap();
            fs::rename(file, &target).unwrap();
            std::os::unix::fs::symlink(&target, file).unwrap();
        }),
        ("cut off", &|number, file| {
            fs::write(file, &whole[number][..whole[number].len() / 2]).unwrap();
        }),
    ];
    for (how, tamper) in tampers {
        for (number, file) in files.iter().enumerate() {
            tamper(number, file);
        }
        let done = neighbour_answers(&world).await;
        assert!(!quiet(&done), "{how}: {}", done.stderr);
        let again = neighbour_answers(&world).await;
        assert!(quiet(&again), "{how}: {}", again.stderr);
        assert!(files.iter().all(|file| !file.is_symlink()), "{how}");
        // What is put back is used: the tampering was all that was wrong.
        for (file, whole) in files.iter().zip(&whole) {
            fs::write(file, whole).unwrap();
        }
        assert!(
            quiet(&neighbour_answers(&world).await) && restored(),
            "{how}"
        );
    }
}

#[tokio::test]
async fn case_67_another_description_of_the_same_bytes_stops_and_asks() {
    // Way 40 says something else each time that it is asked, way 0 the same.
    for (way, steady) in [(0, true), (40, false)] {
        let home = Home::cold();
        install(&home, &[neighbour(), describing(way)]).await;
        assert!(home.read("ml-intern.lock").contains("describe = \"sha256:"));
        let world = world(home).await;
        neighbour_answers(&world).await;
        // Another machine, or a cache that was emptied.
        let kept = world
            .home
            .path()
            .join(".cache/ml-intern/components/describe-1");
        fs::remove_dir_all(kept).unwrap();
        if steady {
            neighbour_answers(&world).await;
            continue;
        }
        let says = [
            "[plugins.described] describes its tools in another way than when it was approved",
            "ml-intern plugin lock",
        ];
        stops(&world, &says).await;
        let locked = lock(&world.home).await;
        assert!(
            locked
                .stdout
                .contains("plugins.described: describe was sha256:")
        );
        neighbour_answers(&world).await;
    }
}

#[tokio::test]
async fn case_67_changed_bytes_and_a_changed_description_stop_and_ask() {
    let home = Home::new();
    install(&home, &[neighbour(), describing(0)]).await;
    let world = world(home).await;
    neighbour_answers(&world).await;
    world.home.write("described.wasm", describing(1).bytes());
    stops(
        &world,
        &["plugins.described: sha256 was", "ml-intern plugin lock"],
    )
    .await;
    let locked = lock(&world.home).await;
    for says in [
        "plugins.described: sha256 was",
        "plugins.described: describe was",
    ] {
        assert!(locked.stdout.contains(says), "{}", locked.stdout);
    }
    neighbour_answers(&world).await;
}

#[tokio::test]
async fn case_67_an_upgrade_that_asks_for_more_gets_no_more() {
    let home = Home::new();
    let first = Installed::guest("naughty").manifest(|text| {
        let more = text
            .find("[request.process]")
            .expect("it asks for programs");
        let limits = text.find("[limits]").expect("it has limits");
        format!("{}{}", &text[..more], &text[limits..])
    });
    install(&home, &[neighbour(), first]).await;
    let world = world(home).await;
    neighbour_answers(&world).await;

    let upgrade = Installed::guest("naughty").manifest(|text| text.replace("0.1.0", "0.2.0"));
    world.home.write("naughty.wasm", upgrade.bytes());
    let says = [
        "plugins.naughty: version was 0.1.0, is 0.2.0",
        "plugins.naughty: sha256 was",
    ];
    stops(&world, &says).await;
    let shown = world
        .home
        .ml_intern(["plugin", "info", "naughty"])
        .run()
        .await;
    let (may, asks) = shown
        .stdout
        .split_once("not granted")
        .expect("it asks for more");
    assert!(
        may.contains("only compute") && asks.contains("sleep"),
        "{}",
        shown.stdout
    );
    lock(&world.home).await;
    let done = world.run(["--json", "call run_program"]).run().await;
    assert_eq!(outcomes(&done.events())[0].0, "denied");

    // Granted, it runs.
    let manifest = world.home.read("ml-intern.toml");
    let granted = manifest.replace(
        "[plugins.naughty.grant]\n",
        "[plugins.naughty.grant]\nprocess = { programs = [\"env\"] }\n",
    );
    world.home.write("ml-intern.toml", granted);
    stops(&world, &["plugins.naughty: grant"]).await;
}

#[tokio::test]
async fn case_68_two_components_an_oversize_one_and_paths_out_of_a_folder_are_refused() {
    let home = Home::new();
    install(&home, &[neighbour()]).await;
    let manifest = home.read("ml-intern.toml");
    let add = |source: &'static str| home.ml_intern(["plugin", "add", source, "--yes"]).run();
    home.write(
        "folder/plugin.toml",
        crate::support::guests::guest_manifest("naughty"),
    );
    home.write("folder/naughty.wasm", guest("naughty"));
    home.write("folder/other.wasm", guest("many"));
    let two = add("folder").await;
    two.assert_code(7);
    assert!(
        two.stderr.contains("holds 2 `.wasm` files"),
        "{}",
        two.stderr
    );

    fs::remove_file(home.workspace().join("folder/other.wasm")).unwrap();
    let other = crate::support::guests::guest_manifest("many");
    home.write("folder/plugin.toml", other);
    let wrong = add("folder").await;
    wrong.assert_code(7);
    let says = "was built from another `plugin.toml`";
    assert!(wrong.stderr.contains(says), "{}", wrong.stderr);

    home.write("large.wasm", "");
    let large = home.workspace().join("large.wasm");
    let large = fs::File::options().write(true).open(large).unwrap();
    large.set_len(1 << 40).unwrap();
    let oversize = add("large.wasm").await;
    oversize.assert_code(7);
    assert!(
        oversize.stderr.contains("1099511627776 bytes"),
        "{}",
        oversize.stderr
    );
    assert_eq!(home.read("ml-intern.toml"), manifest);

    // The lockfile says what a source was; it does not say what is loaded.
    let world = world(home).await;
    world.home.write("../evil.wasm", guest("naughty"));
    let locked = world.home.read("ml-intern.lock");
    let evil = locked.replace("./good.wasm", "../evil.wasm");
    assert_ne!(evil, locked);
    world.home.write("ml-intern.lock", evil);
    neighbour_answers(&world).await;

    // Made whole, the folder is a plugin.
    world.home.write(
        "folder/plugin.toml",
        crate::support::guests::guest_manifest("naughty"),
    );
    let whole = world
        .home
        .ml_intern(["plugin", "add", "folder", "--yes"])
        .run()
        .await;
    whole.assert_code(0);
}

/// The guest with another custom section at its end: the same id, version and behaviour.
fn squatter() -> Installed {
    let mut bytes = guest("naughty");
    bytes.extend(b"\0\x06\x04note!");
    Installed::component("naughty", bytes)
}

fn entry_of(source: &str) -> String {
    let entry = Installed::guest("naughty")
        .grant("fs = [{ mount = \"/workspace\", access = \"read-write\" }]")
        .entry();
    entry.replace("./naughty.wasm", source)
}

#[tokio::test]
async fn case_69_another_component_with_the_same_id_inherits_no_values() {
    for (source, inherits) in [("./squatter.wasm", "nothing"), ("./naughty.wasm", "kept")] {
        let home = Home::new();
        let auto = "[agent]\npermission-mode = \"auto\"\n";
        home.write("naughty.wasm", guest("naughty"));
        home.write("squatter.wasm", squatter().bytes());
        home.write(
            "ml-intern.toml",
            format!("{auto}{}", entry_of("./naughty.wasm")),
        );
        lock(&home).await;
        let world = world(home).await;
        let first = world.run(["--json", "call remember"]).run().await;
        assert_eq!(outcomes(&first.events()), [("ok", "remembered")]);
        let session = first.result()["session"].clone();

        world
            .home
            .write("ml-intern.toml", format!("{auto}{}", entry_of(source)));
        lock(&world.home).await;
        let go_on = [
            "--json",
            "--resume",
            session.as_str().unwrap(),
            "call recall",
        ];
        let next = world.run(go_on).run().await;
        assert_eq!(outcomes(&next.events()).last(), Some(&("ok", inherits)));
    }
}

#[tokio::test]
async fn case_69_another_component_with_the_same_id_inherits_no_grant_and_no_answer() {
    let home = Home::new();
    home.write("naughty.wasm", guest("naughty"));
    home.write("ml-intern.toml", entry_of("./naughty.wasm"));
    lock(&home).await;
    let world = world(home).await;
    let questions = |done: &Finished| asked(&done.events()).len();
    let running = world.run_json(["call write_file"]).start();
    let (seen, done) = answer_all(running, 1, "allow_always").await;
    done.assert_code(0);
    assert!(
        seen[0]["plugin"]
            .as_str()
            .unwrap()
            .starts_with("stranger/naughty@0.1.0")
    );
    let again = world.run_json(["call write_file"]).run().await;
    assert_eq!(questions(&again), 0);

    world.home.write("naughty.wasm", squatter().bytes());
    stops(&world, &["plugins.naughty: sha256 was"]).await;
    lock(&world.home).await;
    let asks = world.run_json(["call write_file"]).run().await;
    assert_eq!(questions(&asks), 1);
    assert_eq!(outcomes(&asks.events())[0].0, "denied");

    // A layer that puts another source in a name's place starts with nothing granted.
    let user = world.home.path().join(".config/ml-intern/config.toml");
    fs::create_dir_all(user.parent().unwrap()).unwrap();
    fs::write(
        &user,
        entry_of("./naughty.wasm")
            .replace("\"./", &format!("\"{}/", world.home.workspace().display())),
    )
    .unwrap();
    let listed = || world.home.ml_intern(["plugin", "list", "--json"]).run();
    let grants = |listed: &Finished| {
        let list: Value = serde_json::from_str(&listed.stdout).unwrap();
        let own = list
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["name"] == "naughty");
        own.unwrap()["grants"].as_array().unwrap().len()
    };
    world.home.write("ml-intern.toml", "");
    assert_eq!(grants(&listed().await), 1);
    world.home.write("squatter.wasm", squatter().bytes());
    world.home.write(
        "ml-intern.toml",
        "[plugins.naughty]\nsource = \"./squatter.wasm\"\n",
    );
    assert_eq!(grants(&listed().await), 0);
}

#[tokio::test]
async fn case_70_an_older_build_in_place_of_the_locked_one_is_refused() {
    let home = Home::new();
    let of =
        |version: &str| Installed::guest("good").manifest(|text| text.replace("0.1.0", version));
    install(&home, &[of("0.2.0")]).await;
    let world = world(home).await;
    neighbour_answers(&world).await;
    world.home.write("good.wasm", of("0.1.9").bytes());
    stops(
        &world,
        &["plugins.good: version was 0.2.0, is 0.1.9", "sha256 was"],
    )
    .await;
    // Nor does one that only says that it is as new.
    let disguised = Installed::component("good", describing(0).bytes());
    world.home.write("good.wasm", disguised.bytes());
    stops(&world, &["plugins.good: id was stranger/good"]).await;
    world.home.write("good.wasm", of("0.2.0").bytes());
    neighbour_answers(&world).await;
}
