//! Guests as plugins of a session: what they are made of, what they are granted, and how their
//! calls ended.

use serde_json::Value;

use super::{
    fake_openai::{Asked, Call, FakeOpenAi, Reply, Script},
    ml_intern::{Finished, Home},
    world::{World, of_type},
};

include!(concat!(env!("OUT_DIR"), "/guests.rs"));

// The component of each guest, and a module with tests for each.
macro_rules! guests {
    ($($name:ident $path:literal)*) => {
        const GUESTS: &[(&str, &str)] = &[$((stringify!($name), $path)),*];
        mod tested {
            use crate::{hostile::guests::*, plugins::guests::*, providers::guests::*};
            $(#[expect(unused_imports, reason = "it has to be there")] use self::$name as _;)*
        }
    };
}
foreach_guest!(guests);

/// The bytes of a guest.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    let own = name.replace('-', "_");
    let found = GUESTS.iter().find(|(name, _)| *name == own);
    let (_, path) = found.unwrap_or_else(|| panic!("no guest `{name}`"));
    std::fs::read(path).unwrap()
}

/// The `plugin.toml` of a guest.
pub(crate) fn guest_manifest(name: &str) -> String {
    let folder = format!("{}/guests/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(format!("{folder}/plugin.toml")).unwrap()
}

/// A component with this text as the manifest that counts: the section of the component itself
/// goes before the one that a Rust guest carries in its core module.
pub(crate) fn with_manifest(mut component: Vec<u8>, manifest: &str) -> Vec<u8> {
    let name = "ml-intern:plugin";
    let content = [&[name.len() as u8], name.as_bytes(), manifest.as_bytes()].concat();
    component.push(0);
    let mut left = content.len();
    while left > 0x7f {
        component.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    component.push(left as u8);
    component.extend(content);
    component
}

/// The version of the contract that the guests of this run speak, when it is not the newest:
/// `scripts/test` sends the hostile suite through every shim of the host.
const TESTED_ABI: &str = "ML_INTERN_TEST_ABI";

/// The component as it would be, built against the version under test. The versions have the names of
/// one length, and 0.2 only adds to 0.1, so that the names are all that differs.
fn for_tested_abi(component: Vec<u8>) -> Vec<u8> {
    match std::env::var(TESTED_ABI).as_deref() {
        Err(_) | Ok("0.2") => component,
        Ok("0.1") => lowered(&component),
        Ok(other) => panic!("no guest is built for ABI {other}"),
    }
}

fn lowered(component: &[u8]) -> Vec<u8> {
    let interfaces = [
        "agent", "chat", "jobs", "log", "notifier", "process", "provider", "sink", "tool", "types",
    ];
    let mut component = replaced(component, "abi = \"0.2\"", "abi = \"0.1\"");
    for interface in interfaces {
        let [new, old] = ["0.2.0", "0.1.0"].map(|v| format!("ml-intern:plugin/{interface}@{v}"));
        component = replaced(&component, &new, &old);
    }
    component
}

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let (from, to) = (from.as_bytes(), to.as_bytes());
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while let Some(found) = bytes[at..]
        .windows(from.len())
        .position(|window| window == from)
    {
        at += found;
        bytes[at..at + to.len()].copy_from_slice(to);
        at += to.len();
    }
    bytes
}

/// A plugin as a user would write it into `ml-intern.toml`: nothing is granted unless said.
#[derive(Clone)]
pub(crate) struct Installed {
    name: String,
    component: Vec<u8>,
    /// The guest's folder, where it is one.
    guest: Option<String>,
    /// In place of the manifest that the component carries.
    manifest: Option<String>,
    grant: String,
    config: Vec<(String, String)>,
    /// What the names of its tools begin with.
    prefix: String,
}

impl Installed {
    /// A guest of `tests/guests`, under its own name.
    pub(crate) fn guest(name: &str) -> Self {
        Self {
            guest: Some(name.to_owned()),
            ..Self::component(name, guest(name))
        }
    }

    /// Any component that carries its manifest.
    pub(crate) fn component(name: &str, component: Vec<u8>) -> Self {
        Self {
            name: name.to_owned(),
            component,
            guest: None,
            manifest: None,
            grant: String::new(),
            config: Vec::new(),
            prefix: String::new(),
        }
    }

    /// Another name in `ml-intern.toml`.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// What the names of its tools begin with here.
    pub(crate) fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.to_owned();
        self
    }

    /// Lines of TOML for `[plugins.NAME.grant]`.
    pub(crate) fn grant(mut self, lines: &str) -> Self {
        self.grant = lines.to_owned();
        self
    }

    /// A value for `[plugins.NAME.config]`.
    pub(crate) fn config(mut self, key: &str, value: &str) -> Self {
        self.config.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Lines of TOML for `[limits]` of its `plugin.toml`, in place of the guest's own.
    pub(crate) fn limits(self, lines: &str) -> Self {
        self.manifest(|text| {
            let others = text.split("[limits]").next().unwrap_or_default();
            format!("{others}[limits]\n{lines}\n")
        })
    }

    /// Changes the guest's `plugin.toml`.
    pub(crate) fn manifest(mut self, change: impl FnOnce(&str) -> String) -> Self {
        let of_guest = || guest_manifest(self.guest.as_deref().expect("made with `guest`"));
        let manifest = self.manifest.take().unwrap_or_else(of_guest);
        self.manifest = Some(change(&manifest));
        self
    }

    /// The file's bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        for_tested_abi(match &self.manifest {
            Some(manifest) => with_manifest(self.component.clone(), manifest),
            None => self.component.clone(),
        })
    }

    /// Its part of `ml-intern.toml`.
    pub(crate) fn entry(&self) -> String {
        let Self { name, grant, .. } = self;
        let prefix = match self.prefix.as_str() {
            "" => String::new(),
            prefix => format!("prefix = {prefix:?}\n"),
        };
        let mut text = format!(
            "[plugins.{name}]\nsource = \"./{name}.wasm\"\n{prefix}\n[plugins.{name}.grant]\n{grant}\n"
        );
        if !self.config.is_empty() {
            text += &format!("\n[plugins.{name}.config]\n");
        }
        for (key, value) in &self.config {
            text += &format!("{key} = {value:?}\n");
        }
        text
    }
}

/// Writes plugins and their `ml-intern.toml` into the workspace and locks them. Nothing is asked.
pub(crate) async fn install(home: &Home, plugins: &[Installed]) {
    let mut manifest = String::from("[agent]\npermission-mode = \"auto\"\n");
    for plugin in plugins {
        home.write(&format!("{}.wasm", plugin.name), plugin.bytes());
        manifest += &format!("\n{}", plugin.entry());
    }
    home.write("ml-intern.toml", manifest);
    // An interpreter of 18 MB takes an unoptimised host most of a minute to compile, beside other tests
    // several.
    let lock = home.ml_intern(["plugin", "lock"]);
    let locked = lock.life(std::time::Duration::from_secs(300)).run().await;
    locked.assert_code(0);
}

/// Runs a session in which the model makes one call after the other and then says `done`.
pub(crate) async fn run(
    home: Home,
    calls: impl IntoIterator<Item = Call>,
) -> (World, Vec<Value>, Finished) {
    let world = world(home, calls, |_| None).await;
    let (events, done) = ran(&world, &[]).await;
    (world, events, done)
}

/// A world with a model that makes one call after the other and then says `done`. `aside` answers
/// what is asked beside that conversation: by plugins, and by agents of theirs.
pub(crate) async fn world(
    home: Home,
    calls: impl IntoIterator<Item = Call>,
    aside: impl Fn(&Asked<'_>) -> Option<Reply> + Send + Sync + 'static,
) -> World {
    let replies: Vec<Reply> = calls.into_iter().map(|call| Reply::calls([call])).collect();
    let script = Script::new(move |asked| {
        let next = || replies.get(asked.assistant_messages()).cloned();
        aside(asked)
            .or_else(next)
            .unwrap_or_else(|| Reply::text("done"))
    });
    let fake = FakeOpenAi::start(script).await;
    home.set("OPENAI_BASE_URL", fake.base_url());
    World { home, fake }
}

/// A session of this world: its events, and how it ended.
pub(crate) async fn ran(world: &World, args: &[&str]) -> (Vec<Value>, Finished) {
    let args = [&["--output-format=stream-json"], args, &["go"]].concat();
    let done = world.run(args).run().await;
    world.fake.assert_all_accepted();
    (done.events(), done)
}

/// The ends of the calls that the model made, in order; not of those that tools made.
pub(crate) fn ends(events: &[Value]) -> Vec<&Value> {
    let finished = of_type(events, "tool.finished").into_iter();
    let by_tool = |event: &&Value| event["call"].as_str().is_some_and(|id| id.contains('/'));
    finished.filter(|event| !by_tool(event)).collect()
}

/// Status and text of each call of the model, in order.
pub(crate) fn outcomes(events: &[Value]) -> Vec<(&str, &str)> {
    ends(events)
        .into_iter()
        .map(|event| {
            let field = |name: &str| event[name].as_str().expect("a text");
            (field("status"), field("content"))
        })
        .collect()
}
