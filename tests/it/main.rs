//! End-to-end tests, one binary. A module below tests one thing from the outside; what can be
//! tested inside a crate is tested there.

#![expect(
    clippy::unwrap_used,
    reason = "a test panics where it fails, and so does its support"
)]

/// Tools that ask their session: its model, its tools, agents of their own.
mod agent;
/// Permissions: who is asked, how, and what the exit code says.
mod approvals;
/// The direction of dependencies between our crates, and what the agent may not depend on.
mod architecture;
/// Plugins begun with `plugin new` and built with `plugin build`, in every language.
mod authoring;
/// Bad input and bad peers: a clear message, the right exit code, nothing lost.
mod bad_input;
/// Conversations that outgrow the model's context.
mod context;
/// Several turns with one program: steering, undo, another model, another session.
mod conversation;
/// The same path against servers that nobody here wrote.
mod counterparts;
/// The process dies at any moment; the session goes on.
mod crash;
/// Keys: kept, shown as there, used for their place, and found nowhere else.
mod credentials;
/// Attacks, one function for each case of the suite in `docs/security.md`.
mod hostile;
/// Native programs and jobs of a session, kept from the rest of the machine and given what was granted.
mod isolation;
/// Jobs outlive calls and hosts, and are found, followed and ended from the command line.
mod jobs;
/// The main path against servers that speak OpenAI's protocol.
mod openai;
/// The example of the README, as its reader runs it.
mod penguins;
/// Adding, listing, locking and removing plugins; plugins that misbehave.
mod plugins;
/// Every provider, one suite: what its service does, and what becomes of it.
mod providers;
/// A model that goes round in circles.
mod repetition;
/// The support itself: a fake that takes anything, or a runner that hides an exit code, would
/// make every other test worthless.
mod self_test;
/// Sessions: listed, shown, resumed, continued.
mod sessions;
/// Fakes, real servers and the runner of the binary, used by the modules above.
mod support;
/// What a person at a terminal sees and answers.
mod terminal;
/// Notices to a webhook, and what a dead one does to a run.
mod webhook;
