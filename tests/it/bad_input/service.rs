use crate::support::{
    fake_openai::{FakeOpenAi, Reply, Script},
    ml_intern::{Finished, Home},
    world::{World, of_type},
};

use super::{answer_of_next, notices, says};

/// Fails as told with the first prompt, and answers `fine` to a prompt that says `again`.
async fn failing(reply: Reply) -> World {
    let script = Script::new(move |asked| {
        let last = asked.messages.last().expect("never empty");
        match last.to_string().contains("again") {
            true => Reply::text("fine"),
            false => reply.clone(),
        }
    });
    World::new(script).await
}

async fn run(world: &World) -> Finished {
    world.run(["--json", "go"]).run().await
}

#[tokio::test]
async fn an_unknown_model_is_named_and_the_session_goes_on_with_another() {
    let world = failing(Reply::text("hi")).await;
    let done = world
        .home
        .ml_intern(["run", "--model", "openai/no-such-model", "go"])
        .run()
        .await;
    done.assert_code(2);
    says(&done, &["no-such-model", "--resume"]);
    let next = world.run(["--json", "--continue", "again"]).run().await;
    next.assert_code(0);
    assert_eq!(next.result()["message"], "fine");
}

#[tokio::test]
async fn a_refused_key_ends_with_the_code_for_credentials() {
    let home = Home::new();
    let fake = FakeOpenAi::start_with(
        Script::steps([Reply::text("hi")]),
        Some("sk-right-key"),
        &["fake-model"],
    )
    .await;
    home.set("OPENAI_BASE_URL", fake.base_url());
    let world = World { home, fake };
    let done = world.run(["go"]).run().await;
    done.assert_code(3);
    says(&done, &["OPENAI_API_KEY", "--resume"]);

    world.home.set("OPENAI_API_KEY", "sk-wrong-key");
    let done = world.run(["--json", "--continue"]).run().await;
    done.assert_code(3);
    let events = done.events();
    assert_eq!(of_type(&events, "error")[0]["kind"], "auth");
    assert_eq!(notices(&events, "retry"), [""; 0], "a key gets no better");

    world.home.set("OPENAI_API_KEY", "sk-right-key");
    let done = world.run(["--json", "--continue"]).run().await;
    done.assert_code(0);
    assert_eq!(done.result()["message"], "hi");
    for text in [&done.stdout, &done.stderr] {
        assert!(!text.contains("sk-right-key"));
    }
}

#[tokio::test]
async fn a_rate_limit_is_waited_for_as_long_as_the_service_says() {
    let world = failing(Reply::rate_limited(1).then(Reply::text("hi"))).await;
    let done = run(&world).await;
    done.assert_code(0);
    assert_eq!(done.result()["message"], "hi");
    let events = done.events();
    let retries = notices(&events, "retry");
    assert_eq!(retries.len(), 1);
    for text in ["429", "trying again in 1 s", "attempt 2 of 3"] {
        assert!(retries[0].contains(text), "{retries:?}");
    }
    let chats = world.fake.chats();
    assert!(chats[1].arrived - chats[0].arrived >= std::time::Duration::from_secs(1));
    assert_eq!(chats[0].body, chats[1].body);
}

#[tokio::test]
async fn a_rate_limit_without_end_is_given_up_and_nothing_is_lost() {
    let world = failing(Reply::rate_limited(1)).await;
    let done = run(&world).await;
    done.assert_code(1);
    let result = done.result();
    assert_eq!(result["reason"], "error");
    let error = result["error"].as_str().unwrap();
    assert!(
        error.contains("429") && error.contains("Rate limit reached"),
        "{error}"
    );
    assert_eq!(world.fake.chats().len(), 3);
    assert_eq!(answer_of_next(&world, "again").await, "fine");
}

#[tokio::test]
async fn a_failure_of_the_server_is_tried_again() {
    let world = failing(Reply::server_error().then(Reply::text("hi"))).await;
    let done = run(&world).await;
    done.assert_code(0);
    assert_eq!(done.result()["message"], "hi");
    assert_eq!(notices(&done.events(), "retry").len(), 1);
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_asked_for_again_and_its_half_is_not_kept() {
    let text = "one two three four";
    let world = failing(Reply::text(text).cut_after(2).then(Reply::text(text))).await;
    let done = run(&world).await;
    done.assert_code(0);
    let result = done.result();
    assert_eq!(result["message"], text);
    let events = done.events();
    let retries = notices(&events, "retry");
    assert_eq!(retries.len(), 1);
    assert!(
        retries[0].contains("the part of the answer that came is left out"),
        "{retries:?}"
    );
    let answers: Vec<_> = of_type(&events, "message")
        .into_iter()
        .filter(|event| event["role"] == "assistant")
        .collect();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(result["iterations"], 1);

    assert_eq!(answer_of_next(&world, "again").await, "fine");
    let last = world.fake.chats().pop().unwrap();
    assert_eq!(last.messages().matches("one two").count(), 1);
}

#[tokio::test]
async fn answers_that_are_none_are_tried_again_and_say_what_came() {
    for (reply, why) in [
        (Reply::garbage_events(), "no chat completion"),
        (Reply::web_page(), "text/html"),
        (
            Reply::raw("application/json", "{\"choices\": 3}"),
            "choices",
        ),
    ] {
        let world = failing(reply.then(Reply::text("hi"))).await;
        let done = run(&world).await;
        done.assert_code(0);
        assert_eq!(done.result()["message"], "hi");
        let events = done.events();
        let retries = notices(&events, "retry");
        assert_eq!(retries.len(), 1, "{why}");
        assert!(retries[0].contains(why), "no `{why}` in {retries:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_tried_three_times_and_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    let world = failing(Reply::text("hi")).await;
    world.home.set("OPENAI_BASE_URL", &closed);
    let done = run(&world).await;
    done.assert_code(1);
    assert_eq!(notices(&done.events(), "retry").len(), 2);
    let error = done.result()["error"].clone();
    assert!(error.as_str().unwrap().contains(&closed), "{error}");
    world.home.set("OPENAI_BASE_URL", world.fake.base_url());
    assert_eq!(answer_of_next(&world, "again").await, "fine");
    let last = world.fake.chats().pop().unwrap();
    assert!(last.messages().contains("\"go"), "{}", last.messages());
}
