//! From the bytes of a component to code that can be instantiated.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use ml_intern_manifest::Digest;
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::abi::foreign::is_foreign;
use crate::abi::{NotifierPre, ProviderPre, ToolPre};
use crate::compile;
use crate::engine::Host;
use crate::fault::{CallError, Fault, FaultCause};
use crate::runtime::Runtime;

/// The largest component that is compiled, in bytes.
pub(crate) const MAX_COMPONENT: usize = 64 << 20;

/// The bytes of a component, read only when nothing compiled is in the cache.
#[derive(Clone)]
pub struct ComponentSource {
    /// Plugin id, for messages.
    pub id: String,
    /// Plugin version, for messages.
    pub version: String,
    /// Digest of the bytes; other bytes are refused.
    pub digest: Digest,
    /// Reads the bytes.
    pub bytes: Arc<dyn Fn() -> io::Result<Cow<'static, [u8]>> + Send + Sync>,
}

impl ComponentSource {
    /// A component that is in memory.
    pub fn from_bytes(id: &str, version: &str, bytes: Vec<u8>) -> Self {
        let digest = Digest::of(&bytes);
        let bytes = Arc::new(move || Ok(Cow::Owned(bytes.clone())));
        Self {
            id: id.to_owned(),
            version: version.to_owned(),
            digest,
            bytes,
        }
    }
}

impl fmt::Debug for ComponentSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ComponentSource({} {} {})",
            self.id, self.version, self.digest
        )
    }
}

/// A component as code, and prepared for the worlds it has been used as.
pub(crate) struct Loaded {
    pub(crate) component: Component,
    /// Whether it exports plain functions instead of an interface of ours.
    pub(crate) foreign: bool,
    tool: OnceLock<ToolPre>,
    provider: OnceLock<ProviderPre>,
    notifier: OnceLock<NotifierPre>,
}

/// What a world's component is prepared as.
macro_rules! prepared {
    ($name:ident, $pre:ident) => {
        pub(crate) fn $name(&self, host: &Host) -> Result<&$pre, FaultCause> {
            if let Some(pre) = self.$name.get() {
                return Ok(pre);
            }
            let pre = $pre::new(host, &self.component).map_err(|error| not_loadable(&error))?;
            Ok(self.$name.get_or_init(|| pre))
        }
    };
}

impl Loaded {
    prepared!(tool, ToolPre);
    prepared!(provider, ProviderPre);
    prepared!(notifier, NotifierPre);
}

fn not_loadable(error: &wasmtime::Error) -> FaultCause {
    FaultCause::NotLoadable(crate::outcome::shortened(&format!("{error:#}")))
}

/// Loads a component from the compile cache, or compiles it.
pub(crate) async fn load(
    runtime: &Arc<Runtime>,
    source: &ComponentSource,
) -> Result<Loaded, FaultCause> {
    let cached = {
        let (runtime, source) = (Arc::clone(runtime), source.clone());
        blocking(move || {
            let engine = &runtime.host()?.engine;
            let (folder, name) = place(engine, &source);
            Ok(from_cache(&runtime, engine, &["aot", &folder], &name))
        })
    };
    let component = match cached.await? {
        Some(component) => component,
        None => compiled(runtime, source).await?,
    };
    Ok(Loaded {
        foreign: is_foreign(&runtime.host()?.engine, &component),
        component,
        tool: OnceLock::new(),
        provider: OnceLock::new(),
        notifier: OnceLock::new(),
    })
}

impl Runtime {
    /// Sees to it that a component is compiled, and says how long that took; none where it was.
    ///
    /// # Errors
    /// Where it cannot be compiled.
    pub async fn compile(
        self: &Arc<Self>,
        source: &ComponentSource,
    ) -> Result<Option<Duration>, CallError> {
        let fault = |cause| {
            CallError::Fault(Fault {
                plugin: source.id.clone(),
                version: source.version.clone(),
                call: "compile".to_owned(),
                cause,
            })
        };
        let engine = &self.host().map_err(fault)?.engine;
        let (folder, name) = place(engine, source);
        if self.cache.has(&["aot", &folder], &name) {
            return Ok(None);
        }
        let began = Instant::now();
        compiled(self, source).await.map_err(fault)?;
        Ok(Some(began.elapsed()))
    }
}

/// Folder and name of a component's code in the cache.
fn place(engine: &Engine, source: &ComponentSource) -> (String, String) {
    (
        engine_hash(engine),
        format!("{}.cwasm", source.digest.hex()),
    )
}

/// Compiles a component and keeps the code.
async fn compiled(
    runtime: &Arc<Runtime>,
    source: &ComponentSource,
) -> Result<Component, FaultCause> {
    runtime.compiling(&source.id);
    let bytes = {
        let source = source.clone();
        blocking(move || checked_bytes(&source)).await?
    };
    let code = match runtime.compiler() {
        Some(program) => compile::compile(program, runtime.host()?.kind(), &bytes).await?,
        None => {
            let runtime = Arc::clone(runtime);
            let code = move || {
                let code = runtime.host()?.engine.precompile_component(&bytes);
                code.map_err(|error| not_loadable(&error))
            };
            blocking(code).await?
        }
    };
    let (runtime, source) = (Arc::clone(runtime), source.clone());
    let keep = move || {
        let engine = &runtime.host()?.engine;
        let (folder, name) = place(engine, &source);
        if let Err(error) = runtime.cache.write(&["aot", &folder], &name, &code) {
            runtime.report(&format!(
                "compiled plugin `{}` is not kept: {error}",
                source.id
            ));
        }
        deserialize(engine, &code).map_err(|error| not_loadable(&error))
    };
    blocking(keep).await
}

/// Runs what takes its time on a thread for that.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FaultCause> + Send + 'static,
) -> Result<T, FaultCause> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(FaultCause::NotLoadable(format!(
            "the compiler failed: {error}"
        ))),
    }
}

fn from_cache(
    runtime: &Runtime,
    engine: &Engine,
    folders: &[&str],
    name: &str,
) -> Option<Component> {
    let entry = match runtime.cache.read(folders, name) {
        Ok(entry) => entry?,
        Err(error) => {
            runtime.report(&format!("the compile cache is not used: {error}"));
            return None;
        }
    };
    match deserialize(engine, entry.body()) {
        Ok(component) => Some(component),
        Err(error) => {
            runtime.report(&format!("the compile cache is not used: {error:#}"));
            None
        }
    }
}

#[expect(
    unsafe_code,
    reason = "loading machine code is unsafe; the caller has these very bytes from its own compiler, or has authenticated them as written by this installation"
)]
fn deserialize(engine: &Engine, authenticated: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `Component::deserialize` needs bytes made by `Engine::precompile_component`. Either they
    // have just come from it, in this process or through a pipe from a process that this one started
    // from its own program; or they carry an HMAC under a key that only this user can read, which
    // only `compiled` computes, over exactly such bytes for this digest and engine. They lie in
    // memory that nobody else maps.
    unsafe { Component::deserialize(engine, authenticated) }
}

/// What code made by this engine can be loaded by: version, target and settings.
fn engine_hash(engine: &Engine) -> String {
    struct Sha(Sha256);
    impl Hasher for Sha {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut sha = Sha(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut sha);
    sha.0
        .finalize()
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The bytes of a component, as far as can be said without compiling them.
fn checked_bytes(source: &ComponentSource) -> Result<Cow<'static, [u8]>, FaultCause> {
    let refused = FaultCause::NotLoadable;
    let bytes =
        (source.bytes)().map_err(|error| refused(format!("its bytes cannot be read: {error}")))?;
    if bytes.len() > MAX_COMPONENT {
        return Err(refused(format!(
            "it has {} bytes where {MAX_COMPONENT} are allowed",
            bytes.len()
        )));
    }
    let digest = Digest::of(&bytes);
    if digest != source.digest {
        return Err(refused(format!(
            "its bytes changed: their digest is {digest} where {} is expected",
            source.digest
        )));
    }
    check_format(&bytes).map_err(|problem| refused(problem.to_owned()))?;
    Ok(bytes)
}

/// The preamble of the component binary format: magic, version 13, layer 1
/// (component-model `design/mvp/Binary.md`).
fn check_format(bytes: &[u8]) -> Result<(), &'static str> {
    const MAGIC: &[u8] = b"\0asm";
    if Engine::detect_precompiled(bytes).is_some() {
        return Err("it is machine code; a plugin is a WebAssembly component");
    }
    match bytes.strip_prefix(MAGIC) {
        Some([0x0d, 0, 1, 0, ..]) => Ok(()),
        Some([1, 0, 0, 0, ..]) => {
            Err("it is a core module, not a component; build it for wasm32-wasip2")
        }
        Some(_) => Err("it is a component of another format version"),
        None => Err("it is not a WebAssembly binary"),
    }
}
