//! Whether a credential is set: all that a plugin may learn of one. Its value is added to requests
//! by [`crate::egress`].

use wasmtime::component::{HasData, Linker};

use crate::bindings::tool::ml_intern::plugin::credential::{self, Host};
use crate::call::Call;
use crate::state::PluginState;
use crate::types::Error;

pub(crate) struct View<'a>(&'a Call);

struct Credential;

impl HasData for Credential {
    type Data<'a> = View<'a>;
}

pub(crate) fn link(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    credential::add_to_linker::<_, Credential>(linker, |state| View(state.call()))
}

impl Host for View<'_> {
    fn is_set(&mut self, name: String) -> wasmtime::Result<Result<bool, Error>> {
        let call = self.0;
        let credentials = &call.effective().credentials;
        if let Err(denial) = credentials.check(&name) {
            let target = name.chars().take(64).collect();
            return Ok(Err(call.refuse(denial, target)));
        }
        let values = &call.setup.credentials;
        Ok(Ok(values.iter().any(|credential| credential.name == name)))
    }
}
