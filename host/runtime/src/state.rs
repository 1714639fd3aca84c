//! The `T` of `Store<T>`: what one instance may see and touch.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::call::{Call, Stream};
use crate::capability::http::Hooks;
use crate::capability::{config, fs, stdio};
use crate::meter::MemoryLimiter;

/// State of one instance; dropped with it.
pub(crate) struct PluginState {
    call: Arc<Call>,
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Hooks,
    files: fs::Files,
    foreign: bool,
    /// Whether it looked for a folder and there is none for it.
    pub(crate) misses_folder: bool,
    pub(crate) memory: MemoryLimiter,
}

impl PluginState {
    /// WASI as narrow as it gets: no environment, no arguments, no input, no sockets, no names
    /// looked up; folders as granted. A component of plain functions (`foreign`) was not written for
    /// this host: it sees its configuration as its environment, and its folder by several names.
    pub(crate) fn new(call: Arc<Call>, foreign: bool) -> Result<Self, String> {
        let limits = &call.setup.limits;
        let mut wasi = WasiCtx::builder();
        wasi.stdout(stdio::Output::new(Arc::clone(&call), Stream::Stdout))
            .stderr(stdio::Output::new(Arc::clone(&call), Stream::Stderr))
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .max_random_size(limits.random_bytes);
        if foreign {
            wasi.envs(&config::as_environment(&call.effective().config));
        }
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles as usize);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(usize::try_from(limits.header_bytes).unwrap_or(usize::MAX));
        Ok(Self {
            files: fs::open(&call)?,
            foreign,
            misses_folder: false,
            table,
            wasi: wasi.build(),
            http,
            hooks: Hooks(Arc::clone(&call)),
            memory: MemoryLimiter::new(limits.memory_bytes),
            call,
        })
    }

    /// The call, counted as one use of the host.
    pub(crate) fn call(&self) -> &Call {
        self.call.count();
        &self.call
    }
}

impl PluginState {
    /// The call, counted, together with the table of handles.
    pub(crate) fn call_and_table(&mut self) -> (&Call, &mut ResourceTable) {
        self.call.count();
        (&self.call, &mut self.table)
    }

    /// The same with what WASI keeps.
    pub(crate) fn call_and_wasi(&mut self) -> (&Call, WasiCtxView<'_>) {
        self.call.count();
        let wasi = WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        };
        (&self.call, wasi)
    }

    /// The same with the folder of the call.
    pub(crate) fn files(&mut self) -> fs::View<'_> {
        self.call.count();
        fs::View {
            call: &self.call,
            mount: &self.files,
            table: &mut self.table,
            foreign: self.foreign,
            misses_folder: &mut self.misses_folder,
        }
    }
}

impl WasiView for PluginState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.call.count();
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for PluginState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.call.count();
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: &mut self.hooks,
        }
    }
}
