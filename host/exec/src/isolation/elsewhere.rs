//! Systems without namespaces: the words are there, and nothing can be done with them.

use std::any::Any;
use std::net::TcpListener;

use crate::ExecError;

/// Namespaces that programs share; there are none here.
#[derive(Debug)]
pub struct Room(std::convert::Infallible);

/// What a room is made with.
pub struct Network {
    /// Serves the way out of the room.
    pub serve: Box<dyn FnOnce(TcpListener) -> Box<dyn Any + Send + Sync> + Send>,
    /// Names of the loopback address that do not go there.
    pub direct: Vec<String>,
}

impl Room {
    /// # Errors
    /// Always [`ExecError::Isolation`].
    pub async fn open(_network: Option<Network>) -> Result<Self, ExecError> {
        Err(ExecError::Isolation("only Linux has namespaces".to_owned()))
    }

    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        match self.0 {}
    }
}
