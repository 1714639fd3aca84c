//! `ml-intern:plugin@0.1.0`, lifted to the newest types.
//!
//! Most types of 0.1 are as they were, so its functions take and return the newest types directly:
//! the component model compares types by their shape, not by their names, when a component is
//! linked. Those that changed are in [`records`], with their conversion. What came after 0.1
//! (`credential`, and of `agent` everything but `set-plan`) is not linked for it.

mod records;

use std::convert::identity;

use wasmtime::component::{Component, Instance};
use wasmtime::component::{
    ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Linker, LinkerInstance, Lower,
    TypedFunc,
};

use crate::abi::Store;
use crate::agent::{Host as _, PlanItem};
use crate::capability::{agent, jobs, log, process, sink};
use crate::engine::World;
use crate::jobs::{Host as _, Spec};
use crate::log::{Host as _, Level};
use crate::process::{Command, Host as _};
use crate::sink::{Delta, Host as _};
use crate::state::PluginState;
use crate::{chat, notifier, provider, tool, types};

pub(crate) const PACKAGE: &str = "ml-intern:plugin/";
pub(crate) const VERSION: &str = "0.1.0";

/// Links our own interfaces under their names of 0.1.
pub(crate) fn link(linker: &mut Linker<PluginState>, world: World) -> wasmtime::Result<()> {
    link_log(interface(linker, "log")?)?;
    match world {
        World::Tool => {
            link_agent(interface(linker, "agent")?)?;
            link_jobs(interface(linker, "jobs")?)?;
            link_process(interface(linker, "process")?)
        }
        World::Provider => link_sink(interface(linker, "sink")?),
        World::Notifier => Ok(()),
    }
}

fn interface<'a>(
    linker: &'a mut Linker<PluginState>,
    name: &str,
) -> wasmtime::Result<LinkerInstance<'a, PluginState>> {
    linker.instance(&format!("{PACKAGE}{name}@{VERSION}"))
}

/// Links one function: a view of the state answers it, as for the newest version.
macro_rules! link {
    ($linker:ident, $name:literal, $capability:ident.$function:ident($($argument:ident: $type:ty),*)) => {
        $linker.func_wrap($name, |mut store: Store<'_>, ($($argument,)*): ($($type,)*)| {
            $capability::View::of(store.data_mut()).$function($($argument),*)
        })?
    };
    ($linker:ident, $name:literal, async $capability:ident.$function:ident($($argument:ident: $type:ty),*)) => {
        $linker.func_wrap_async($name, |mut store: Store<'_>, ($($argument,)*): ($($type,)*)| {
            Box::new(async move {
                let mut view = $capability::View::of(store.data_mut());
                Ok((view.$function($($argument),*).await?,))
            })
        })?
    };
}

fn link_log(mut linker: LinkerInstance<'_, PluginState>) -> wasmtime::Result<()> {
    link!(linker, "write", log.write(level: Level, message: String, fields: Option<String>));
    linker.func_wrap(
        "progress",
        |mut store: Store<'_>, (message, fraction): (String, Option<f32>)| {
            let answer = log::View::of(store.data_mut()).progress(message, fraction)?;
            Ok((answer,))
        },
    )
}

fn link_sink(mut linker: LinkerInstance<'_, PluginState>) -> wasmtime::Result<()> {
    linker.func_wrap("emit", |mut store: Store<'_>, (delta,): (Delta,)| {
        Ok((sink::View::of(store.data_mut()).emit(delta)?,))
    })
}

fn link_agent(mut linker: LinkerInstance<'_, PluginState>) -> wasmtime::Result<()> {
    link!(linker, "set-plan", async agent.set_plan(items: Vec<PlanItem>));
    Ok(())
}

fn link_process(mut linker: LinkerInstance<'_, PluginState>) -> wasmtime::Result<()> {
    link!(linker, "run", async process.run(command: Command));
    Ok(())
}

fn link_jobs(mut linker: LinkerInstance<'_, PluginState>) -> wasmtime::Result<()> {
    link!(linker, "flavors", async jobs.flavors());
    link!(linker, "submit", async jobs.submit(spec: Spec));
    link!(linker, "get", async jobs.get(id: String));
    link!(linker, "list", async jobs.list(limit: u32));
    link!(linker, "logs", async jobs.logs(id: String, after: u32, limit: u32, wait_ms: u32));
    link!(linker, "wait", async jobs.wait(id: String, timeout_ms: u32));
    link!(linker, "cancel", async jobs.cancel(id: String));
    link!(linker, "suspend", async jobs.suspend(id: String));
    link!(linker, "resume", async jobs.resume(id: String));
    Ok(())
}

/// A component that is linked, with the place of each function that it must export.
struct Pre<const FUNCTIONS: usize> {
    linked: InstancePre<PluginState>,
    functions: [ComponentExportIndex; FUNCTIONS],
}

impl<const FUNCTIONS: usize> Pre<FUNCTIONS> {
    fn new(
        linked: InstancePre<PluginState>,
        world: World,
        names: [&str; FUNCTIONS],
    ) -> wasmtime::Result<Self> {
        let name = format!("{PACKAGE}{}@{VERSION}", world.interface());
        let component = linked.component();
        let interface = export(component, None, &name)?;
        let mut functions = Vec::with_capacity(FUNCTIONS);
        for name in names {
            functions.push(export(component, Some(&interface), name)?);
        }
        let functions = functions.try_into();
        Ok(Self {
            functions: functions.map_err(|_| wasmtime::Error::msg("a function is missing"))?,
            linked,
        })
    }

    async fn instantiate(&self, store: Store<'_>) -> wasmtime::Result<Instance> {
        self.linked.instantiate_async(store).await
    }
}

fn export(
    component: &Component,
    interface: Option<&ComponentExportIndex>,
    name: &str,
) -> wasmtime::Result<ComponentExportIndex> {
    component
        .get_export_index(interface, name)
        .ok_or_else(|| wasmtime::Error::msg(format!("no exported `{name}` found")))
}

/// A function of a guest that returns a result of the contract.
type Function<Parameters, T> = TypedFunc<Parameters, (Result<T, types::Error>,)>;

fn function<P, T>(
    instance: &Instance,
    mut store: Store<'_>,
    index: &ComponentExportIndex,
) -> wasmtime::Result<Function<P, T>>
where
    P: ComponentNamedList + Lower,
    T: Lift + 'static,
    (Result<T, types::Error>,): ComponentNamedList + Lift,
{
    instance.get_typed_func(&mut store, index)
}

/// What a world's component is prepared as, and its functions once it is instantiated.
macro_rules! world {
    (
        $world:ident: $pre:ident $guest:ident, {
            $($index:literal $export:literal $function:ident($($name:ident: $type:ty = $given:ty),*)
                -> $old:ty as $newest:ty: $lift:path;)*
        }
    ) => {
        pub(crate) struct $pre(Pre<{ [$($index),*].len() }>);

        pub(crate) struct $guest {
            $($function: Function<($($type,)*), $old>,)*
        }

        impl $pre {
            pub(crate) fn new(linked: InstancePre<PluginState>) -> wasmtime::Result<Self> {
                Pre::new(linked, World::$world, [$($export),*]).map(Self)
            }

            pub(crate) async fn instantiate(&self, mut store: Store<'_>) -> wasmtime::Result<$guest> {
                use wasmtime::AsContextMut as _;
                let instance = self.0.instantiate(store.as_context_mut()).await?;
                Ok($guest {
                    $($function: function(&instance, store.as_context_mut(), &self.0.functions[$index])?,)*
                })
            }
        }

        impl $guest {
            $(pub(crate) async fn $function(
                &self,
                store: Store<'_>,
                $($name: $given),*
            ) -> wasmtime::Result<Result<$newest, types::Error>> {
                let (answer,) = self.$function.call_async(store, ($($name.to_owned(),)*)).await?;
                Ok(answer.map($lift))
            })*
        }
    };
}

world! {
    Tool: OurToolPre OurToolGuest, {
        0 "describe" describe() -> Vec<tool::Descriptor> as Vec<tool::Descriptor>: identity;
        1 "call" call(name: String = &str, arguments: String = &str, context: tool::Context = &tool::Context)
            -> tool::Output as tool::Output: identity;
    }
}

world! {
    Provider: ProviderPre ProviderGuest, {
        0 "models" models() -> Vec<records::Model> as provider::Listing: records::models;
        1 "complete" complete(request: chat::Request = &chat::Request)
            -> records::Response as chat::Response: records::response;
        2 "count-tokens" count_tokens(request: chat::Request = &chat::Request) -> Option<u32> as Option<u32>: identity;
    }
}

world! {
    Notifier: NotifierPre NotifierGuest, {
        0 "notify" notify(notice: notifier::Notice = &notifier::Notice)
            -> notifier::Receipt as notifier::Receipt: identity;
        1 "poll-reply" poll_reply(external_id: String = &str) -> Option<String> as Option<String>: identity;
    }
}
