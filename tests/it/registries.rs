//! Plugins that lie elsewhere.

/// Servers that lie, stall, send too much or want what they must not have.
mod hostile;
/// Fetching from the Hub and from the web, and publishing to the Hub.
mod hub;
