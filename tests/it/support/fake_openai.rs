//! The fake of OpenAI's service: chat completions and the Responses API, one script behind both.

use std::ops::Deref;

pub(crate) use super::fake::{ApiError, Asked, Call, Exchange, MODEL, Reply, Script};
use super::fake::{Fake, Model, Service, Setup};

/// The running server; stops when dropped.
pub(crate) struct FakeOpenAi(Fake);

impl FakeOpenAi {
    /// A server without keys whose one model is [`MODEL`].
    pub(crate) async fn start(script: Script) -> Self {
        Self(Fake::start(Service::OpenAi, script).await)
    }

    /// A server that wants `key` as a bearer token, where there is one, and knows `models`.
    pub(crate) async fn start_with(script: Script, key: Option<&str>, models: &[&str]) -> Self {
        let setup = Setup::new(Service::OpenAi).models(models.iter().map(|id| Model::new(id)));
        let setup = match key {
            Some(key) => setup.key(key),
            None => setup,
        };
        Self(setup.start(script).await)
    }

    /// A server behind a gateway: its API begins at `prefix`, which begins with a slash, and
    /// nothing is served elsewhere.
    pub(crate) async fn start_below(prefix: &'static str, script: Script) -> Self {
        Self(
            Setup::new(Service::OpenAi)
                .below(prefix)
                .start(script)
                .await,
        )
    }
}

impl Deref for FakeOpenAi {
    type Target = Fake;

    fn deref(&self) -> &Fake {
        &self.0
    }
}
