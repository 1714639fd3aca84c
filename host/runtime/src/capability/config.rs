//! `wasi:config/store`: the values that the user set for this plugin. Needs no grant.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime::StoreContextMut;
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

/// The older name of the interface, under which components of other hosts import it. Its functions
/// are the same.
const DRAFT: &str = "wasi:config/store@0.2.0-draft";

/// Links the interface under its older name.
pub(crate) fn link_draft(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    let view = |state: &PluginState| View(Arc::clone(&state.call().effective().config));
    let mut interface = linker.instance(DRAFT)?;
    interface.func_wrap(
        "get",
        move |store: StoreContextMut<'_, PluginState>, (key,): (String,)| {
            Ok((view(store.data()).get(key)?,))
        },
    )?;
    interface.func_wrap(
        "get-all",
        move |store: StoreContextMut<'_, PluginState>, (): ()| Ok((view(store.data()).get_all()?,)),
    )
}

/// The configuration as environment variables, for a component of plain functions: `api-host` is
/// `API_HOST`.
pub(crate) fn as_environment(config: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let name = |key: &str| key.to_ascii_uppercase().replace('-', "_");
    let variables = config.iter();
    variables
        .map(|(key, value)| (name(key), value.clone()))
        .collect()
}

fn as_key(variable: &str) -> String {
    variable.to_ascii_lowercase().replace('_', "-")
}

impl Host for View {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, Error>> {
        // Other components ask by the name of an environment variable, as which no key of ours is
        // written: `UNITS` is `units`.
        let value = self.0.get(&key).or_else(|| self.0.get(&as_key(&key)));
        Ok(Ok(value.cloned()))
    }

    fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, Error>> {
        Ok(Ok(self
            .0
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()))
    }
}
