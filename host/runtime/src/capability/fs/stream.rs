//! Streams of files. A guest may keep one open for as long as its call runs, so each use asks
//! again: for the grant, which may have been taken back, and for what is left to write.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use rustix::io::Errno;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, InputStream, OutputStream, Pollable, StreamError, StreamResult,
};

use super::mount::Mount;
use super::refusal::Refused;
use super::{Asked, allow, remember, shown};
use crate::call::Call;

/// What a stream of a file belongs to.
pub(super) struct Of {
    pub(super) call: Arc<Call>,
    pub(super) mount: Arc<Mount>,
    pub(super) file: Arc<File>,
}

impl Of {
    fn check(&self, asked: Asked) -> StreamResult<()> {
        allow(&self.call, asked, || self.path()).map_err(|_code| failed(Errno::PERM))
    }

    fn charge(&self, bytes: usize) -> StreamResult<()> {
        self.check(Asked::Write)?;
        self.mount.quota.charge(bytes as u64).map_err(|spent| {
            let refused = Refused::Spent(spent);
            remember(&self.call, Asked::Write, &self.path(), &refused);
            failed(Errno::DQUOT)
        })
    }

    fn path(&self) -> String {
        shown(&self.mount, &self.file, "")
    }
}

fn failed(error: Errno) -> StreamError {
    StreamError::LastOperationFailed(io::Error::from(error).into())
}

pub(super) struct Reading {
    pub(super) of: Of,
    pub(super) inner: DynInputStream,
}

#[async_trait]
impl InputStream for Reading {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.of.check(Asked::Read)?;
        self.inner.read(size)
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.of.check(Asked::Read)?;
        self.inner.blocking_read(size).await
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

#[async_trait]
impl Pollable for Reading {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

pub(super) struct Writing {
    pub(super) of: Of,
    pub(super) inner: DynOutputStream,
}

#[async_trait]
impl OutputStream for Writing {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.of.charge(bytes.len())?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.inner.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.inner.check_write()
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.of.charge(bytes.len())?;
        self.inner.blocking_write_and_flush(bytes).await
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

#[async_trait]
impl Pollable for Writing {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}
