//! Diagnostics and progress. Needs no grant; its text is bounded for each call.

use wasmtime::component::{HasData, Linker};

use crate::call::{Call, LogLine};
use crate::log::{Host, Level};
use crate::state::PluginState;
use crate::types::Control;

pub(crate) struct View<'a>(&'a Call);

struct Log;

impl HasData for Log {
    type Data<'a> = View<'a>;
}

impl<'a> View<'a> {
    pub(crate) fn of(state: &'a mut PluginState) -> Self {
        Self(state.call())
    }
}

pub(crate) fn link(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    crate::log::add_to_linker::<_, Log>(linker, |state| View::of(state))
}

impl Host for View<'_> {
    fn write(
        &mut self,
        level: Level,
        message: String,
        fields: Option<String>,
    ) -> wasmtime::Result<()> {
        let bytes = message.len() + fields.as_ref().map_or(0, String::len);
        // Text beyond the limit is dropped: a plugin that talks too much has done no harm yet.
        if self.0.charge_log(bytes) {
            self.0.observer().log(LogLine {
                level,
                message: &message,
                fields: fields.as_deref(),
                stream: None,
            });
        }
        Ok(())
    }

    fn progress(&mut self, message: String, fraction: Option<f32>) -> wasmtime::Result<Control> {
        if self.0.cancel.is_cancelled() {
            return Ok(Control::Stop);
        }
        if !self.0.charge_log(message.len()) {
            return Ok(Control::Proceed);
        }
        let fraction = fraction
            .filter(|fraction| fraction.is_finite())
            .map(|fraction| fraction.clamp(0.0, 1.0));
        Ok(self.0.observer().progress(&message, fraction))
    }
}
