//! `wasi:random`: wasmtime's, with its bytes recorded or replayed.

use wasmtime::component::{HasData, Linker};
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};
use wasmtime_wasi::random::WasiRandomCtx;

use crate::call::Call;
use crate::effects::RandomSource;
use crate::state::PluginState;

pub(crate) struct View<'a> {
    call: &'a Call,
    wasi: &'a mut WasiRandomCtx,
}

struct Random;

impl HasData for Random {
    type Data<'a> = View<'a>;
}

/// Replaces what [`wasmtime_wasi`] has linked.
pub(crate) fn link(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    random::add_to_linker::<_, Random>(linker, view)?;
    insecure::add_to_linker::<_, Random>(linker, view)?;
    insecure_seed::add_to_linker::<_, Random>(linker, view)?;
    linker.allow_shadowing(false);
    Ok(())
}

fn view(state: &mut PluginState) -> View<'_> {
    let (call, wasi) = state.call_and_wasi();
    View {
        call,
        wasi: wasi.ctx.random(),
    }
}

impl View<'_> {
    fn bytes(
        &mut self,
        source: RandomSource,
        length: u64,
        live: impl FnOnce(&mut WasiRandomCtx) -> wasmtime::Result<Vec<u8>>,
    ) -> wasmtime::Result<Vec<u8>> {
        match usize::try_from(length) {
            Ok(known) if length <= self.call.setup.limits.random_bytes => {
                self.call.random_bytes(source, known, || live(self.wasi))
            }
            // Refuses it.
            _ => live(self.wasi),
        }
    }

    fn number(
        &mut self,
        source: RandomSource,
        live: impl FnOnce(&mut WasiRandomCtx) -> wasmtime::Result<u64>,
    ) -> wasmtime::Result<u64> {
        if self.call.effects.is_none() {
            return live(self.wasi);
        }
        let bytes = self.call.random_bytes(source, size_of::<u64>(), || {
            Ok(live(self.wasi)?.to_le_bytes().to_vec())
        })?;
        Ok(le_number(&bytes))
    }
}

fn le_number(bytes: &[u8]) -> u64 {
    let place = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
    bytes.iter().rev().fold(0, place)
}

impl random::Host for View<'_> {
    fn get_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        let live = |wasi: &mut WasiRandomCtx| wasi.get_random_bytes(length);
        self.bytes(RandomSource::Random, length, live)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.number(RandomSource::Random, random::Host::get_random_u64)
    }
}

impl insecure::Host for View<'_> {
    fn get_insecure_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        let live = |wasi: &mut WasiRandomCtx| wasi.get_insecure_random_bytes(length);
        self.bytes(RandomSource::Insecure, length, live)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.number(
            RandomSource::Insecure,
            insecure::Host::get_insecure_random_u64,
        )
    }
}

impl insecure_seed::Host for View<'_> {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        if self.call.effects.is_none() {
            return self.wasi.insecure_seed();
        }
        let length = 2 * size_of::<u64>();
        let bytes = self
            .call
            .random_bytes(RandomSource::InsecureSeed, length, || {
                let (low, high) = self.wasi.insecure_seed()?;
                Ok([low.to_le_bytes(), high.to_le_bytes()].concat())
            })?;
        let (low, high) = bytes.split_at(size_of::<u64>().min(bytes.len()));
        Ok((le_number(low), le_number(high)))
    }
}
