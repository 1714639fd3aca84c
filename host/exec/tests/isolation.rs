//! Real programs that try to leave their isolation. Each attack also runs without isolation,
//! where it has to succeed: an attack that cannot succeed shows nothing.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]
#![cfg(target_os = "linux")]

#[path = "isolation/bench.rs"]
mod bench;
/// Files outside, and the files of the host within the workspace.
#[path = "isolation/files.rs"]
mod files;
/// The weaker level, which needs no namespaces.
#[path = "isolation/held.rs"]
mod held;
/// Memory, processes, descriptors, core dumps.
#[path = "isolation/limits.rs"]
mod limits;
/// Sockets of every kind.
#[path = "isolation/network.rs"]
mod network;
/// Other processes, privileges, the kernel.
#[path = "isolation/processes.rs"]
mod processes;
/// What has to go on working.
#[path = "isolation/work.rs"]
mod work;
