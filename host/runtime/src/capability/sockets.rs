//! Sockets and name look-up, which no plugin gets: a name alone carries out what it spells. The
//! store refuses them as well; what is added here is that the refusal is written down and that the
//! user is told where requests go instead.

use ml_intern_manifest::Denial;
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{
    self, HostResolveAddressStream, ResolveAddressStream,
};
use wasmtime_wasi::p2::bindings::sockets::network::{
    self, ErrorCode, HostNetwork, IpAddress, IpAddressFamily, Network,
};
use wasmtime_wasi::p2::bindings::sockets::{tcp_create_socket, udp_create_socket};
use wasmtime_wasi::p2::{DynPollable, SocketError, SocketResult, TcpSocket, UdpSocket};

use crate::call::Call;
use crate::egress::destination::shown;
use crate::state::PluginState;

pub(crate) struct View<'a>(&'a Call);

struct Sockets;

impl HasData for Sockets {
    type Data<'a> = View<'a>;
}

/// Replaces what [`wasmtime_wasi`] has linked.
pub(crate) fn link(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    tcp_create_socket::add_to_linker::<_, Sockets>(linker, |state| View(state.call()))?;
    udp_create_socket::add_to_linker::<_, Sockets>(linker, |state| View(state.call()))?;
    ip_name_lookup::add_to_linker::<_, Sockets>(linker, |state| View(state.call()))?;
    linker.allow_shadowing(false);
    Ok(())
}

impl View<'_> {
    fn refuse(&self, target: String) -> SocketError {
        let denial = Denial {
            capability: "network",
            detail: format!(
                "{target}: no plugin gets sockets or name look-up; its author can ask for requests in plugin.toml with: [[request.http]]"
            ),
        };
        // The guest gets the number of the error, which is all that the interface has.
        let _told = self.0.refuse(denial, target);
        ErrorCode::AccessDenied.into()
    }
}

/// How the refusals below become numbers; the interface itself stays [`wasmtime_wasi`]'s.
impl network::Host for View<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn network_error_code(
        &mut self,
        _: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(None)
    }
}

impl HostNetwork for View<'_> {
    fn drop(&mut self, _: Resource<Network>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl tcp_create_socket::Host for View<'_> {
    fn create_tcp_socket(&mut self, _: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        Err(self.refuse("TCP socket".to_owned()))
    }
}

impl udp_create_socket::Host for View<'_> {
    async fn create_udp_socket(&mut self, _: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        Err(self.refuse("UDP socket".to_owned()))
    }
}

impl ip_name_lookup::Host for View<'_> {
    fn resolve_addresses(
        &mut self,
        _: Resource<Network>,
        name: String,
    ) -> SocketResult<Resource<ResolveAddressStream>> {
        let name = self.0.secrets.replace_in(&shown(&name));
        Err(self.refuse(format!("look-up of `{name}`")))
    }
}

/// There is no stream, so nothing can be asked of one.
impl HostResolveAddressStream for View<'_> {
    fn resolve_next_address(
        &mut self,
        _: Resource<ResolveAddressStream>,
    ) -> SocketResult<Option<IpAddress>> {
        Err(ErrorCode::AccessDenied.into())
    }

    fn subscribe(
        &mut self,
        _: Resource<ResolveAddressStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        Err(wasmtime::Error::msg("there is no look-up under way"))
    }

    fn drop(&mut self, _: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        Ok(())
    }
}
