//! What the operating system keeps away from a program.

/// How a program is kept from the rest of the machine, beyond its environment and limits.
///
/// Callers take it from their settings and pass it on; only the spawning code matches on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Isolation {
    /// The program has the rights of the user who runs the host.
    #[default]
    None,
}
