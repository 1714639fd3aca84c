//! `wasi:io/poll`: wasmtime's, with which of several things was ready recorded or replayed. A guest
//! that waits for an answer and a timer at one time does what it did when the same one is first.

use std::time::Duration;

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi_io::bindings::wasi::io::poll::{self, HostPollable as _};

use crate::call::Call;
use crate::effects::of_call::{CallEffects, Mode};
use crate::effects::script::{Script, diverged};
use crate::state::PluginState;

/// What is replayed is there already, so that what was ready is ready within this or never.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct View<'a> {
    call: &'a Call,
    table: &'a mut ResourceTable,
}

struct Polls;

impl HasData for Polls {
    type Data<'a> = View<'a>;
}

/// Replaces what [`wasmtime_wasi`] has linked.
pub(crate) fn link(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    poll::add_to_linker::<_, Polls>(linker, |state| {
        let (call, table) = state.call_and_table();
        View { call, table }
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

impl View<'_> {
    /// The indexes that were ready, once they are ready again.
    async fn replay(
        &mut self,
        effects: &CallEffects,
        script: &Script,
        pollables: &[Resource<DynPollable>],
    ) -> wasmtime::Result<Vec<u32>> {
        let ready = script.ready(pollables.len());
        let ready = ready.map_err(|cause| effects.fail(cause))?;
        for index in &ready {
            let Some(pollable) = pollables.get(*index as usize) else {
                continue;
            };
            let waited = self.table.block(Resource::new_borrow(pollable.rep()));
            match tokio::time::timeout(PATIENCE, waited).await {
                Ok(done) => done?,
                Err(_) => {
                    let expected = format!("what it waits for to be ready at {index}");
                    return Err(effects.fail(diverged(expected, "something that is not")));
                }
            }
        }
        Ok(ready)
    }
}

impl poll::Host for View<'_> {
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        let Some(effects) = self.call.effects.as_ref().filter(|_| pollables.len() > 1) else {
            return self.table.poll(pollables).await;
        };
        match &effects.mode {
            Mode::Record(recorder) => {
                let ready = self.table.poll(pollables).await?;
                effects.kept(recorder.ready(&ready))?;
                Ok(ready)
            }
            Mode::Replay(script) => self.replay(effects, script, &pollables).await,
        }
    }
}

impl poll::HostPollable for View<'_> {
    async fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.table.block(pollable).await
    }

    async fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        let Some(effects) = &self.call.effects else {
            return self.table.ready(pollable).await;
        };
        match &effects.mode {
            Mode::Record(recorder) => {
                let ready = self.table.ready(pollable).await?;
                let indexes: &[u32] = if ready { &[0] } else { &[] };
                effects.kept(recorder.ready(indexes))?;
                Ok(ready)
            }
            Mode::Replay(script) => {
                let ready = self.replay(effects, script, &[pollable]).await?;
                Ok(!ready.is_empty())
            }
        }
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        poll::HostPollable::drop(self.table, pollable)
    }
}
