//! Every provider meets the same cases: the real binary, the provider's own plugin, and a strict
//! fake of its service.
//!
//! A row of the table is a case: one function that takes the provider. A column is a
//! [`Provider`]. What does not apply is listed in [`NOT_APPLICABLE`] with its reason; every other
//! cell is run. `docs/providers.md` shows the table, and a test holds it to that.

use std::{future::Future, pin::Pin, rc::Rc};

use tokio::{sync::Semaphore, task::LocalSet};

mod answers;
mod bench;
mod column;
mod excepted;
mod failures;
mod moved;
pub(crate) mod painter;
mod reasoning;
mod sessions;
mod table;
mod wire;

/// The guest that is tested here.
pub(crate) mod guests {
    pub(crate) use super::painter;
}

use self::{bench::Bench, column::Provider, excepted::NOT_APPLICABLE};

/// Cells of a group that run side by side: most of their time is waiting between attempts.
const AT_ONCE: usize = 4;

/// A row of the table.
pub(crate) struct Case {
    name: &'static str,
    run: fn(&'static Provider) -> Cell,
}

/// A case with one provider.
type Cell = Pin<Box<dyn Future<Output = ()>>>;

/// Rows under their names.
macro_rules! cases {
    ($($name:literal => $function:path),* $(,)?) => {
        &[$(crate::providers::Case {
            name: $name,
            run: |provider| Box::pin($function(provider)),
        }),*]
    };
}
use cases;

/// The rows, in the groups in which they run.
const GROUPS: [&[Case]; 5] = [
    answers::CASES,
    reasoning::CASES,
    wire::CASES,
    failures::CASES,
    sessions::CASES,
];

/// A module for each provider, with a test for each group of cases.
macro_rules! columns {
    ($($name:ident),* $(,)?) => {
        /// The columns.
        const COLUMNS: &[&Provider] = &[$(&column::$name::PROVIDER),*];
        $(mod $name {
            use super::{answers, check, column::$name::PROVIDER, failures, reasoning, sessions, wire};

            #[tokio::test]
            async fn says_what_its_model_says() {
                check(&PROVIDER, answers::CASES).await;
            }

            #[tokio::test]
            async fn thinks_as_it_is_asked_to() {
                check(&PROVIDER, reasoning::CASES).await;
            }

            #[tokio::test]
            async fn takes_what_comes_over_the_wire() {
                check(&PROVIDER, wire::CASES).await;
            }

            #[tokio::test]
            async fn tells_failures_apart() {
                check(&PROVIDER, failures::CASES).await;
            }

            #[tokio::test]
            async fn carries_whole_sessions() {
                check(&PROVIDER, sessions::CASES).await;
            }
        })*
    };
}

columns![
    anthropic,
    bedrock,
    huggingface,
    openai_responses,
    openai_chat,
    openrouter,
    ollama,
    vllm,
    example,
    replay,
];

/// Why a cell is not run, where it is not.
fn exception(provider: &Provider, case: &str) -> Option<&'static str> {
    let excepted = NOT_APPLICABLE.iter();
    excepted
        .filter(|(providers, _, _)| providers.contains(&provider.name))
        .find(|(_, cases, _)| cases.contains(&case))
        .map(|(_, _, reason)| *reason)
}

/// Runs all cells of a group that apply; panics with the names of those that fail.
async fn check(provider: &'static Provider, cases: &'static [Case]) {
    let gate = Rc::new(Semaphore::new(AT_ONCE));
    let run = |case: &'static Case| {
        let gate = Rc::clone(&gate);
        tokio::task::spawn_local(async move {
            let _permit = gate.acquire().await.unwrap();
            (case.run)(provider).await;
        })
    };
    let applies = |case: &&Case| exception(provider, case.name).is_none();
    let all = async {
        let cells: Vec<_> = cases
            .iter()
            .filter(applies)
            .map(|case| (case, run(case)))
            .collect();
        let mut failed = Vec::new();
        for (case, cell) in cells {
            if let Err(panic) = cell.await {
                failed.push(format!(
                    "{} × {}: {}",
                    provider.name,
                    case.name,
                    said(panic)
                ));
            }
        }
        failed
    };
    let failed = LocalSet::new().run_until(all).await;
    assert!(
        failed.is_empty(),
        "{} fail:\n{}",
        failed.len(),
        failed.join("\n\n")
    );
}

/// The words of a panic.
fn said(error: tokio::task::JoinError) -> String {
    let panic = match error.try_into_panic() {
        Ok(panic) => panic,
        Err(error) => return error.to_string(),
    };
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "a panic without words".to_owned())
}
