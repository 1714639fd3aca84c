//! Ids of models: `organization/model`, and behind a colon a provider or a policy of choosing one.

use ml_intern_plugin::Error;

/// What users write before an id to say whose it is.
const OWN: &str = "huggingface/";

/// Kept free for another kind of server.
const RESERVED: &str = "openai-compat/";

/// The id as the router takes it.
///
/// # Errors
/// `invalid-input` for what cannot be an id.
pub(crate) fn sendable(id: &str) -> Result<&str, Error> {
    let id = id.strip_prefix(OWN).unwrap_or(id);
    let segments = || plain(id).split('/');
    let valid = !id.contains(char::is_whitespace)
        && !id.starts_with(RESERVED)
        && segments().count() >= 2
        && segments().all(|segment| !segment.is_empty());
    match valid {
        true => Ok(id),
        false => Err(Error::InvalidInput(format!(
            "`{id}` is no id of a model; write `organization/model`, with `:provider`, `:fastest`, `:cheapest` or `:preferred` behind it as you like"
        ))),
    }
}

/// The id without provider or policy.
pub(crate) fn plain(id: &str) -> &str {
    id.split_once(':').map_or(id, |(plain, _)| plain)
}

/// What answered, by the name of the provider that the router chose; none for what is no name.
pub(crate) fn answered(id: &str, provider: Option<&str>) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let name = provider
        .map(str::trim)
        .filter(|name| (1..=64).contains(&name.len()) && name.bytes().all(is_plain))?;
    Some(format!("{}:{name}", plain(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked_before_anything_is_sent() {
        for (id, sent) in [
            ("a/b", "a/b"),
            ("a/b:c", "a/b:c"),
            ("a/b:cheapest", "a/b:cheapest"),
            ("huggingface/a/b", "a/b"),
            ("huggingface/ollama/x", "ollama/x"),
            ("lm_studio/g/m", "lm_studio/g/m"),
        ] {
            assert_eq!(sendable(id).unwrap(), sent);
        }
        for id in [
            "",
            "gpt-4",
            "a//b",
            "/a/b",
            "ollama/",
            "ollama/x y",
            "a/b c",
            "a/b:c\n",
            "openai-compat/x",
            "huggingface/openai-compat/x",
            "huggingface/a",
            "a:b/c",
        ] {
            assert!(matches!(sendable(id), Err(Error::InvalidInput(_))), "{id}");
        }
    }

    #[test]
    fn who_answered_is_more_exact_than_what_was_asked() {
        let named = |id, name| answered(id, Some(name));
        assert_eq!(named("a/b", "together").as_deref(), Some("a/b:together"));
        assert_eq!(
            named("a/b:cheapest", " fireworks-ai").as_deref(),
            Some("a/b:fireworks-ai")
        );
        for odd in ["", " ", "two words", "a/b", &"x".repeat(65)] {
            assert_eq!(named("a/b", odd), None, "{odd}");
        }
        assert_eq!(answered("a/b", None), None);
    }
}
