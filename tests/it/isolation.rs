use serde_json::{Value, json};

use crate::support::{
    fake_openai::{Reply, Script},
    world::{World, of_type},
};

/// Places that packages come from, served on this machine.
mod index;

fn bash(command: &str) -> Script {
    let arguments = json!({"command": command, "timeout": 120});
    Script::steps([Reply::call("bash", arguments), Reply::text("done")])
}

fn job(script: &str, dependencies: &[&str]) -> Script {
    let arguments =
        json!({"script": script, "dependencies": dependencies, "timeout": 120, "wait": 120});
    Script::steps([Reply::call("job_run", arguments), Reply::text("done")])
}

/// Runs a session to its end and returns what the model was told.
async fn told(world: &World) -> String {
    let done = world.run(["--permission-mode=auto", "go"]).run().await;
    done.assert_code(0);
    world.results()[0].clone()
}

/// The audit events of the session's log.
async fn audits(world: &World) -> Vec<Value> {
    let log = std::fs::read_to_string(world.home.session().join("events.jsonl")).unwrap();
    let events: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    of_type(&events, "audit").into_iter().cloned().collect()
}

#[tokio::test]
async fn a_command_sees_the_workspace_and_not_the_home() {
    let command =
        "cat \"$SECRET_FILE\" /etc/shadow; ls -A ~/.. | head -5; echo hi > made; cat made";
    let world = World::new(bash(&command.replace("$SECRET_FILE", "../home/.netrc"))).await;
    std::fs::write(world.home.path().join(".netrc"), "machine secret").unwrap();
    let result = told(&world).await;
    assert!(
        !result.contains("secret") && !result.contains("root:"),
        "{result}"
    );
    assert!(result.contains("hi"), "{result}");
    assert_eq!(world.home.read("made"), "hi\n");
}

#[tokio::test]
async fn a_command_cannot_grant_anything() {
    let command = "echo '[plugins.shell]' > ml-intern.toml; rm -rf ml-intern.toml ml-intern.lock; mkdir -p x && mv x ml-intern.lock; ls -d ml-intern.toml/x ml-intern.lock/x; echo end";
    let world = World::new(bash(command)).await;
    let result = told(&world).await;
    assert!(result.contains("end"), "{result}");
    let left: Vec<_> = std::fs::read_dir(world.home.workspace())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| *name != "x")
        .collect();
    assert!(left.is_empty(), "{left:?}");
    world.home.write("ml-intern.toml", "[agent]\n");
    world
        .run(["--permission-mode=auto", "--continue", "go"])
        .run()
        .await;
    assert_eq!(world.home.read("ml-intern.toml"), "[agent]\n");
}

#[tokio::test]
async fn what_one_command_starts_and_writes_the_next_one_finds() {
    let first = "nohup python3 -m http.server 8199 --bind 127.0.0.1 > log 2>&1 & echo x > /tmp/kept; for i in $(seq 100); do python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 8199))' 2> /dev/null && break; sleep 0.1; done; echo up";
    let second = "cat /tmp/kept; python3 -c 'import urllib.request as r; print(r.urlopen(\"http://127.0.0.1:8199/\").status)'";
    let script = Script::steps([
        Reply::call("bash", json!({"command": first})),
        Reply::call("bash", json!({"command": second})),
        Reply::text("done"),
    ]);
    let world = World::new(script).await;
    told(&world).await;
    let results = world.results();
    assert!(results[0].contains("up"), "{results:?}");
    assert!(results[1].contains("x\n200"), "{results:?}");
    // The session is over, and the server with it.
    assert!(std::net::TcpStream::connect("127.0.0.1:8199").is_err());
}

const FETCH: &str = "python3 -c '
import urllib.request as r
try: print(r.urlopen(\"URL\").read().decode())
except Exception as error: print(error, getattr(error, \"read\", bytes)().decode())'";

#[tokio::test]
async fn the_network_is_off_and_the_refusal_says_how_to_turn_it_on() {
    let url = "http://packages.example.org/";
    let world = World::new(bash(&FETCH.replace("URL", url))).await;
    let result = told(&world).await;
    let command = "ml-intern plugin grant shell --network packages.example.org";
    assert!(
        result.contains("403") && result.contains(command),
        "{result}"
    );
    let audits = audits(&world).await;
    let denied = audits
        .iter()
        .find(|audit| audit["capability"] == "network")
        .unwrap();
    assert_eq!(denied["verdict"], "denied");
    assert_eq!(denied["target"], format!("GET {url}"));
}

/// A host that writes its manifest anew gives a program that runs no file to write.
#[tokio::test]
async fn a_change_of_the_manifest_opens_it_to_nobody() {
    let command = "echo there > ready; for i in $(seq 200); do [ -e changed ] && break; sleep 0.05; done; \
        echo '# mine' >> ml-intern.toml; mv ml-intern.toml away; echo x > new; mv new ml-intern.toml; \
        cat ml-intern.toml";
    let world = World::new(bash(command)).await;
    let all = "[plugins.files]\n[plugins.shell]\n[plugins.train]\n";
    world.home.write("ml-intern.toml", all);
    let running = world.run(["--permission-mode=auto", "go"]).start();
    let ready = world.home.workspace().join("ready");
    for _ in 0..400 {
        if ready.exists() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let revoke = ["plugin", "revoke", "files", "--fs", "read-write"];
    let revoked = world.home.ml_intern(revoke).run().await;
    revoked.assert_code(0);
    let changed = world.home.read("ml-intern.toml");
    assert_ne!(changed, all);
    world.home.write("changed", "");
    running.finish().await.assert_code(0);
    assert_eq!(world.home.read("ml-intern.toml"), changed);
    // It is the program's file too, as it is now.
    assert!(
        world.results()[0].contains(changed.trim()),
        "{:?}",
        world.results()
    );
}

#[tokio::test]
async fn a_granted_place_is_reached_after_the_command_that_the_refusal_names() {
    let server = index::Index::start().await;
    let url = format!("http://127.0.0.1:{}/", server.port);
    let world = World::new(bash(&FETCH.replace("URL", &url))).await;
    let place = format!("127.0.0.1:{}", server.port);
    let granted = world
        .home
        .ml_intern(["plugin", "grant", "shell", "--yes", "--network", &place])
        .run()
        .await;
    granted.assert_code(0);
    let manifest = world.home.read("ml-intern.toml");
    assert!(
        manifest.contains(&format!("network = [\"{place}\"]")),
        "{manifest}"
    );
    let result = told(&world).await;
    assert!(result.contains("index of this machine"), "{result}");
    let audits = audits(&world).await;
    let allowed = audits
        .iter()
        .find(|audit| audit["capability"] == "network")
        .unwrap();
    assert_eq!(allowed["status"], 200);
    assert_eq!(allowed["rule"], format!("network {place}"));
    assert!(allowed["received_bytes"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn packages_come_from_a_granted_index() {
    let server = index::Index::start().await;
    let simple = format!("http://127.0.0.1:{}/simple", server.port);
    let install = format!(
        "python3 -m venv .venv && .venv/bin/pip install --disable-pip-version-check --no-cache-dir -q --index-url {simple} hello-wheel && .venv/bin/python -c 'import hello_wheel; print(hello_wheel.WORD)'"
    );
    let world = World::new(bash(&install)).await;
    let place = format!("127.0.0.1:{}", server.port);
    world.home.write(
        "ml-intern.toml",
        format!(
            "[plugins.shell.grant]\nprocess = {{ programs = [\"sh\"], network = [{place:?}] }}\n"
        ),
    );
    let result = told(&world).await;
    assert!(result.contains("forty-two"), "{result}");
}

#[tokio::test]
async fn a_job_that_needs_packages_fails_before_anything_runs_and_says_what_to_grant() {
    let world = World::new(job("print(1)", &["hello-wheel"])).await;
    let result = told(&world).await;
    assert!(
        result.contains("ml-intern plugin grant train --network public"),
        "{result}"
    );
    let jobs = world.home.ml_intern(["jobs", "list", "--json"]).run().await;
    assert_eq!(jobs.stdout, "[]\n");
    // Without packages there is nothing to grant.
    let world = World::new(job("print(6 * 7)", &[])).await;
    let result: Value = serde_json::from_str(&told(&world).await).unwrap();
    assert_eq!(result["state"], "succeeded", "{result}");
}

#[tokio::test]
async fn a_job_fetches_what_was_granted_and_nothing_else() {
    let server = index::Index::start().await;
    let simple = format!("http://127.0.0.1:{}/simple", server.port);
    let script = format!(
        "import os, urllib.request as r\nimport hello_wheel\nprint(hello_wheel.WORD)\nprint(r.urlopen('http://127.0.0.1:{}/').read().decode())\ntry: r.urlopen('http://other.test/')\nexcept Exception as error: print('refused', error)\nprint('token', os.path.exists('../home/.netrc'))",
        server.port
    );
    let arguments = json!({"script": script, "dependencies": ["hello-wheel"], "env": {"PIP_INDEX_URL": simple, "UV_INDEX_URL": simple}, "timeout": 120, "wait": 120});
    let script = Script::steps([Reply::call("job_run", arguments), Reply::text("done")]);
    let world = World::new(script).await;
    std::fs::write(world.home.path().join(".netrc"), "secret").unwrap();
    let place = format!("127.0.0.1:{}", server.port);
    world.home.write(
        "ml-intern.toml",
        format!(
            "[plugins.train.grant]\nfs = [{{ mount = \"/workspace\", access = \"read\" }}]\njobs = {{ flavors = [\"*\"], max-usd = 100, network = [{place:?}] }}\n"
        ),
    );
    let result = told(&world).await;
    for expected in [
        "forty-two",
        "index of this machine",
        "refused HTTP Error 403",
        "token False",
    ] {
        assert!(result.contains(expected), "{expected}: {result}");
    }
    let jobs = world.home.ml_intern(["jobs", "list", "--json"]).run().await;
    let jobs: Vec<Value> = serde_json::from_str(&jobs.stdout).unwrap();
    let id = jobs[0]["id"].as_str().unwrap();
    let shown = world.home.ml_intern(["jobs", "show", id]).run().await;
    let refused = "network GET http://other.test/ → denied";
    assert!(shown.stdout.contains(refused), "{}", shown.stdout);
    let shown = world
        .home
        .ml_intern(["jobs", "show", id, "--json"])
        .run()
        .await;
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    let rules = shown["network"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["rule"]);
    assert!(
        rules
            .into_iter()
            .any(|rule| *rule == json!(format!("network {place}"))),
        "{shown}"
    );
}

#[tokio::test]
async fn who_accepts_no_isolation_gets_none_and_is_told() {
    let world = World::new(bash("cat ../home/.netrc")).await;
    std::fs::write(world.home.path().join(".netrc"), "machine secret").unwrap();
    world
        .home
        .write("ml-intern.toml", "[programs]\nisolation = \"none\"\n");
    assert!(told(&world).await.contains("machine secret"));
    let doctor = world.home.ml_intern(["doctor", "--json"]).run().await;
    let checks: Vec<Value> = serde_json::from_str(&doctor.stdout).unwrap();
    let check = checks
        .iter()
        .find(|check| check["check"] == "programs run")
        .unwrap();
    assert_eq!(check["health"], "weak");
    assert!(
        check["text"]
            .as_str()
            .unwrap()
            .contains("isolation = \"none\""),
        "{check}"
    );
}

#[tokio::test]
async fn folders_of_the_manifest_are_seen_and_missing_ones_are_named() {
    let world = World::new(bash("cat ~/../home/data/x ../home/data/x")).await;
    let data = world.home.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("x"), "a data set").unwrap();
    world
        .home
        .write("ml-intern.toml", "[programs]\nread = [\"~/data\"]\n");
    assert!(told(&world).await.contains("a data set"));
    let world = World::new(bash("true")).await;
    world
        .home
        .write("ml-intern.toml", "[programs]\nread = [\"~/no-such\"]\n");
    let result = told(&world).await;
    assert!(
        result.contains("no-such") && result.contains("does not exist"),
        "{result}"
    );
}
