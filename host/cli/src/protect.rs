//! What is done first: nothing of this process's memory goes to the disk or to another program.

use crate::ui;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use std::panic::PanicHookInfo;

/// No core file, and no other program of the same user may read this one's memory and environment through `/proc` or a
/// debugger; root may. What is started from here inherits the first for good. The second ends with the `exec` of
/// another program; a child that writes its own `/proc/self/uid_map` before that, as an ordinary user, must make itself
/// dumpable again first, because those files belong to root until then.
pub(crate) fn keep_memory_private() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let limited = setrlimit(Resource::Core, none);
    if let Err(error) = limited.and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable))
    {
        ui::warn(&format!(
            "the memory of this process is not protected from other programs: {error}"
        ));
    }
}

/// A panic says where it happened. Its words are shown only where they are part of the program: others may quote what a
/// plugin, a model or a file said.
pub(crate) fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| ui::err(&report(panic))));
}

fn report(panic: &PanicHookInfo<'_>) -> String {
    let place = panic
        .location()
        .map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let words = panic.payload().downcast_ref::<&'static str>();
    let words = words.map_or(String::new(), |words| format!(": {words}"));
    format!("ml-intern has a defect and stopped at {place}{words}; please report this line")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// What is reported of this panic.
    fn reported(panics: impl FnOnce() + std::panic::UnwindSafe) -> String {
        let kept = Arc::new(Mutex::new(String::new()));
        let hook = Arc::clone(&kept);
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| *hook.lock().unwrap() = report(panic)));
        let ended = std::panic::catch_unwind(panics);
        std::panic::set_hook(before);
        assert!(ended.is_err());
        kept.lock().unwrap().clone()
    }

    #[test]
    fn a_panic_says_where_and_quotes_nothing() {
        let text = reported(|| panic!("words of the program"));
        assert!(
            text.contains("protect.rs:") && text.contains("words of the program"),
            "{text}"
        );
        let secret = String::from("sk-from-a-file");
        let text = reported(move || panic!("a file said {secret}"));
        assert!(
            text.contains("protect.rs:") && !text.contains("sk-from"),
            "{text}"
        );
        let text = reported(|| {
            let answer: Result<u32, _> = "12x".parse().map_err(|_| "sk-from-a-server");
            assert_eq!(answer.expect("an answer"), 12);
        });
        assert!(!text.contains("sk-from"), "{text}");
    }
}
