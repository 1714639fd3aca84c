//! The kinds of servers, and what differs between them.

use ml_intern_plugin::provider::Service;
use ml_intern_plugin::provider::settings::{Get, url};
use ml_intern_plugin::{Error, Upstream};

/// A kind of server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// What an id begins with.
    pub(crate) prefix: &'static str,
    /// For messages.
    pub(crate) name: &'static str,
    /// How to start one.
    pub(crate) start: &'static str,
    /// What it calls itself in `owned_by` of its models.
    pub(crate) owner: &'static str,
    /// The configuration's key for its URL.
    pub(crate) key: &'static str,
    /// The name of its credential in `plugin.toml`.
    pub(crate) credential: &'static str,
    /// Where it listens unless it is told otherwise.
    pub(crate) default: &'static str,
}

pub(crate) const OLLAMA: Kind = Kind {
    prefix: "ollama/",
    name: "Ollama",
    start: "start it with `ollama serve`",
    owner: "library",
    key: "ollama-url",
    credential: "ollama",
    default: "http://localhost:11434",
};

pub(crate) const VLLM: Kind = Kind {
    prefix: "vllm/",
    name: "vLLM",
    start: "start it with `vllm serve MODEL --enable-auto-tool-choice --tool-call-parser PARSER`",
    owner: "vllm",
    key: "vllm-url",
    credential: "vllm",
    default: "http://localhost:8000",
};

pub(crate) const LM_STUDIO: Kind = Kind {
    prefix: "lm_studio/",
    name: "LM Studio",
    start: "start its server with `lms server start`",
    owner: "organization_owner",
    key: "lm-studio-url",
    credential: "lm-studio",
    default: "http://127.0.0.1:1234",
};

pub(crate) const LLAMACPP: Kind = Kind {
    prefix: "llamacpp/",
    name: "llama.cpp",
    start: "start it with `llama-server --jinja --model FILE`",
    owner: "llamacpp",
    key: "llamacpp-url",
    credential: "llamacpp",
    default: "http://localhost:8080",
};

/// All of them, in the order in which their models are listed.
pub(crate) const KINDS: [&Kind; 4] = [&OLLAMA, &VLLM, &LM_STUDIO, &LLAMACPP];

/// Kept free for another kind of server.
const RESERVED: &str = "openai-compat/";

/// A server of the user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    /// Which kind the user says it is.
    pub(crate) kind: &'static Kind,
    /// Where chat completions begin: with `/v1` at its end.
    pub(crate) api: String,
    /// Where what only this kind has begins; none where the base URL ended in `/v1`, because then nothing beside it is
    /// within the plugin's grant.
    pub(crate) own: Option<String>,
}

impl Server {
    /// The server of this kind, as the user configured it.
    ///
    /// # Errors
    /// As `get`.
    pub(crate) fn read(kind: &'static Kind, get: Get<'_>) -> Result<Self, Error> {
        let base = url(get, kind.key, kind.default)?;
        Ok(match base.ends_with("/v1") {
            true => Self {
                kind,
                api: base,
                own: None,
            },
            false => Self {
                kind,
                api: format!("{base}/v1"),
                own: Some(base),
            },
        })
    }

    /// The server as requests and messages name it.
    pub(crate) fn service<'a>(&'a self, base_url: &'a str, model: &'a str) -> Service<'a> {
        Service {
            base_url,
            credential: self.kind.credential,
            model,
            effort: false,
        }
    }

    /// A failed request in words that say what to do about this server.
    pub(crate) fn explained(&self, error: Error) -> Error {
        let unreached = self.service(&self.api, "").is_unreached(&error);
        let own_key =
            |text: &str| text.replace("config `base-url`", &format!("config `{}`", self.kind.key));
        match error {
            Error::Upstream(upstream) if unreached => Error::Upstream(Upstream {
                message: format!(
                    "{}; is {} running? {}, or set config `{}`",
                    upstream.message,
                    self.kind.name,
                    capital(self.kind.start),
                    self.kind.key
                ),
                ..upstream
            }),
            Error::Upstream(upstream) => Error::Upstream(Upstream {
                message: own_key(&upstream.message),
                ..upstream
            }),
            Error::NotFound(text) => Error::NotFound(own_key(&text)),
            other => other,
        }
    }
}

/// The kind of server that an id names, and the model's name there.
///
/// # Errors
/// `invalid-input` for an id without a prefix or a name.
pub(crate) fn named(id: &str) -> Result<(&'static Kind, &str), Error> {
    let id = id.strip_prefix("huggingface/").unwrap_or(id);
    if id.starts_with(RESERVED) {
        return Err(Error::InvalidInput(format!(
            "`{id}`: the prefix `{RESERVED}` is reserved; a server of another kind is an entry of its own with the plugin `openai`"
        )));
    }
    let found = KINDS
        .into_iter()
        .find_map(|kind| Some((kind, id.strip_prefix(kind.prefix)?)));
    match found {
        Some((kind, name)) if is_name(name) => Ok((kind, name)),
        Some((kind, _)) => Err(Error::InvalidInput(format!(
            "`{id}`: write the model's name behind `{}`, without blanks",
            kind.prefix
        ))),
        None => Err(Error::InvalidInput(format!(
            "`{id}` names no local server; write one of `ollama/`, `vllm/`, `lm_studio/` and `llamacpp/` before the model's name"
        ))),
    }
}

/// Whether a model's name can be written behind a prefix.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(char::is_whitespace)
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(kind: &'static Kind, set: &str) -> Server {
        Server::read(kind, &|key| Ok((key == kind.key).then(|| set.to_owned()))).unwrap()
    }

    #[test]
    fn a_base_url_may_end_in_v1_and_in_slashes() {
        for (set, api, own) in [
            ("http://h:1/v1/", "http://h:1/v1", None),
            (" http://h:1/v1 ", "http://h:1/v1", None),
            ("http://h:1//", "http://h:1/v1", Some("http://h:1")),
            (
                "http://h:1/llm",
                "http://h:1/llm/v1",
                Some("http://h:1/llm"),
            ),
            (
                "",
                "http://localhost:8000/v1",
                Some("http://localhost:8000"),
            ),
        ] {
            let server = server(&VLLM, set);
            assert_eq!(
                (server.api.as_str(), server.own.as_deref()),
                (api, own),
                "{set}"
            );
        }
    }

    #[test]
    fn an_id_names_its_server_and_its_model() {
        for (id, prefix, name) in [
            ("ollama/qwen3:8b", "ollama/", "qwen3:8b"),
            ("lm_studio/g/m", "lm_studio/", "g/m"),
            ("vllm/org/model", "vllm/", "org/model"),
            ("llamacpp/m", "llamacpp/", "m"),
            ("huggingface/ollama/x", "ollama/", "x"),
        ] {
            let (kind, found) = named(id).unwrap();
            assert_eq!((kind.prefix, found), (prefix, name));
        }
        for id in [
            "gpt-4",
            "ollama/",
            "ollama/x y",
            "openai-compat/x",
            "a/b",
            "Ollama/x",
            "",
        ] {
            assert!(matches!(named(id), Err(Error::InvalidInput(_))), "{id}");
        }
    }

    #[test]
    fn a_server_that_does_not_run_is_named_with_how_to_start_it() {
        let server = server(&OLLAMA, "");
        let refused = "`http://localhost:11434/v1` cannot be reached: connection refused";
        let error = server.explained(Error::unreachable(refused));
        assert_eq!(
            error.message(),
            format!(
                "{refused}; is Ollama running? Start it with `ollama serve`, or set config `ollama-url`"
            )
        );
        assert!(matches!(error, Error::Upstream(upstream) if upstream.retryable));
        let path = server.explained(Error::NotFound("config `base-url` must end".to_owned()));
        assert_eq!(path.message(), "config `ollama-url` must end");
        let other = server.explained(Error::unreachable("the connection was cut"));
        assert_eq!(other.message(), "the connection was cut");
    }
}
