//! Versions of the contract. A component speaks the one that its exports name; the host has one
//! set of types, the newest, and what an older version says is lifted to it here, once: below this
//! line nobody knows which version a guest was built against, and every check serves all of them.
//!
//! A released version lies in `wit/released/` and is never edited.

pub(crate) mod foreign;
pub(crate) mod v0_1;

use wasmtime::component::Component;
use wasmtime::{AsContextMut, StoreContextMut};

use crate::bindings::notifier::{NotifierPlugin, NotifierPluginPre};
use crate::bindings::provider::{ProviderPlugin, ProviderPluginPre};
use crate::bindings::tool::{ToolPlugin, ToolPluginPre};
use crate::engine::{Host, World};
use crate::state::PluginState;
use crate::{chat, notifier, provider, tool, types};

/// A version that this host links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V0_1,
    V0_2,
    /// None: a component of plain functions.
    Foreign,
}

impl Version {
    pub(crate) const COUNT: usize = 3;

    /// The version of the interface that makes the component one of `world`; the newest where there
    /// is none, so that linking it says what is missing.
    fn of(component: &Component, world: World) -> Self {
        let old = format!("{}{}@{}", v0_1::PACKAGE, world.interface(), v0_1::VERSION);
        match component.get_export_index(None, &old) {
            Some(_) => Self::V0_1,
            None => Self::V0_2,
        }
    }
}

type Store<'a> = StoreContextMut<'a, PluginState>;
/// What the generated bindings borrow a text as.
type Text = String;

/// A component with tools: one of our world, or one of plain functions.
pub(crate) enum ToolPre {
    Ours(OurToolPre),
    Foreign(foreign::Pre),
}

impl ToolPre {
    pub(crate) fn new(host: &Host, component: &Component) -> wasmtime::Result<Self> {
        match foreign::is_foreign(&host.engine, component) {
            true => foreign::Pre::new(host, component).map(Self::Foreign),
            false => OurToolPre::new(host, component).map(Self::Ours),
        }
    }

    /// A component of plain functions is instantiated by the call itself: telling what it offers
    /// runs nothing.
    pub(crate) async fn instantiate(
        &self,
        store: impl AsContextMut<Data = PluginState>,
    ) -> wasmtime::Result<ToolGuest> {
        match self {
            Self::Ours(pre) => pre.instantiate(store).await.map(ToolGuest::Ours),
            Self::Foreign(pre) => Ok(ToolGuest::Foreign(pre.clone())),
        }
    }
}

pub(crate) enum ToolGuest {
    Ours(OurToolGuest),
    Foreign(foreign::Pre),
}

impl ToolGuest {
    pub(crate) async fn describe(
        &self,
        store: impl AsContextMut<Data = PluginState>,
    ) -> wasmtime::Result<Result<Vec<tool::Descriptor>, types::Error>> {
        match self {
            Self::Ours(guest) => guest.describe(store).await,
            Self::Foreign(functions) => Ok(Ok(functions.describe())),
        }
    }

    pub(crate) async fn call(
        &self,
        store: impl AsContextMut<Data = PluginState>,
        name: &Text,
        arguments: &Text,
        context: &tool::Context,
    ) -> wasmtime::Result<Result<tool::Output, types::Error>> {
        match self {
            Self::Ours(guest) => guest.call(store, name, arguments, context).await,
            Self::Foreign(functions) => functions.call(store, name, arguments).await,
        }
    }
}

/// What a component of a world is prepared as, and its functions once it is instantiated.
macro_rules! world {
    (
        $world:ident: $pre:ident $guest:ident, $newest_pre:ident $newest:ident.$interface:ident, {
            $(fn $function:ident => $call:ident($($name:ident: $type:ty),*) -> $result:ty;)*
        }
    ) => {
        pub(crate) enum $pre {
            V0_1(v0_1::$pre),
            Newest($newest_pre<PluginState>),
        }

        impl $pre {
            pub(crate) fn new(host: &Host, component: &Component) -> wasmtime::Result<Self> {
                let version = Version::of(component, World::$world);
                let linked = host.linker(World::$world, version)?.instantiate_pre(component)?;
                Ok(match version {
                    Version::V0_1 => Self::V0_1(v0_1::$pre::new(linked)?),
                    Version::V0_2 | Version::Foreign => Self::Newest($newest_pre::new(linked)?),
                })
            }

            pub(crate) async fn instantiate(
                &self,
                mut store: impl AsContextMut<Data = PluginState>,
            ) -> wasmtime::Result<$guest> {
                Ok(match self {
                    Self::V0_1(pre) => $guest::V0_1(pre.instantiate(store.as_context_mut()).await?),
                    Self::Newest(pre) => $guest::Newest(pre.instantiate_async(store).await?),
                })
            }
        }

        pub(crate) enum $guest {
            V0_1(v0_1::$guest),
            Newest($newest),
        }

        impl $guest {
            $(pub(crate) async fn $function(
                &self,
                mut store: impl AsContextMut<Data = PluginState>,
                $($name: $type),*
            ) -> wasmtime::Result<Result<$result, types::Error>> {
                match self {
                    Self::V0_1(guest) => {
                        guest.$function(store.as_context_mut(), $($name),*).await
                    }
                    Self::Newest(guest) => guest.$interface().$call(store, $($name),*).await,
                }
            })*
        }
    };
}

world! {
    Tool: OurToolPre OurToolGuest, ToolPluginPre ToolPlugin.ml_intern_plugin_tool, {
        fn describe => call_describe() -> Vec<tool::Descriptor>;
        fn call => call_call(name: &Text, arguments: &Text, context: &tool::Context) -> tool::Output;
    }
}

world! {
    Provider: ProviderPre ProviderGuest, ProviderPluginPre ProviderPlugin.ml_intern_plugin_provider, {
        fn models => call_models() -> provider::Listing;
        fn complete => call_complete(request: &chat::Request) -> chat::Response;
        fn count_tokens => call_count_tokens(request: &chat::Request) -> Option<u32>;
    }
}

world! {
    Notifier: NotifierPre NotifierGuest, NotifierPluginPre NotifierPlugin.ml_intern_plugin_notifier, {
        fn notify => call_notify(notice: &notifier::Notice) -> notifier::Receipt;
        fn poll_reply => call_poll_reply(external_id: &Text) -> Option<String>;
    }
}
