//! The one wasmtime engine of the process: configuration, epoch ticker, linkers. Made at first
//! use, because a process that only prints its help should not pay for it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Enabled, Engine, EngineWeak, PoolingAllocationConfig, Strategy};

use crate::abi::Version;
use crate::capability;
use crate::state::PluginState;

/// One tick of the epoch: how long a guest runs before the host looks at it.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Stack of a guest. Recursion beyond it traps.
const WASM_STACK: usize = 512 << 10;
/// Stack of the fiber on which a guest and the host functions it calls run.
const FIBER_STACK: usize = 2 << 20;

/// Bytes of a used memory that stay mapped for its next user: a Rust guest touches about 200 KiB,
/// and mapping them anew costs more than the call.
const KEEP_RESIDENT: usize = 256 << 10;
/// The same where the kernel tells which pages were written (Linux 6.7), so that only those are wiped: an interpreter
/// in Python or JavaScript touches 2 MiB.
const KEEP_WRITTEN: usize = 4 << 20;
/// Bytes of a used table that stay mapped, likewise.
const KEEP_TABLE: usize = 512 << 10;
/// Idle memories that stay mapped: what sixteen guests touched last, at most 64 MiB in all.
const WARM_MEMORIES: u32 = 16;

/// The slots of the pool for each instance. Python guests have about twenty core instances.
const MEMORIES_EACH: u32 = 2;
const TABLES_EACH: u32 = 8;
const CORE_INSTANCES_EACH: u32 = 64;
const MAX_MEMORIES: u32 = 8;
const MAX_TABLES: u32 = 16;
/// A JavaScript interpreter has some twenty thousand functions in its table.
const TABLE_ELEMENTS: usize = 100_000;

/// Engine, ticker and linkers.
pub(crate) struct Host {
    pub(crate) engine: Engine,
    ticker: Arc<Ticker>,
    /// Calls that may still start.
    instances: Arc<Semaphore>,
    /// Memories of the pool that are free; none without a pool.
    memories: Option<Arc<Semaphore>>,
    /// By world, then by version of the contract.
    linkers: [[OnceLock<Linker<PluginState>>; Version::COUNT]; World::COUNT],
}

/// Room for one instance, given back when dropped.
pub(crate) struct Room {
    _instance: Option<OwnedSemaphorePermit>,
    _memories: Option<OwnedSemaphorePermit>,
}

/// Which world a component is linked as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum World {
    Tool,
    Provider,
    Notifier,
}

impl World {
    const COUNT: usize = 3;

    /// The name of the interface that its components export.
    pub(crate) fn interface(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Provider => "provider",
            Self::Notifier => "notifier",
        }
    }
}

/// How instances get their memory, which compiled code has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instances {
    /// From a pool of reserved address space.
    Pooled,
    /// Mapped for each.
    OnDemand,
}

impl Instances {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pooled => "pooled",
            Self::OnDemand => "on-demand",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Pooled, Self::OnDemand]
            .into_iter()
            .find(|one| one.name() == name)
    }

    /// An engine that compiles for such instances.
    pub(crate) fn engine(self) -> wasmtime::Result<Engine> {
        match self {
            Self::Pooled => Engine::new(&pooled(1)),
            Self::OnDemand => Engine::new(&on_demand()),
        }
    }
}

impl Host {
    /// `instances` calls may run at one time without waiting. Where the address space is too
    /// short for a pool, instances are mapped on demand instead: slower, and otherwise alike.
    pub(crate) fn new(instances: u32) -> wasmtime::Result<Self> {
        let (engine, memories) = match Engine::new(&pooled(instances)) {
            Ok(engine) => {
                let memories = (instances * MEMORIES_EACH).max(MAX_MEMORIES) as usize;
                (engine, Some(Arc::new(Semaphore::new(memories))))
            }
            Err(_) => (Engine::new(&on_demand())?, None),
        };
        let ticker = Ticker::start(engine.weak())?;
        Ok(Self {
            engine,
            ticker,
            instances: Arc::new(Semaphore::new(instances as usize)),
            memories,
            linkers: Default::default(),
        })
    }

    /// Keeps the epoch ticking while the guard lives.
    pub(crate) fn tick(&self) -> Ticking {
        self.ticker.enter();
        Ticking(Arc::clone(&self.ticker))
    }

    /// What compiled code has to be made for.
    pub(crate) fn kind(&self) -> Instances {
        match self.memories {
            Some(_) => Instances::Pooled,
            None => Instances::OnDemand,
        }
    }

    /// Waits until an instance of `component` finds room. Everybody waits for the two in the same
    /// order, so nobody waits for ever.
    pub(crate) async fn reserve(&self, component: &Component) -> Room {
        let instance = Arc::clone(&self.instances).acquire_owned().await.ok();
        let memories = match &self.memories {
            Some(memories) => {
                let needed = component
                    .resources_required()
                    .map_or(MAX_MEMORIES, |needed| needed.num_memories);
                // The pool refuses a component that needs more than this by itself.
                Arc::clone(memories)
                    .acquire_many_owned(needed.min(MAX_MEMORIES))
                    .await
                    .ok()
            }
            None => None,
        };
        Room {
            _instance: instance,
            _memories: memories,
        }
    }

    /// The linker of a world: what its plugins may import, and nothing else.
    pub(crate) fn linker(
        &self,
        world: World,
        version: Version,
    ) -> wasmtime::Result<&Linker<PluginState>> {
        let cell = &self.linkers[world as usize][version as usize];
        if let Some(linker) = cell.get() {
            return Ok(linker);
        }
        let mut linker = Linker::new(&self.engine);
        capability::link(&mut linker, world, version)?;
        Ok(cell.get_or_init(|| linker))
    }
}

fn common() -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK)
        .wasm_memory64(false)
        .wasm_component_model(true)
        // Neither is read when a guest traps: frames are named from the name section.
        .generate_address_map(false)
        .native_unwind_info(cfg!(windows));
    config
}

fn pooled(instances: u32) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    let (memory, table) = match PoolingAllocationConfig::is_pagemap_scan_available() {
        true => (KEEP_WRITTEN, KEEP_TABLE),
        false => (KEEP_RESIDENT, 16 << 10),
    };
    pool.total_component_instances(instances)
        .total_stacks(instances)
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES_EACH))
        .max_core_instances_per_component(CORE_INSTANCES_EACH)
        .total_memories((instances * MEMORIES_EACH).max(MAX_MEMORIES))
        .max_memories_per_component(MAX_MEMORIES)
        .total_tables((instances * TABLES_EACH).max(MAX_TABLES))
        .max_tables_per_component(MAX_TABLES)
        .table_elements(TABLE_ELEMENTS)
        .max_unused_warm_slots(WARM_MEMORIES)
        .linear_memory_keep_resident(memory)
        .table_keep_resident(table)
        .pagemap_scan(Enabled::Auto);
    let mut config = common();
    config.allocation_strategy(pool);
    config
}

fn on_demand() -> Config {
    let mut config = common();
    // No 4 GiB of address space for each memory: bounds are checked in code instead.
    config
        .memory_reservation(0)
        .memory_reservation_for_growth(1 << 20)
        .memory_guard_size(64 << 10);
    config
}

/// The thread that advances the epoch. It sleeps while nothing runs, and ends with the engine.
struct Ticker {
    running: AtomicUsize,
    parked: AtomicBool,
    stopped: AtomicBool,
    thread: OnceLock<Thread>,
}

/// Ticks without a running guest before the thread goes to sleep: waking it costs more than a
/// call does, so it stays awake between the calls of a turn.
const IDLE_TICKS: u32 = 200;

impl Ticker {
    fn start(engine: EngineWeak) -> wasmtime::Result<Arc<Self>> {
        let ticker = Arc::new(Self {
            running: AtomicUsize::new(0),
            parked: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            thread: OnceLock::new(),
        });
        let own = Arc::clone(&ticker);
        let handle = std::thread::Builder::new()
            .name("epoch-ticker".to_owned())
            .stack_size(64 << 10)
            .spawn(move || own.run(&engine))?;
        ticker.thread.get_or_init(|| handle.thread().clone());
        Ok(ticker)
    }

    fn run(&self, engine: &EngineWeak) {
        let mut idle = 0;
        while !self.stopped.load(Ordering::SeqCst) {
            std::thread::sleep(TICK);
            let Some(engine) = engine.upgrade() else {
                return;
            };
            engine.increment_epoch();
            drop(engine);
            idle = if self.running.load(Ordering::SeqCst) == 0 {
                idle + 1
            } else {
                0
            };
            if idle >= IDLE_TICKS {
                self.parked.store(true, Ordering::SeqCst);
                // Looked at again after saying so: `enter` counts first and wakes second.
                if self.running.load(Ordering::SeqCst) == 0 && !self.stopped.load(Ordering::SeqCst)
                {
                    std::thread::park();
                }
                self.parked.store(false, Ordering::SeqCst);
                idle = 0;
            }
        }
    }

    fn enter(&self) {
        self.running.fetch_add(1, Ordering::SeqCst);
        if self.parked.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.ticker.stopped.store(true, Ordering::SeqCst);
        self.ticker.wake();
    }
}

/// A running guest.
pub(crate) struct Ticking(Arc<Ticker>);

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}
