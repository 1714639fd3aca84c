//! Plugins that lie elsewhere.

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
