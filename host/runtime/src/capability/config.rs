//! `wasi:config/store`: the values that the user set for this plugin. Needs no grant.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime::component::{HasData, Linker};

use crate::bindings::tool::wasi::config::store::{self, Error, Host};
use crate::state::PluginState;

pub(crate) struct View(Arc<BTreeMap<String, String>>);

struct Config;

impl HasData for Config {
    type Data<'a> = View;
}

pub(crate) fn link(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    store::add_to_linker::<_, Config>(linker, |state| {
        View(Arc::clone(&state.call().effective().config))
    })
}

impl Host for View {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, Error>> {
        Ok(Ok(self.0.get(&key).cloned()))
    }

    fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, Error>> {
        Ok(Ok(self
            .0
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()))
    }
}
