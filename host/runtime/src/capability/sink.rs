//! Where a provider sends deltas. Needs no grant.

use wasmtime::component::{HasData, Linker};

use crate::call::Call;
use crate::sink::{Delta, Host};
use crate::state::PluginState;
use crate::types::Control;

pub(crate) struct View<'a>(&'a Call);

struct Sink;

impl HasData for Sink {
    type Data<'a> = View<'a>;
}

impl<'a> View<'a> {
    pub(crate) fn of(state: &'a mut PluginState) -> Self {
        Self(state.call())
    }
}

pub(crate) fn link(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    crate::sink::add_to_linker::<_, Sink>(linker, |state| View::of(state))
}

impl Host for View<'_> {
    fn emit(&mut self, delta: Delta) -> wasmtime::Result<Control> {
        if self.0.cancel.is_cancelled() {
            return Ok(Control::Stop);
        }
        Ok(self
            .0
            .sink
            .as_ref()
            .map_or(Control::Proceed, |sink| sink.emit(delta)))
    }
}
