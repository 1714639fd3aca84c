//! How the router is told to keep a conversation where its beginning is cached.

use crate::settings::Settings;
use ml_intern_plugin::Request;
use ml_intern_plugin::provider::completions::PromptCache;

/// Characters of a session's name that the router takes.
const MAX_SESSION: usize = 256;

/// The provider that hands marks and keys for a cache on to the services behind it.
const PASSES_ON: &str = ":fal";

/// What is said about caching in one request.
#[derive(Debug, PartialEq)]
pub(crate) struct Caching<'a> {
    /// For the header `X-HF-Session-id`.
    pub(crate) session: Option<&'a str>,
    /// Whether the conversation is marked.
    pub(crate) marks: PromptCache,
    /// Whether the service is asked to keep the conversation for a day, under the session's name.
    pub(crate) day: bool,
}

impl<'a> Caching<'a> {
    /// Nothing for another server than the router: it knows none of this.
    pub(crate) fn of(request: &'a Request, settings: &Settings) -> Self {
        let hosted = settings.hosted();
        let passed_on = |family| {
            hosted && request.model.contains(PASSES_ON) && request.model.starts_with(family)
        };
        Self {
            session: request.affinity.as_deref().filter(|_| hosted).map(cut),
            marks: match passed_on("anthropic/") {
                true => PromptCache::Marks,
                false => PromptCache::Implicit,
            },
            day: passed_on("openai/gpt-5.5"),
        }
    }
}

/// The first [`MAX_SESSION`] characters.
fn cut(session: &str) -> &str {
    let end = session.char_indices().nth(MAX_SESSION);
    end.map_or(session, |(end, _)| &session[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::settings;
    use crate::tests::request;

    #[test]
    fn another_server_is_told_nothing() {
        let mut request = request("anthropic/claude-opus-4.8:fal-ai");
        request.affinity = Some("s".to_owned());
        let other = settings(&[("base-url", "http://localhost:1/v1")]).unwrap();
        let nothing = Caching {
            session: None,
            marks: PromptCache::Implicit,
            day: false,
        };
        assert_eq!(Caching::of(&request, &other), nothing);
        let router = settings(&[("base-url", "https://router.huggingface.co/v1/")]).unwrap();
        assert_eq!(Caching::of(&request, &router).marks, PromptCache::Marks);
        assert_eq!(Caching::of(&request, &router).session, Some("s"));
    }

    #[test]
    fn a_session_is_cut_at_a_character() {
        assert_eq!(cut(&"ü".repeat(300)), "ü".repeat(256));
        assert_eq!(cut("short"), "short");
    }
}
