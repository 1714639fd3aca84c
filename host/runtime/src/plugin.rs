//! A component with its grant, settings and limits; and the way of one call through it.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ml_intern_manifest::{Effective, Grant, Limits, Request};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;
use wasmtime::{Store, UpdateDeadline};

use crate::abi::ToolPre;
use crate::abi::foreign::{self, Docs, Hidden};
use crate::call::{AuditRecord, Call, CallContext, CallParts, Observer, Sink, Unobserved, Verdict};
use crate::capability::fs::Written;
use crate::capability::keyvalue::KeyValue;
use crate::egress::credential::Credential;
use crate::egress::traffic::Traffic;
use crate::engine::{Host, Room, Ticking};
use crate::fault::{CallError, Fault, FaultCause, GuestError};
use crate::load::{ComponentSource, Loaded, load};
use crate::meter::{Metered, Refusal};
use crate::outcome::{Size, check_documents, classify};
use crate::policy::Policy;
use crate::runtime::Runtime;
use crate::services::Services;
use crate::state::PluginState;
use crate::{chat, notifier, provider, tool, types};

/// What a plugin gets.
pub struct Setup {
    /// What it may do, and its configuration.
    pub policy: Policy,
    /// The folder behind `/workspace`, opened only where the grant says so.
    pub workspace: Option<PathBuf>,
    /// Files and folders of the workspace that no plugin changes, relative to it.
    pub protected: Vec<PathBuf>,
    /// What its calls have written to the workspace.
    pub written: Written,
    /// What it keeps between calls.
    pub store: KeyValue,
    /// Values of the credentials that its grant names.
    pub credentials: Vec<Credential>,
    /// What a call may use.
    pub limits: Limits,
    /// What the host's other parts do for it.
    pub services: Services,
}

impl Setup {
    /// Nothing but processor time: no folder, no network, no configuration.
    pub fn bare(limits: Limits) -> Self {
        let nothing = Effective::compute(
            "plugins",
            &Request::default(),
            &Grant::default(),
            &BTreeMap::new(),
        );
        Self {
            policy: Policy::new(nothing.expect("an empty request has nothing that could be wrong")),
            workspace: None,
            protected: Vec::new(),
            written: Written::default(),
            store: KeyValue::in_memory(),
            credentials: Vec::new(),
            limits,
            services: Services::default(),
        }
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("workspace", &self.workspace)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// A plugin that can be called. Cheap to clone; clones share their limits and their grant.
#[derive(Clone)]
pub struct Plugin(Arc<Inner>);

struct Inner {
    runtime: Arc<Runtime>,
    source: ComponentSource,
    setup: Arc<Setup>,
    traffic: Arc<Traffic>,
    component: Arc<OnceCell<Loaded>>,
    side_by_side: Semaphore,
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Plugin").field(&self.0.source).finish()
    }
}

impl Runtime {
    /// A plugin made of a component and what it gets. Nothing is read before it is used.
    pub fn plugin(self: &Arc<Self>, source: ComponentSource, setup: Setup) -> Plugin {
        // What one plugin may use, no other may send either.
        self.learn_secrets(setup.credentials.iter().flat_map(Credential::secrets));
        Plugin(Arc::new(Inner {
            component: self.component(source.digest),
            traffic: Arc::new(Traffic::new(&setup.limits)),
            side_by_side: Semaphore::new(setup.limits.concurrent as usize),
            runtime: Arc::clone(self),
            setup: Arc::new(setup),
            source,
        }))
    }
}

/// Who asks, who watches, and how it is stopped.
struct Asked<'a> {
    context: CallContext,
    observer: Arc<dyn Observer>,
    sink: Option<Arc<dyn Sink>>,
    cancel: &'a CancellationToken,
}

/// Calls one exported function in a fresh instance. A macro, for the types of the worlds have
/// nothing in common but their shape.
macro_rules! guest {
    ($plugin:ident, $asked:ident, $world:ident.$function:ident($($argument:expr),*)) => {{
        let inner = &*$plugin.0;
        let observer = Arc::clone(&$asked.observer);
        let outcome = async {
            let running = inner.start($asked).await?;
            // Before `running` is dropped, which makes room for another instance.
            let mut store = running.store()?;
            let pre = running.loaded.$world(running.host).map_err(|cause| running.fault(cause))?;
            let work = async {
                let called = async {
                    let instance = pre.instantiate(&mut store).await?;
                    instance.$function(&mut store, $($argument),*).await
                };
                let returned = called.await;
                (returned, store.data().memory.refusal)
            };
            let finished = running.finish(work).await;
            observer.used(&running.call.used(store.data().memory.used));
            finished
        };
        let outcome = outcome.await;
        if let Err(CallError::Fault(fault)) = &outcome {
            observer.audit(&ended(fault));
        }
        outcome
    }};
}

/// What is written down of a call that the host ended.
fn ended(fault: &Fault) -> AuditRecord {
    let text = fault.cause.to_string();
    let verdict = match fault.cause.limit() {
        Some(_) => Verdict::Limited(text),
        None => Verdict::Failed(text),
    };
    AuditRecord::new("limits", fault.cause.limit().unwrap_or("trap"), verdict)
}

impl Plugin {
    /// The grant in force, to be replaced when the user takes a part of it back.
    pub fn policy(&self) -> Policy {
        self.0.setup.policy.clone()
    }

    /// What it keeps between calls.
    pub fn store(&self) -> KeyValue {
        self.0.setup.store.clone()
    }

    /// Loads or compiles the component, so that the first call need not.
    ///
    /// # Errors
    /// [`FaultCause::NotLoadable`] when the bytes are no component that this host runs.
    pub async fn prepare(&self) -> Result<(), CallError> {
        self.0
            .loaded()
            .await
            .map(|_| ())
            .map_err(|cause| self.0.fault("prepare", cause))
    }

    /// Calls a tool. `arguments` is JSON text.
    ///
    /// # Errors
    /// See [`CallError`]; so in all calls below.
    pub async fn call_tool(
        &self,
        name: &str,
        arguments: &str,
        context: CallContext,
        observer: Arc<dyn Observer>,
        cancel: &CancellationToken,
    ) -> Result<tool::Output, CallError> {
        let (name, arguments) = (name.to_owned(), arguments.to_owned());
        let call = context.call.clone();
        let told = tool::Context {
            session: context.session.clone(),
            call: context.call.clone(),
            deadline_ms: u32::try_from(self.0.timeout(&context).as_millis()).unwrap_or(u32::MAX),
        };
        let asked = Asked {
            context,
            observer,
            sink: None,
            cancel,
        };
        let output = guest!(self, asked, tool.call(&name, &arguments, &told))?;
        check_documents(&output).map_err(|text| self.0.fault(&call, FaultCause::Answer(text)))?;
        Ok(output)
    }

    /// Asks a tool plugin what it offers; [`Runtime::describe`] checks and keeps the answer.
    pub(crate) async fn tools(&self) -> Result<Vec<tool::Descriptor>, CallError> {
        let context = CallContext {
            call: "describe".to_owned(),
            ..CallContext::default()
        };
        let cancel = CancellationToken::new();
        let asked = Asked {
            context,
            observer: Arc::new(Unobserved),
            sink: None,
            cancel: &cancel,
        };
        guest!(self, asked, tool.describe())
    }

    /// Functions of a component of plain functions that are no tools, and why; nothing for another.
    ///
    /// # Errors
    /// [`FaultCause::NotLoadable`], as [`Self::prepare`].
    pub async fn hidden_functions(&self) -> Result<Vec<Hidden>, CallError> {
        let found = self.0.foreign().await;
        let found = found.map_err(|cause| self.0.fault("prepare", cause))?;
        Ok(found.map_or_else(Vec::new, |functions| functions.hidden().to_vec()))
    }

    /// The tools of a component of plain functions with the words of their author, read from its
    /// bytes; none for another.
    pub(crate) async fn documented_tools(
        &self,
    ) -> Result<Option<Vec<tool::Descriptor>>, CallError> {
        let found = self.0.foreign().await;
        let found = found.map_err(|cause| self.0.fault("describe", cause))?;
        let Some(functions) = found else {
            return Ok(None);
        };
        if let Some(why) = functions.has_no_tools() {
            return Err(self.0.fault("describe", FaultCause::Description(why)));
        }
        let source = self.0.source.clone();
        let read = move || (source.bytes)().map(|bytes| Docs::read(&bytes));
        // Without the words the tools are the same.
        let docs = match tokio::task::spawn_blocking(read).await {
            Ok(Ok(docs)) => docs,
            Ok(Err(_)) | Err(_) => Docs::default(),
        };
        Ok(Some(functions.describe_with(&docs)))
    }

    /// Completes a conversation. Deltas go to `sink` as they come and are for display only.
    pub async fn complete(
        &self,
        request: &chat::Request,
        sink: Arc<dyn Sink>,
        context: CallContext,
        observer: Arc<dyn Observer>,
        cancel: &CancellationToken,
    ) -> Result<chat::Response, CallError> {
        let asked = Asked {
            context,
            observer,
            sink: Some(sink),
            cancel,
        };
        guest!(self, asked, provider.complete(request))
    }

    /// The models of a provider.
    pub async fn models(
        &self,
        context: CallContext,
        observer: Arc<dyn Observer>,
        cancel: &CancellationToken,
    ) -> Result<provider::Listing, CallError> {
        let asked = Asked {
            context,
            observer,
            sink: None,
            cancel,
        };
        guest!(self, asked, provider.models())
    }

    /// The input tokens of a request by the service's own count, where it has one.
    pub async fn count_tokens(
        &self,
        request: &chat::Request,
        context: CallContext,
        observer: Arc<dyn Observer>,
        cancel: &CancellationToken,
    ) -> Result<Option<u32>, CallError> {
        let asked = Asked {
            context,
            observer,
            sink: None,
            cancel,
        };
        guest!(self, asked, provider.count_tokens(request))
    }

    /// Sends a notice.
    pub async fn notify(
        &self,
        notice: &notifier::Notice,
        context: CallContext,
        observer: Arc<dyn Observer>,
        cancel: &CancellationToken,
    ) -> Result<notifier::Receipt, CallError> {
        let asked = Asked {
            context,
            observer,
            sink: None,
            cancel,
        };
        guest!(self, asked, notifier.notify(notice))
    }

    /// The answer to an earlier approval notice, if one has come.
    pub async fn poll_reply(
        &self,
        external_id: &str,
        context: CallContext,
        observer: Arc<dyn Observer>,
        cancel: &CancellationToken,
    ) -> Result<Option<String>, CallError> {
        let external_id = external_id.to_owned();
        let asked = Asked {
            context,
            observer,
            sink: None,
            cancel,
        };
        guest!(self, asked, notifier.poll_reply(&external_id))
    }
}

impl Inner {
    fn timeout(&self, context: &CallContext) -> Duration {
        let limit = self.setup.limits.timeout;
        context.timeout.map_or(limit, |timeout| timeout.min(limit))
    }

    fn fault(&self, call: &str, cause: FaultCause) -> CallError {
        CallError::Fault(Fault {
            plugin: self.source.id.clone(),
            version: self.source.version.clone(),
            call: call.to_owned(),
            cause,
        })
    }

    async fn loaded(&self) -> Result<&Loaded, FaultCause> {
        let load_once = || load(&self.runtime, &self.source);
        self.component.get_or_try_init(load_once).await
    }

    /// The functions of a component of plain functions; none for another.
    async fn foreign(&self) -> Result<Option<&foreign::Pre>, FaultCause> {
        let loaded = self.loaded().await?;
        if !loaded.foreign {
            return Ok(None);
        }
        match loaded.tool(self.runtime.host()?)? {
            ToolPre::Foreign(functions) => Ok(Some(functions)),
            ToolPre::Ours(_) => Ok(None),
        }
    }

    /// Waits for a place among the plugin's calls, the code, and a place in the pool. None of this
    /// counts as time of the call.
    async fn start<'a>(&'a self, asked: Asked<'a>) -> Result<Running<'a>, CallError> {
        let ready = async {
            // A call within another has the turn of the one that waits for it: waiting for a second
            // could be waiting for itself.
            let turn = match asked.context.within {
                true => None,
                false => Some(self.side_by_side.acquire().await),
            };
            let turn = turn.transpose();
            let turn = turn.map_err(|_| FaultCause::Host("the plugin was closed".to_owned()))?;
            let loaded = self.loaded().await?;
            let host = self.runtime.host()?;
            let room = host.reserve(&loaded.component).await;
            Ok((turn, loaded, host, room))
        };
        let ready = tokio::select! {
            biased;
            () = asked.cancel.cancelled() => return Err(CallError::Cancelled),
            ready = ready => ready,
        };
        let (turn, loaded, host, room) =
            ready.map_err(|cause| self.fault(&asked.context.call, cause))?;
        let call = Call::new(CallParts {
            plugin: self.source.id.clone(),
            setup: Arc::clone(&self.setup),
            timeout: self.timeout(&asked.context),
            context: asked.context,
            observer: asked.observer,
            sink: asked.sink,
            cancel: asked.cancel.clone(),
            network: Arc::clone(&self.runtime.network),
            secrets: self.runtime.secrets.current(),
            traffic: Arc::clone(&self.traffic),
        });
        Ok(Running {
            plugin: self,
            loaded,
            host,
            call,
            _held: (turn, room, host.tick()),
        })
    }
}

/// A call that may run.
struct Running<'a> {
    plugin: &'a Inner,
    loaded: &'a Loaded,
    host: &'a Host,
    call: Arc<Call>,
    /// Its turn, its room in the pool, the ticking epoch: given back at the end.
    _held: (Option<SemaphorePermit<'a>>, Room, Ticking),
}

impl Drop for Running<'_> {
    /// The instance is gone by now, and with it all that could still get something.
    fn drop(&mut self) {
        if let Some(effects) = &self.call.effects {
            effects.close();
        }
    }
}

impl Running<'_> {
    fn fault(&self, cause: FaultCause) -> CallError {
        self.plugin.fault(&self.call.context.call, cause)
    }

    fn store(&self) -> Result<Store<PluginState>, CallError> {
        let state = PluginState::new(Arc::clone(&self.call), self.loaded.foreign)
            .map_err(|text| self.fault(FaultCause::Host(text)))?;
        let mut store = Store::new(&self.host.engine, state);
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(
            usize::try_from(self.call.setup.limits.argument_bytes).unwrap_or(usize::MAX),
        );
        store.set_epoch_deadline(1);
        let call = Arc::clone(&self.call);
        store.epoch_deadline_callback(move |_| match call.over_budget() {
            Some(cause) => {
                call.notice(cause);
                Ok(UpdateDeadline::Interrupt)
            }
            // Cancellation and wall time are looked at by whoever polls the call.
            None => Ok(UpdateDeadline::Yield(1)),
        });
        Ok(store)
    }

    /// Runs the guest until it returns, traps, is cancelled or runs out of a limit.
    async fn finish<T: Size>(
        &self,
        work: impl Future<Output = (wasmtime::Result<Result<T, types::Error>>, Option<Refusal>)>,
    ) -> Result<T, CallError> {
        let call = &self.call;
        let work = pin!(work);
        let work = Metered::new(work, Arc::clone(&call.meter));
        let (returned, refusal) = tokio::select! {
            biased;
            done = work => done,
            () = call.until_broken_off() => return Err(self.broken_off()),
            () = call.cancel.cancelled() => return Err(CallError::Cancelled),
            () = call.clock.expired() => {
                return Err(self.fault(FaultCause::WallTime { limit: self.plugin.timeout(&call.context) }));
            }
        };
        if let Some(effects) = &call.effects {
            effects.flush();
            if effects.ended().is_some() {
                return Err(self.broken_off());
            }
        }
        match returned {
            Ok(Ok(result)) => self.bounded(result),
            Ok(Err(error)) => {
                call.explain_refused_file(&error);
                Err(CallError::Guest(GuestError {
                    error,
                    denials: call.take_denials(),
                }))
            }
            Err(error) => Err(self.fault(classify(&error, call, refusal))),
        }
    }

    fn broken_off(&self) -> CallError {
        let cause = self.call.broken_off();
        self.fault(cause.unwrap_or_else(|| FaultCause::Host("the call was broken off".to_owned())))
    }

    fn bounded<T: Size>(&self, result: T) -> Result<T, CallError> {
        let (size, limit) = (result.size() as u64, self.call.setup.limits.output_bytes);
        if size > limit {
            return Err(self.fault(FaultCause::Output { limit, size }));
        }
        Ok(result)
    }
}
