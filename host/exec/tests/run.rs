//! Real programs, run to every kind of end. Each hostile case asserts that nothing is left.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]
#![expect(clippy::duplicate_mod, reason = "every case runs at both levels")]
#![cfg(target_os = "linux")]

/// With the rights of the user.
#[path = "."]
mod free {
    use ml_intern_exec::Command;

    const NAME: &str = "none";

    async fn isolate(_command: &mut Command) {}

    #[path = "run/cases.rs"]
    mod cases;
}

/// In namespaces, where the machine lets us.
#[path = "."]
mod isolated {
    use ml_intern_exec::{Command, Isolation, Support, View};

    const NAME: &str = "full";

    async fn isolate(command: &mut Command) {
        let support = Support::of_this_machine().await;
        assert_eq!(support.level, Isolation::Full, "{:?}", support.missing);
        command.isolation = Isolation::Full;
        command.view = View::of(&command.cwd);
    }

    #[path = "run/cases.rs"]
    mod cases;
}
