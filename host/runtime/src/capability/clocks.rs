//! `wasi:clocks`: wasmtime's, with its readings recorded or replayed.

use std::time::Duration;

use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::clocks::WasiClocksCtxView;
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::{self, Instant};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::{self, Datetime};

use crate::call::Call;
use crate::effects::Clock;
use crate::effects::of_call::Mode;
use crate::state::PluginState;

pub(crate) struct View<'a> {
    call: &'a Call,
    wasi: WasiClocksCtxView<'a>,
}

struct Clocks;

impl HasData for Clocks {
    type Data<'a> = View<'a>;
}

/// Replaces what [`wasmtime_wasi`] has linked.
pub(crate) fn link(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    wall_clock::add_to_linker::<_, Clocks>(linker, view)?;
    monotonic_clock::add_to_linker::<_, Clocks>(linker, view)?;
    linker.allow_shadowing(false);
    Ok(())
}

fn view(state: &mut PluginState) -> View<'_> {
    let (call, wasi) = state.call_and_wasi();
    View {
        call,
        wasi: WasiClocksCtxView {
            ctx: wasi.ctx.clocks(),
            table: wasi.table,
        },
    }
}

impl View<'_> {
    /// A reading of the wall clock as one number. It reaches to the year 2554.
    fn wall(
        &mut self,
        clock: Clock,
        live: impl FnOnce(&mut WasiClocksCtxView<'_>) -> wasmtime::Result<Datetime>,
    ) -> wasmtime::Result<Datetime> {
        if self.call.effects.is_none() {
            return live(&mut self.wasi);
        }
        let nanos = self.call.reading(clock, || {
            let time = live(&mut self.wasi)?;
            let nanos = Duration::new(time.seconds, time.nanoseconds).as_nanos();
            Ok(u64::try_from(nanos).unwrap_or(u64::MAX))
        })?;
        let time = Duration::from_nanos(nanos);
        Ok(Datetime {
            seconds: time.as_secs(),
            nanoseconds: time.subsec_nanos(),
        })
    }

    /// Timers of a replayed call are over at once: it is told which of them were ready.
    fn replays(&self) -> bool {
        let effects = self.call.effects.as_ref();
        effects.is_some_and(|effects| matches!(effects.mode, Mode::Replay(_)))
    }
}

impl wall_clock::Host for View<'_> {
    fn now(&mut self) -> wasmtime::Result<Datetime> {
        self.wall(Clock::Wall, |wasi| wall_clock::Host::now(wasi))
    }

    fn resolution(&mut self) -> wasmtime::Result<Datetime> {
        self.wall(Clock::WallResolution, |wasi| {
            wall_clock::Host::resolution(wasi)
        })
    }
}

impl monotonic_clock::Host for View<'_> {
    fn now(&mut self) -> wasmtime::Result<Instant> {
        let live = || monotonic_clock::Host::now(&mut self.wasi);
        self.call.reading(Clock::Monotonic, live)
    }

    fn resolution(&mut self) -> wasmtime::Result<Instant> {
        let live = || monotonic_clock::Host::resolution(&mut self.wasi);
        self.call.reading(Clock::MonotonicResolution, live)
    }

    fn subscribe_instant(&mut self, when: Instant) -> wasmtime::Result<Resource<DynPollable>> {
        match self.replays() {
            true => self.wasi.subscribe_duration(0),
            false => self.wasi.subscribe_instant(when),
        }
    }

    fn subscribe_duration(&mut self, length: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let length = if self.replays() { 0 } else { length };
        self.wasi.subscribe_duration(length)
    }
}
