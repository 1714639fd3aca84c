//! What a plugin may ask of the host.

use async_trait::async_trait;

use super::*;

/// Calls `process.run` for `git` and returns its error; an outcome becomes an empty output.
pub(crate) fn runs_git() -> Guest {
    let imports = format!(
        r#"(import "ml-intern:plugin/process@0.1.0" "run" (func $run (param {})))
        (data (i32.const 16) "git")"#,
        "i32 ".repeat(15)
    );
    let rest = "(i32.const 0)".repeat(10);
    let body = format!(
        "(call $run (i32.const 16) (i32.const 3) {rest} (i32.const 1000) (i32.const 1000) (i32.const 256))
        (if (result i32) (i32.load8_u (i32.const 256)) (then (i32.const 256)) (else (i32.const 64)))"
    );
    Guest {
        module: imports,
        ..Guest::call(&body)
    }
}

struct Programs(Mutex<Vec<(String, u32)>>);

#[async_trait]
impl Processes for Programs {
    async fn run(
        &self,
        command: process::Command,
        caller: Caller,
    ) -> Result<process::Outcome, types::Error> {
        assert_eq!(
            (
                caller.plugin.as_str(),
                caller.session.as_str(),
                caller.call.as_str()
            ),
            ("test/guest", "s", "c")
        );
        self.0
            .lock()
            .unwrap()
            .push((command.program, command.timeout_ms));
        let _paused = caller.clock.pause();
        // Longer than the call may take: a person is asked.
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok(process::Outcome {
            exit_code: Some(0),
            stdout: Vec::new(),
            stderr: Vec::new(),
            truncated: false,
            timed_out: false,
            spill: None,
        })
    }
}

pub(crate) const REQUEST: &str = "[request.process]\nprograms = [\"git\"]";

#[tokio::test]
async fn a_program_runs_when_granted_and_waiting_for_a_person_is_not_counted() {
    let place = Place::new();
    let programs = Arc::new(Programs(Mutex::default()));
    let setup = Setup {
        policy: policy(REQUEST, "{ process = { programs = [\"git\"] } }"),
        services: Services {
            processes: Some(programs.clone()),
            ..Services::default()
        },
        ..Setup::bare(short(10_000, 200))
    };
    let plugin = place.runtime.plugin(source(runs_git().component()), setup);
    call(&plugin).await.unwrap();
    let seen = programs.0.lock().unwrap().clone();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].0 == "git" && seen[0].1 <= 200, "{seen:?}");
    let held = CallContext {
        read_only: true,
        ..context()
    };
    let refused = plugin
        .call_tool(
            "x",
            "",
            held,
            Arc::new(Unobserved),
            &CancellationToken::new(),
        )
        .await;
    assert!(denial(refused).contains("read-only"));
    assert_eq!(programs.0.lock().unwrap().len(), 1);
}

fn denial(result: Result<tool::Output, CallError>) -> String {
    match result {
        Err(CallError::Guest(GuestError {
            error: types::Error::Denied(denial),
            denials,
        })) => {
            assert_eq!(denial.capability, "process");
            assert_eq!(denials.len(), 1);
            assert_eq!(denials[0].detail, denial.detail);
            denial.detail
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn case_26_an_import_without_a_grant_is_denied_by_the_line_that_would_allow_it() {
    let place = Place::new();
    let setup = Setup {
        policy: policy(REQUEST, "{}"),
        ..Setup::bare(Limits::default())
    };
    let plugin = place.runtime.plugin(source(runs_git().component()), setup);
    assert!(
        denial(call(&plugin).await)
            .contains("[plugins.guest.grant] process = { programs = [\"git\"] }")
    );
    let granted = Setup {
        policy: policy(REQUEST, "{ process = { programs = [\"git\"] } }"),
        ..Setup::bare(Limits::default())
    };
    let plugin = place
        .runtime
        .plugin(source(runs_git().component()), granted);
    let unsupported = call(&plugin).await;
    assert!(
        matches!(
            unsupported,
            Err(CallError::Guest(GuestError {
                error: types::Error::Unsupported(_),
                ..
            }))
        ),
        "{unsupported:?}"
    );
}

#[tokio::test]
async fn a_workspace_that_is_gone_is_the_hosts_fault_and_says_where() {
    let place = Place::new();
    let request = "[[request.fs]]\nmount = \"/workspace\"\naccess = \"read\"";
    let setup = Setup {
        policy: policy(
            request,
            "{ fs = [{ mount = \"/workspace\", access = \"read\" }] }",
        ),
        workspace: Some(place.folder.path().join("gone")),
        ..Setup::bare(Limits::default())
    };
    let plugin = place
        .runtime
        .plugin(source(Guest::default().component()), setup);
    assert!(matches!(cause(call(&plugin).await), FaultCause::Host(text) if text.contains("gone")));
}
