//! Notices a model that goes round in circles: the same calls with the same results, over and over.
//!
//! A call is known by its tool, its arguments and its result, JSON in one spelling of each: who polls a job and sees it
//! go on makes another call each time. What counts is the end of the conversation, since the last words of a person.

use crate::event::{Repetition, Step};
use serde_json::Value;
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Replies that are looked back on.
const ROUNDS: usize = 30;
/// The same call so often in a row is a repetition.
const IDENTICAL: usize = 3;
/// Calls of the longest cycle that is noticed; it has to come twice.
const CYCLE: usize = 5;

/// One call, as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    tool: String,
    arguments: u64,
    result: u64,
}

impl Signature {
    pub(crate) fn new(tool: &str, arguments: &str, result: &str) -> Self {
        Self {
            tool: tool.to_owned(),
            arguments: hash(arguments),
            result: hash(result),
        }
    }

    /// The same call, whatever it brought.
    fn is_call_of(&self, other: &Self) -> bool {
        (&self.tool, self.arguments) == (&other.tool, other.arguments)
    }
}

/// The last calls of a conversation.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    /// The different calls of each reply, oldest first.
    rounds: VecDeque<Vec<Signature>>,
    /// What the model was last told, while it does nothing else.
    told: Option<Told>,
}

#[derive(Clone, Debug)]
struct Told {
    step: Step,
    circle: Vec<Signature>,
    /// Calls since then.
    since: usize,
}

impl Recent {
    /// The calls of a reply have their results. Equal calls of one reply are one: side by side they are no circle.
    pub(crate) fn add(&mut self, round: impl IntoIterator<Item = Signature>) {
        let mut different: Vec<Signature> = Vec::new();
        for signature in round {
            if !different.contains(&signature) {
                different.push(signature);
            }
        }
        if let Some(told) = &mut self.told {
            told.since = told.since.saturating_add(different.len());
            if different.iter().any(|call| !told.means(call)) {
                self.told = None;
            }
        }
        self.rounds.push_back(different);
        if self.rounds.len() > ROUNDS {
            self.rounds.pop_front();
        }
    }

    /// Notes what the model was told.
    pub(crate) fn tell(&mut self, step: Step) {
        let circle = match self.told.take() {
            Some(told) => Some(told.circle),
            None => self.circle(),
        };
        self.told = circle.map(|circle| Told {
            step,
            circle,
            since: 0,
        });
    }

    /// The repetition that the conversation ends in, unless the model was told and has not gone round again.
    pub(crate) fn noticed(&self) -> Option<Repetition> {
        let (step, circle) = match &self.told {
            Some(told) => match told.step {
                Step::Warned if told.since >= told.circle.len() => {
                    (Step::Barred, told.circle.clone())
                }
                Step::Barred if told.since > 0 => (Step::Stopped, told.circle.clone()),
                _ => return None,
            },
            None => (Step::Warned, self.circle()?),
        };
        let tools = circle.into_iter().map(|call| call.tool).collect();
        Some(Repetition { tools, step })
    }

    /// Whether this call is one that is not run any more.
    pub(crate) fn is_barred(&self, tool: &str, arguments: &str) -> bool {
        let barred = self.told.as_ref().filter(|told| told.step != Step::Warned);
        let call = || Signature::new(tool, arguments, "");
        barred.is_some_and(|told| told.means(&call()))
    }

    /// The calls that come again and again at the end.
    fn circle(&self) -> Option<Vec<Signature>> {
        let calls: Vec<&Signature> = self.rounds.iter().flatten().collect();
        let repeats = |length: usize, times: usize| {
            let tail = calls.get(calls.len().checked_sub(length * times)?..)?;
            let (first, others) = tail.split_at(length);
            let same = others.chunks(length).all(|chunk| chunk == first);
            same.then(|| first.iter().copied().cloned().collect())
        };
        repeats(1, IDENTICAL).or_else(|| (2..=CYCLE).find_map(|length| repeats(length, 2)))
    }
}

impl Told {
    /// Whether a call is one of those that the model was told about. One that is not run has another result.
    fn means(&self, call: &Signature) -> bool {
        match self.step {
            Step::Warned => self.circle.contains(call),
            Step::Barred | Step::Stopped => self.circle.iter().any(|told| told.is_call_of(call)),
        }
    }
}

/// Of JSON, whatever the order of its keys and its white space; of other text, as it is.
fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    match serde_json::from_str::<Value>(text) {
        Ok(value) => hash_value(&value, &mut hasher),
        Err(_) => text.hash(&mut hasher),
    }
    hasher.finish()
}

fn hash_value(value: &Value, hasher: &mut DefaultHasher) {
    std::mem::discriminant(value).hash(hasher);
    match value {
        Value::Null => {}
        Value::Bool(value) => value.hash(hasher),
        Value::Number(number) => number.to_string().hash(hasher),
        Value::String(text) => text.hash(hasher),
        Value::Array(items) => {
            items.len().hash(hasher);
            items.iter().for_each(|item| hash_value(item, hasher));
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            fields.len().hash(hasher);
            for (name, value) in fields {
                name.hash(hasher);
                hash_value(value, hasher);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a1 b2`: calls of the tools `a` and `b` with these results, one reply each; `a1+b2` in one reply.
    fn recent(calls: &str) -> Recent {
        let mut recent = Recent::default();
        add(&mut recent, calls);
        recent
    }

    fn add(recent: &mut Recent, calls: &str) {
        for round in calls.split_whitespace() {
            recent.add(round.split('+').map(|call| {
                let (tool, result) = call.split_at(1);
                Signature::new(tool, "{}", result)
            }));
        }
    }

    fn noticed(recent: &Recent) -> Option<(String, Step)> {
        let noticed = recent.noticed()?;
        Some((noticed.tools.join(" → "), noticed.step))
    }

    #[track_caller]
    fn finds(calls: &str, tools: &str) {
        let found = noticed(&recent(calls));
        assert_eq!(found, Some((tools.to_owned(), Step::Warned)), "{calls}");
    }

    #[track_caller]
    fn finds_nothing(calls: &str) {
        assert_eq!(noticed(&recent(calls)), None, "{calls}");
    }

    #[test]
    fn the_same_call_three_times_at_the_end_is_a_repetition() {
        finds_nothing("rx rx");
        finds("rx rx rx", "r");
        finds("p1 p2 p2 p2", "p");
        finds_nothing("rx rx rx ax");
        finds_nothing(&format!(
            "rx rx rx {}",
            (0..30).map(|n| format!("a{n} ")).collect::<String>()
        ));
    }

    #[test]
    fn a_job_that_goes_on_may_be_polled() {
        finds_nothing("p0 p1 p2 p3 p4");
        finds_nothing("a1 b1 a2 b1");
    }

    #[test]
    fn a_cycle_of_two_to_five_calls_that_comes_twice_is_a_repetition() {
        finds("a1 b1 a1 b1", "a → b");
        finds_nothing("a1 b1 a1");
        finds("a1 b1 c1 a1 b1 c1", "a → b → c");
        finds("a1 b1 c1 d1 e1 a1 b1 c1 d1 e1", "a → b → c → d → e");
        finds_nothing("a1 b1 c1 d1 e1 f1 a1 b1 c1 d1 e1 f1");
        finds("x1 a1 b1 a1 b1", "a → b");
        finds_nothing("a1 b1 a1 b1 x1");
    }

    #[test]
    fn equal_calls_side_by_side_are_one() {
        finds_nothing("a1+a1+a1");
        finds_nothing("a1+a1 a1+a1");
        finds("a1+a1 a1 a1+a1", "a");
        finds("a1+b1 a1+b1", "a → b");
    }

    #[test]
    fn json_is_compared_by_what_it_says() {
        let same = |a: &str, b: &str| {
            assert_eq!(
                Signature::new("r", a, b),
                Signature::new("r", b, a),
                "{a} {b}"
            );
        };
        same(
            r#"{"a":1,"b":{"c":[1,2],"d":"é"}}"#,
            r#"{ "b": {"d": "\u00e9", "c": [1, 2]}, "a": 1 }"#,
        );
        let differ = |a: &str, b: &str| assert_ne!(hash(a), hash(b), "{a} {b}");
        differ("[1,2]", "[2,1]");
        differ("1", "\"1\"");
        differ("[[1],2]", "[1,[2]]");
        differ("{\"a\":1", "{\"a\": 1");
        differ("null", "");
    }

    #[test]
    fn a_model_that_goes_on_is_told_barred_and_stopped() {
        let mut recent = recent("x1 a1 b1 a1 b1");
        for (next, step) in [("a1 b1", Step::Warned), ("a!", Step::Barred)] {
            assert_eq!(noticed(&recent).unwrap().1, step);
            assert!(!recent.is_barred("a", "{}"));
            recent.tell(step);
            assert_eq!(noticed(&recent), None, "told once");
            assert_eq!(recent.is_barred("b", "{ }"), step == Step::Barred);
            assert!(!recent.is_barred("b", "{\"x\": 1}") && !recent.is_barred("c", "{}"));
            add(&mut recent, next);
        }
        assert_eq!(noticed(&recent), Some(("a → b".into(), Step::Stopped)));
    }

    #[test]
    fn a_model_that_does_something_else_begins_anew() {
        let mut recent = recent("a1 a1 a1");
        recent.tell(Step::Warned);
        add(&mut recent, "a2 a2");
        assert_eq!(noticed(&recent), None);
        add(&mut recent, "a2");
        assert_eq!(noticed(&recent).unwrap().1, Step::Warned);
        recent.tell(Step::Warned);
        add(&mut recent, "a2");
        recent.tell(Step::Barred);
        add(&mut recent, "b1");
        assert!(!recent.is_barred("a", "{}"));
        assert_eq!(noticed(&recent), None);
    }
}
