use crate::support::{
    fake_openai::{Reply, Script},
    world::World,
};

use super::says;

async fn world() -> World {
    World::new(Script::new(|asked| {
        Reply::text(format!("heard: {}", asked.last_text()))
    }))
    .await
}

#[tokio::test]
async fn a_command_line_that_cannot_be_meant_says_what_to_write() {
    let world = world().await;
    for (args, wanted) in [
        (&["run", "go"][..], &["no model is chosen", "--model"][..]),
        (
            &["run", "-m", "gpt-5.5", "go"],
            &["`gpt-5.5` names no provider", "PROVIDER/MODEL"],
        ),
        (&["run", "-m", "/x", "go"], &["names no provider"]),
        (
            &["run", "-m", "opnai/x", "go"],
            &[
                "no provider `opnai`",
                "did you mean openai/x",
                "[providers.opnai]",
            ],
        ),
        (
            &["run", "-m", "openai/x"],
            &["nothing to do", "ml-intern run"],
        ),
        (&["run", "-m", "openai/x", ""], &["nothing to do"]),
        (&["run", "-m", "openai/x", " \n\t"], &["nothing to do"]),
        (&["run", "-m", "openai/x", "-"], &["nothing to do"]),
        (
            &["run", "-m", "openai/x", "--continue", "go"],
            &["no session of"],
        ),
        (
            &["run", "-m", "openai/x", "--resume", "none", "go"],
            &["no session `none`"],
        ),
        (&["run", "--timeout", "soon", "go"], &["soon"]),
        (&["run", "--timeout", "0s", "go"], &["no time"]),
        (
            &["run", "--max-iterations", "0", "go"],
            &["--max-iterations"],
        ),
        (&["run", "--budget-usd=-1", "go"], &["US dollars"]),
        (&["runn"], &["no command `runn`", "ml-intern run"]),
        (&["runn", "go"], &["'go'", "[PROMPT]"]),
        (&["run", "--modle", "x"], &["--modle", "--model"]),
    ] {
        let done = world.home.ml_intern(args).run().await;
        assert_eq!(done.code(), Some(2), "{args:?}: {}", done.stderr);
        assert_eq!(done.stdout, "", "{args:?}");
        says(&done, wanted);
    }
    assert!(world.fake.exchanges().is_empty());
    let sessions = world
        .home
        .ml_intern(["sessions", "list", "--json"])
        .run()
        .await;
    assert_eq!(sessions.stdout.trim(), "[]");
}

#[tokio::test]
async fn the_prompt_can_come_from_standard_input() {
    let world = world().await;
    let done = world.run(["-"]).stdin("  from the pipe\n").run().await;
    done.assert_code(0);
    assert_eq!(done.stdout, "heard: from the pipe\n");
}
