//! Names to addresses. What comes back is vetted by [`super::connect`], whoever answered.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;

/// Looks names up for the requests of plugins. Its answers are not trusted.
#[async_trait]
pub trait Resolve: fmt::Debug + Send + Sync {
    /// The addresses of `host`, a name in ASCII, each with `port`.
    ///
    /// # Errors
    /// When the name has no address, or nobody answers.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The resolver of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}
