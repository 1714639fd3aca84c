//! What a call has used: processor time, wall time, memory, host calls.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use wasmtime::ResourceLimiter;

/// Locks a mutex whose value is valid at every step, so that a panic elsewhere does not spread.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Processor time of one call: the thread's clock, read around every poll of the guest. A guest
/// that waits in a host call is not polled, so waiting costs nothing; what the host computes on
/// the guest's behalf does count.
#[derive(Debug, Default)]
pub(crate) struct CpuMeter {
    /// Finished polls, in nanoseconds.
    used: AtomicU64,
    /// The thread's clock when the running poll began.
    since: AtomicU64,
}

impl CpuMeter {
    /// Time used so far. Called from within a poll, by the epoch callback.
    pub(crate) fn used(&self) -> Duration {
        let running = thread_nanos().saturating_sub(self.since.load(Ordering::Relaxed));
        Duration::from_nanos(self.used.load(Ordering::Relaxed).saturating_add(running))
    }

    /// The time of polls that have ended.
    pub(crate) fn total(&self) -> Duration {
        Duration::from_nanos(self.used.load(Ordering::Relaxed))
    }

    fn enter(&self) {
        self.since.store(thread_nanos(), Ordering::Relaxed);
    }

    fn leave(&self) {
        let spent = thread_nanos().saturating_sub(self.since.load(Ordering::Relaxed));
        self.used.fetch_add(spent, Ordering::Relaxed);
    }
}

fn thread_nanos() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

/// A future whose polls are metered.
pub(crate) struct Metered<F> {
    inner: F,
    meter: Arc<CpuMeter>,
}

impl<F: Future + Unpin> Metered<F> {
    pub(crate) fn new(inner: F, meter: Arc<CpuMeter>) -> Self {
        Self { inner, meter }
    }
}

impl<F: Future + Unpin> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.meter.enter();
        let polled = Pin::new(&mut self.inner).poll(context);
        self.meter.leave();
        polled
    }
}

/// Wall time of one call, which stands still while a person is asked.
#[derive(Debug)]
pub struct CallClock {
    limit: Duration,
    deadline: Mutex<Instant>,
    pauses: Mutex<Option<Instant>>,
    paused: AtomicU32,
}

/// How often a paused call looks whether it goes on.
const PAUSED_LOOK: Duration = Duration::from_millis(50);

impl CallClock {
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit,
            deadline: Mutex::new(Instant::now() + limit),
            pauses: Mutex::new(None),
            paused: AtomicU32::new(0),
        }
    }

    /// Stops the clock until the guard is dropped. For the time in which a person decides.
    pub fn pause(self: &Arc<Self>) -> Paused {
        let mut since = lock(&self.pauses);
        if self.paused.fetch_add(1, Ordering::SeqCst) == 0 {
            *since = Some(Instant::now());
        }
        Paused(Arc::clone(self))
    }

    /// What is left of the call.
    pub fn left(&self) -> Duration {
        let since = *lock(&self.pauses);
        let now = since.unwrap_or_else(Instant::now);
        lock(&self.deadline).saturating_duration_since(now)
    }

    /// What is gone of it.
    pub(crate) fn spent(&self) -> Duration {
        let late = Instant::now().saturating_duration_since(*lock(&self.deadline));
        self.limit.saturating_sub(self.left()) + late
    }

    /// Completes when the time is over.
    pub(crate) async fn expired(&self) {
        loop {
            let left = self.left();
            if left.is_zero() {
                return;
            }
            let paused = self.paused.load(Ordering::SeqCst) > 0;
            tokio::time::sleep(if paused { PAUSED_LOOK } else { left }).await;
        }
    }
}

/// A stopped [`CallClock`]; it goes on when this is dropped.
#[derive(Debug)]
#[must_use = "the clock goes on when this is dropped"]
pub struct Paused(Arc<CallClock>);

impl Drop for Paused {
    fn drop(&mut self) {
        let mut since = lock(&self.0.pauses);
        if self.0.paused.fetch_sub(1, Ordering::SeqCst) == 1
            && let Some(began) = since.take()
        {
            *lock(&self.0.deadline) += began.elapsed();
        }
    }
}

/// A growth that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) limit: u64,
    pub(crate) wanted: u64,
}

/// Sums all memories and tables of a store and remembers its first refusal: without that, a
/// guest that gives up over a refused growth looks like any other trap.
#[derive(Debug)]
pub(crate) struct MemoryLimiter {
    limit: u64,
    pub(crate) used: u64,
    last: u64,
    pub(crate) refusal: Option<Refusal>,
}

/// Memories, tables and core instances of one component instance. A Python guest has about
/// twenty core instances; nothing real comes near these.
const MAX_MEMORIES: usize = 16;
const MAX_TABLES: usize = 32;
const MAX_INSTANCES: usize = 128;

impl MemoryLimiter {
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            limit,
            used: 0,
            last: 0,
            refusal: None,
        }
    }

    fn grow(&mut self, current: usize, desired: usize, item: u64) -> bool {
        let added = (desired.saturating_sub(current) as u64).saturating_mul(item);
        let wanted = self.used.saturating_add(added);
        if wanted > self.limit {
            self.refusal.get_or_insert(Refusal {
                limit: self.limit,
                wanted,
            });
            return false;
        }
        self.used = wanted;
        self.last = added;
        true
    }

    /// Takes back a growth that was allowed here and then failed elsewhere.
    fn ungrow(&mut self) {
        self.used = self.used.saturating_sub(std::mem::take(&mut self.last));
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(current, desired, 1))
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.ungrow();
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(current, desired, size_of::<usize>() as u64))
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.ungrow();
        Ok(())
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_and_tables_are_summed_and_the_first_refusal_is_kept() {
        let mut limiter = MemoryLimiter::new(1000);
        assert!(limiter.memory_growing(0, 600, None).unwrap());
        assert!(limiter.table_growing(0, 10, None).unwrap());
        assert!(!limiter.memory_growing(0, 400, None).unwrap());
        assert!(!limiter.memory_growing(0, 4000, None).unwrap());
        assert_eq!(
            limiter.refusal,
            Some(Refusal {
                limit: 1000,
                wanted: 1080
            })
        );
        assert!(limiter.memory_growing(600, 900, None).unwrap());
    }

    #[test]
    fn a_growth_that_fails_elsewhere_is_given_back_once() {
        let mut limiter = MemoryLimiter::new(1000);
        assert!(limiter.memory_growing(0, 900, None).unwrap());
        limiter
            .memory_grow_failed(wasmtime::Error::msg("full"))
            .unwrap();
        // Also reported after a refusal, which took nothing.
        limiter
            .memory_grow_failed(wasmtime::Error::msg("full"))
            .unwrap();
        assert!(limiter.memory_growing(0, 1000, None).unwrap());
    }

    #[test]
    fn growth_near_the_end_of_numbers_is_refused() {
        let mut limiter = MemoryLimiter::new(u64::MAX - 1);
        assert!(!limiter.table_growing(0, usize::MAX, None).unwrap());
    }

    #[tokio::test]
    async fn a_paused_clock_stands_still_and_nested_pauses_count_once() {
        let clock = Arc::new(CallClock::new(Duration::from_millis(60)));
        let outer = clock.pause();
        let inner = clock.pause();
        let left = clock.left();
        tokio::time::timeout(Duration::from_millis(120), clock.expired())
            .await
            .unwrap_err();
        assert_eq!(clock.left(), left);
        drop(outer);
        assert_eq!(clock.left(), left);
        drop(inner);
        tokio::time::timeout(Duration::from_secs(5), clock.expired())
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn only_polls_are_metered() {
        let meter = Arc::new(CpuMeter::default());
        Metered::new(
            Box::pin(tokio::time::sleep(Duration::from_millis(50))),
            meter.clone(),
        )
        .await;
        assert!(
            meter.total() < Duration::from_millis(20),
            "{:?}",
            meter.total()
        );
        let spin = async {
            let mut sum = 0_u64;
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(60) {
                sum = std::hint::black_box(sum.wrapping_add(1));
            }
        };
        Metered::new(Box::pin(spin), meter.clone()).await;
        assert!(
            meter.total() > Duration::from_millis(5),
            "{:?}",
            meter.total()
        );
    }
}
