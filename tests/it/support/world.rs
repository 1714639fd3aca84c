//! A home whose model is a fake: what most tests of the binary begin with.

use std::ffi::OsStr;

use serde_json::Value;

use super::{
    fake_openai::{Exchange, FakeOpenAi, Script},
    ml_intern::{Home, Program, Running},
};

/// The home and the server that its programs find in their environment.
pub(crate) struct World {
    pub(crate) home: Home,
    pub(crate) fake: FakeOpenAi,
}

impl World {
    pub(crate) async fn new(script: Script) -> Self {
        let fake = FakeOpenAi::start(script).await;
        let home = Home::new();
        home.set("OPENAI_BASE_URL", fake.base_url());
        Self { home, fake }
    }

    /// `ml-intern run` with the fake model and these arguments.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Program {
        let mut all = ["run", "--model", "openai/fake-model"]
            .map(Into::into)
            .to_vec();
        all.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self.home.ml_intern(all)
    }

    /// [`Self::run`] with events on standard output and answers on standard input.
    pub(crate) fn run_json<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Program {
        let mut all = ["--output-format=stream-json", "--input-format=stream-json"]
            .map(|arg| OsStr::new(arg).to_owned())
            .to_vec();
        all.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self.run(all).open_stdin()
    }

    /// The results of tools in the newest request.
    pub(crate) fn results(&self) -> Vec<String> {
        self.fake.chats().last().map(results).unwrap_or_default()
    }
}

/// The results of tools that a request tells the model, oldest first.
pub(crate) fn results(request: &Exchange) -> Vec<String> {
    let request = request.json();
    let messages = request["messages"].as_array().cloned().unwrap_or_default();
    let results = messages.iter().filter(|message| message["role"] == "tool");
    results
        .map(|message| message["content"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// The events of one type.
pub(crate) fn of_type<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events
        .iter()
        .filter(|event| event["type"] == kind)
        .collect()
}

impl Running {
    /// Waits for the question number `number` (from 0) and returns it.
    pub(crate) async fn question(&self, number: usize) -> Value {
        let seen = std::cell::Cell::new(0);
        self.wait_for_event("a question", |event| {
            if event["type"] == "session.started" {
                // The events are looked at from the start each time.
                seen.set(0);
            }
            let asked = event["type"] == "permission.requested";
            seen.set(seen.get() + usize::from(asked));
            asked && seen.get() == number + 1
        })
        .await
    }
}
