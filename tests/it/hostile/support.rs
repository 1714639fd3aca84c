//! How a case is run: an attacker and a neighbour in one session, and after each attack a call of
//! the neighbour.

use serde_json::{Value, json};

use crate::support::{
    fake_openai::{Asked, Call, Reply},
    guests::{Installed, ends, outcomes, ran, world},
    ml_intern::{Finished, Home},
    world::{World, of_type},
};

/// The plugin that has to answer after every attack: `good` of `tests/guests`, nothing granted.
pub(crate) fn neighbour() -> Installed {
    Installed::guest("good")
}

/// A home with these plugins and the neighbour, locked.
pub(crate) async fn home(attackers: &[Installed]) -> Home {
    let home = Home::new();
    let plugins = [attackers, &[neighbour()]].concat();
    crate::support::guests::install(&home, &plugins).await;
    home
}

/// One attack and how it ended.
#[derive(Debug)]
pub(crate) struct Attack {
    /// Id of the call.
    pub(crate) call: String,
    /// Tool and arguments, for messages.
    pub(crate) what: String,
    pub(crate) status: String,
    /// What the model was told.
    pub(crate) text: String,
}

impl Attack {
    /// Panics unless it ended with `status` and its text says all of `says`.
    #[track_caller]
    pub(crate) fn check(&self, status: &str, says: &[&str]) -> &Self {
        let Self {
            what,
            status: found,
            text,
            ..
        } = self;
        let shown: String = text.chars().take(4000).collect();
        assert_eq!(found, status, "{what}: {shown}");
        for says in says {
            assert!(text.contains(says), "no `{says}` in {what}: {shown}");
        }
        self
    }
}

/// A session of attacks that has ended.
pub(crate) struct Attacked {
    pub(crate) world: World,
    pub(crate) attacks: Vec<Attack>,
    pub(crate) events: Vec<Value>,
    pub(crate) done: Finished,
}

/// Runs the attacks one after the other, each followed by a call of the neighbour. Panics unless
/// the neighbour answered after every one and the host went on to its end.
pub(crate) async fn attack(home: Home, attacks: impl IntoIterator<Item = Call>) -> Attacked {
    attack_with(home, attacks, &[], |_| None).await
}

/// [`attack`] with further arguments, and a model that also answers what is asked aside.
pub(crate) async fn attack_with(
    home: Home,
    attacks: impl IntoIterator<Item = Call>,
    args: &[&str],
    aside: impl Fn(&Asked<'_>) -> Option<Reply> + Send + Sync + 'static,
) -> Attacked {
    let attacks: Vec<Call> = attacks.into_iter().collect();
    let calls = attacks
        .iter()
        .flat_map(|attack| [attack.clone(), Call::new("neighbour", json!({}))]);
    let world = world(home, calls, aside).await;
    let (events, done) = ran(&world, args).await;
    done.assert_code(0);
    assert_eq!(done.result()["message"], "done");
    let finished = ends(&events);
    let outcomes = outcomes(&events);
    assert_eq!(outcomes.len(), 2 * attacks.len());
    let ended = attacks
        .iter()
        .zip(outcomes.chunks(2))
        .zip(finished.chunks(2));
    let attacks = ended
        .map(|((attack, pair), finished)| {
            let what = format!("{attack:?}").chars().take(400).collect::<String>();
            assert_eq!(pair[1], ("ok", "good"), "the neighbour, after {what}");
            Attack {
                call: finished[0]["call"].as_str().expect("an id").to_owned(),
                what,
                status: pair[0].0.to_owned(),
                text: pair[0].1.to_owned(),
            }
        })
        .collect();
    Attacked {
        world,
        attacks,
        events,
        done,
    }
}

/// Runs a session in which the neighbour answers.
pub(crate) async fn neighbour_answers(home: Home) {
    let attacked = attack(home, [Call::new("neighbour", json!({}))]).await;
    attacked.attacks[0].check("ok", &["good"]);
}

/// Whether a missing audit event fails a case.
const STRICT: bool = true;

/// The audit event of a call about a capability, written with a verdict other than `allowed`.
/// Panics when there is none.
#[track_caller]
pub(crate) fn audited<'a>(events: &'a [Value], call: &str, capability: &str) -> Option<&'a Value> {
    let found = of_type(events, "audit").into_iter().find(|event| {
        event["call"] == call && event["capability"] == capability && event["verdict"] != "allowed"
    });
    assert!(
        found.is_some() || !STRICT,
        "no audit event of {call} about {capability}"
    );
    found
}
