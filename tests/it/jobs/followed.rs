use super::{WAITS, job, jobs, printed, ready};
use crate::support::world::World;

#[tokio::test]
async fn a_log_is_followed_to_the_end_of_its_job() {
    // Exit code of the job, and of the one who follows it.
    for (job_code, code) in [("0", 0), ("3", 8)] {
        let world = World::new(job(WAITS)).await;
        let (running, id) = ready(&world).await;
        let follower = world.home.ml_intern(["jobs", "logs", "-f", &id]).start();
        world.home.write("go", job_code);
        let followed = follower.finish().await;
        followed.assert_code(code);
        assert_eq!(followed.stdout, "ready\nwent\n");
        running.finish().await.assert_code(0);
        // Of a job that is over, the same; without -f its end is not what was asked for.
        jobs(&world, &["logs", "--follow", &id])
            .await
            .assert_code(code);
        jobs(&world, &["logs", &id]).await.assert_code(0);
    }
}

#[tokio::test]
async fn a_jobs_output_does_not_command_the_terminal() {
    let world = World::new(job("print('a\\x1b]52;c;eA==\\x07b\\x1b[2Jc')")).await;
    world
        .run(["--permission-mode=auto", "go"])
        .run()
        .await
        .assert_code(0);
    let id = printed(&world, &["list"]).await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(jobs(&world, &["logs", &id]).await.stdout, "abc\n");
}

#[tokio::test]
async fn a_job_that_is_not_there_is_a_mistake_of_the_caller() {
    let world = World::new(job("")).await;
    for args in [
        ["logs", "nosuch"],
        ["show", "nosuch"],
        ["cancel", "../../x"],
    ] {
        let done = jobs(&world, &args).await;
        done.assert_code(2);
        assert_eq!(done.stdout, "");
        assert!(
            done.stderr.contains(&format!("no local job `{}`", args[1])),
            "{}",
            done.stderr
        );
        assert!(
            done.stderr
                .contains("hint: `ml-intern jobs list` shows all jobs"),
            "{}",
            done.stderr
        );
    }
    let none = jobs(&world, &["list"]).await;
    none.assert_code(0);
    assert_eq!(
        (none.stdout.as_str(), none.stderr.as_str()),
        ("", "there are no jobs\n")
    );
}
