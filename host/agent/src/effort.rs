//! How hard a model is asked to think, and what is asked of one that does not take it.

use std::collections::BTreeMap;

/// Levels, from the least to the most; each service knows some of them.
pub const LEVELS: [&str; 6] = ["minimal", "low", "medium", "high", "xhigh", "max"];

/// What to ask of a model that does not take `level`: the next lower level, but of the lowest the one above it, because
/// few services know it; nothing after that. A service's own word has no neighbours.
pub fn instead_of(level: &str) -> Option<&'static str> {
    match level {
        "max" => Some("xhigh"),
        "xhigh" => Some("high"),
        "high" => Some("medium"),
        "medium" | "minimal" => Some("low"),
        _ => None,
    }
}

/// What is asked of the models of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Efforts {
    wanted: Option<String>,
    /// What is asked of models that did not take it, by `provider/model`.
    found: BTreeMap<String, Option<String>>,
}

impl Efforts {
    /// What the person wants.
    pub fn wanted(&self) -> Option<&str> {
        self.wanted.as_deref()
    }

    /// What is asked of this model.
    pub fn of(&self, model: &str) -> Option<&str> {
        match self.found.get(model) {
            Some(found) => found.as_deref(),
            None => self.wanted(),
        }
    }

    /// What was found out about models holds for what was wanted then.
    pub(crate) fn want(&mut self, effort: Option<String>) {
        self.wanted = effort;
        self.found.clear();
    }

    pub(crate) fn refused(&mut self, model: &str, instead: Option<String>) {
        self.found.insert(model.to_owned(), instead);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cascade(level: &str) -> Vec<&str> {
        std::iter::successors(Some(level), |level| instead_of(level)).collect()
    }

    #[test]
    fn a_model_that_does_not_take_an_effort_is_asked_for_less() {
        assert_eq!(cascade("max"), ["max", "xhigh", "high", "medium", "low"]);
        assert_eq!(cascade("xhigh"), ["xhigh", "high", "medium", "low"]);
        assert_eq!(cascade("high"), ["high", "medium", "low"]);
        assert_eq!(cascade("medium"), ["medium", "low"]);
        assert_eq!(cascade("minimal"), ["minimal", "low"]);
        assert_eq!(cascade("low"), ["low"]);
        assert_eq!(cascade("turbo"), ["turbo"]);
    }

    #[test]
    fn what_was_found_out_holds_until_something_else_is_wanted() {
        let mut efforts = Efforts::default();
        assert_eq!(efforts.of("a/b"), None);
        efforts.want(Some("max".into()));
        efforts.refused("a/b", Some("high".into()));
        efforts.refused("a/c", None);
        let asked = |efforts: &Efforts| {
            ["a/b", "a/c", "a/d"].map(|model| efforts.of(model).map(str::to_owned))
        };
        assert_eq!(
            asked(&efforts),
            [Some("high".into()), None, Some("max".into())]
        );
        efforts.want(Some("low".into()));
        assert_eq!(
            asked(&efforts),
            [
                Some("low".to_owned()),
                Some("low".into()),
                Some("low".into())
            ]
        );
    }
}
