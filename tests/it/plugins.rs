use serde_json::Value;

use crate::support::{
    fake_openai::{Call, FakeOpenAi, Reply, Script},
    ml_intern::{Finished, Home},
    world::{World, of_type},
};

mod broken;
mod grants;
mod lock;
mod manage;
mod many;
mod naughty;
mod target;
mod values;

include!(concat!(env!("OUT_DIR"), "/guests.rs"));

// The component of each guest, and a module with tests for each.
macro_rules! guests {
    ($($name:ident $path:literal)*) => {
        const GUESTS: &[(&str, &str)] = &[$((stringify!($name), $path)),*];
        mod tested {
            $(#[expect(unused_imports, reason = "it has to be there")] use super::$name;)*
        }
    };
}
foreach_guest!(guests);

/// The bytes of a guest.
fn guest(name: &str) -> Vec<u8> {
    let found = GUESTS.iter().find(|(own, _)| *own == name);
    std::fs::read(found.expect("a guest of this name").1).unwrap()
}

/// A home whose workspace holds the guest `naughty`, granted what the lines in TOML say, locked.
async fn home(grant: &str) -> Home {
    let home = Home::new();
    home.write("naughty.wasm", guest("naughty"));
    home.write("ml-intern.toml", manifest(grant));
    let locked = home.ml_intern(["plugin", "lock"]).run().await;
    locked.assert_code(0);
    home
}

fn manifest(grant: &str) -> String {
    format!(
        "[agent]\npermission-mode = \"auto\"\n\n\
         [plugins.naughty]\nsource = \"./naughty.wasm\"\n\n\
         [plugins.naughty.grant]\n{grant}\n"
    )
}

/// Runs a session in which the model makes one call after the other and then says `done`.
async fn run(home: Home, calls: impl IntoIterator<Item = Call>) -> (World, Vec<Value>, Finished) {
    let mut replies: Vec<Reply> = calls.into_iter().map(|call| Reply::calls([call])).collect();
    replies.push(Reply::text("done"));
    let fake = FakeOpenAi::start(Script::steps(replies)).await;
    home.set("OPENAI_BASE_URL", fake.base_url());
    let world = World { home, fake };
    let done = world.run(["--output-format=stream-json", "go"]).run().await;
    world.fake.assert_all_accepted();
    let events = done.events();
    (world, events, done)
}

/// Status and text of each call, in order.
fn outcomes(events: &[Value]) -> Vec<(&str, &str)> {
    let finished = of_type(events, "tool.finished");
    finished
        .into_iter()
        .map(|event| {
            let field = |name: &str| event[name].as_str().expect("a text");
            (field("status"), field("content"))
        })
        .collect()
}
