//! Plugins that lie elsewhere.

/// Servers that lie, stall, send too much or want what they must not have.
mod hostile;
/// Fetching from the Hub and from the web, and publishing to the Hub.
mod hub;
/// The distribution registry, as ours push to it and pull from it.
mod oci;
/// The wasm package tools at the other end.
mod others;
/// Signatures by `minisign`, keys, and versions that go back.
mod signed;
/// The store: two processes, a crash, a full disk, files that were changed.
mod store;
/// What changed at the source, before it is taken.
mod update;
