//! A home whose model is that of one provider, and what can be read off a run of it.

use std::{ffi::OsStr, time::Duration};

use serde_json::Value;

use super::column::Provider;
use crate::support::{
    fake::{Exchange, Fake, Model, Reply, Script, Setup},
    ml_intern::{Finished, Home, Program},
    world::of_type,
};

/// A home and the service of a provider.
pub(crate) struct Bench {
    pub(super) provider: &'static Provider,
    pub(super) home: Home,
    fake: Option<Fake>,
}

impl Bench {
    /// A model that gives these replies one after the other, and an empty home.
    pub(super) async fn steps(
        provider: &'static Provider,
        replies: impl IntoIterator<Item = Reply>,
    ) -> Self {
        let replies: Vec<Reply> = replies.into_iter().collect();
        if provider.service.is_none() {
            return Self::recorded(provider, &replies);
        }
        Self::new(provider, Script::steps(replies)).await
    }

    /// Any model of a provider with a service.
    pub(super) async fn new(provider: &'static Provider, script: Script) -> Self {
        Self::with(provider, provider.models(), script).await
    }

    /// The same, where the service has these models.
    pub(super) async fn with(
        provider: &'static Provider,
        models: Vec<Model>,
        script: Script,
    ) -> Self {
        let home = Home::new();
        let fake = served(&home, provider, models, script).await;
        configure(&home, provider.manifest, &fake).await;
        Self {
            provider,
            home,
            fake: Some(fake),
        }
    }

    /// A provider that plays the replies from a file.
    fn recorded(provider: &'static Provider, replies: &[Reply]) -> Self {
        let home = Home::new();
        home.write("ml-intern.toml", provider.manifest);
        let steps: Vec<String> = replies.iter().map(Reply::recorded).collect();
        let head = format!("version = 1\nname = {:?}\n", provider.model);
        home.write("recording.toml", head + &steps.concat());
        Self {
            provider,
            home,
            fake: None,
        }
    }

    /// The service.
    pub(super) fn fake(&self) -> &Fake {
        self.fake.as_ref().expect("the provider has a service")
    }

    /// `ml-intern run --json` with the provider's model and these arguments.
    pub(super) fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Program {
        self.run_as(&self.provider.named(), args)
    }

    /// The same with any model.
    pub(super) fn run_as<A: AsRef<OsStr>>(
        &self,
        model: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Program {
        let mut all: Vec<_> = [
            "run",
            "--json",
            "--permission-mode=auto-edit",
            "--model",
            model,
        ]
        .map(Into::into)
        .to_vec();
        all.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self.home.ml_intern(all)
    }

    /// Runs it to a good end, in which the service took every request.
    pub(super) async fn done(&self, args: &[&str]) -> Ran {
        let ran = self.ended(0, args).await;
        self.assert_accepted();
        ran
    }

    /// Runs it to an end with this exit code.
    pub(super) async fn ended(&self, code: i32, args: &[&str]) -> Ran {
        let done = self.run(args).run().await;
        done.assert_code(code);
        Ran {
            events: done.events(),
            done,
        }
    }

    /// Panics if a request was refused for what it said.
    pub(super) fn assert_accepted(&self) {
        if let Some(fake) = &self.fake {
            fake.assert_all_accepted();
        }
    }

    /// The bodies of the requests for a message so far; nothing where there is no service.
    pub(super) fn bodies(&self) -> Vec<String> {
        let chats = self.fake.iter().flat_map(Fake::chats);
        chats.map(|chat| text(&chat)).collect()
    }
}

/// The component of the example in the documentation.
const EXAMPLE: &str = env!("EXAMPLE_PROVIDER");
/// What stands in a manifest for where the service is, which a stranger's plugin reads in no variable.
const BASE_URL: &str = "{base-url}";

/// Writes the run manifest, and accepts the stranger's plugin that it names.
pub(super) async fn configure(home: &Home, manifest: &str, fake: &Fake) {
    home.write(
        "ml-intern.toml",
        manifest.replace(BASE_URL, &fake.base_url()),
    );
    if manifest.contains("./acme_models.wasm") {
        home.write("acme_models.wasm", std::fs::read(EXAMPLE).unwrap());
        let lock = home.ml_intern(["plugin", "lock"]);
        let locked = lock.life(Duration::from_secs(300)).run().await;
        locked.assert_code(0);
    }
}

/// Starts the service of a provider for a home.
pub(super) async fn served(
    home: &Home,
    provider: &Provider,
    models: Vec<Model>,
    script: Script,
) -> Fake {
    let service = provider.service.expect("the provider has a service");
    let setup = Setup::new(service).key(provider.key).models(models);
    let fake = setup.start(script).await;
    for variable in provider.base {
        home.set(variable, fake.base_url());
    }
    let parts = match provider.keys.len() {
        1 => vec![provider.key],
        _ => provider.key.split(':').collect(),
    };
    for (variable, part) in provider.keys.iter().zip(parts) {
        home.set(variable, part);
    }
    for (variable, value) in provider.environment {
        home.set(variable, value);
    }
    fake
}

/// The body of a request.
pub(super) fn text(chat: &Exchange) -> String {
    String::from_utf8_lossy(&chat.body).into_owned()
}

/// A run that has ended.
pub(crate) struct Ran {
    pub(super) events: Vec<Value>,
    pub(super) done: Finished,
}

impl Ran {
    /// The events of one type.
    pub(super) fn of(&self, kind: &str) -> Vec<&Value> {
        of_type(&self.events, kind)
    }

    /// The `result` event.
    pub(super) fn result(&self) -> &Value {
        self.events.last().expect("checked: the result is last")
    }

    /// The final answer.
    pub(super) fn answer(&self) -> &str {
        self.result()["message"].as_str().unwrap_or_default()
    }

    /// What the deltas of one type come to.
    pub(super) fn joined(&self, kind: &str, field: &str) -> String {
        let deltas = self.of(kind);
        let texts = deltas.iter().filter_map(|delta| delta[field].as_str());
        texts.collect()
    }

    /// The texts of the notices with this code.
    pub(super) fn notices(&self, code: &str) -> Vec<&str> {
        let notices = self.of("notice").into_iter();
        let wanted = notices.filter(|notice| notice["code"] == code);
        wanted
            .filter_map(|notice| notice["text"].as_str())
            .collect()
    }

    /// The failure that ended the turn.
    pub(super) fn error(&self) -> &Value {
        let errors = self.of("error");
        errors
            .first()
            .unwrap_or_else(|| panic!("no error: {}", self.done.stdout))
    }
}
