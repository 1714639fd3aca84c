//! A turn that a person takes back.

use crate::bench::{Setup, bench, says};
use ml_intern_agent::Event;
use ml_intern_agent::event::TurnEnd;

#[tokio::test]
async fn a_turn_that_is_taken_back_takes_the_words_of_the_host_with_it() {
    let bench = bench(
        Setup::default(),
        vec![
            says("the first answer"),
            says("almost"),
            says("almost"),
            says("the second answer"),
        ],
    );
    assert_eq!(bench.run("first").await, TurnEnd::Done);
    let conversation = || bench.agent.session.read(|state| state.messages.clone());
    let before = conversation();
    let items = serde_json::json!([{"id": "1", "content": "train", "status": "pending"}]);
    let items = serde_json::from_value(items).unwrap();
    bench.agent.session.record(Event::Plan { items }).unwrap();
    assert_eq!(bench.run("second").await, TurnEnd::Done);
    assert_eq!(bench.advice().len(), 2);
    assert_eq!(conversation().len(), before.len() + 6);

    let undone = Event::TurnUndone {
        turn: 2,
        restored: Vec::new(),
        kept: Vec::new(),
    };
    bench.agent.session.record(undone).unwrap();
    assert_eq!(conversation(), before);
    assert_eq!(
        bench.agent.session.read(|state| state.ledger.spent().usd()),
        1.0
    );
}
