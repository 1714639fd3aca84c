use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;

use super::model::World;

/// Kills in one session; four sessions make twenty.
const KILLS: usize = 5;
/// One kill of each session comes this soon after a start.
const EARLY: Duration = Duration::from_millis(100);
/// The others come within this share of a whole session after theirs, so that all of them
/// together creep over the whole of it.
const SHARE: f64 = 0.45;

/// xorshift64*: the same moments for the same seed.
struct Random(u64);

impl Random {
    /// Within 0..1.
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
        bits as f64 / (1u64 << 53) as f64
    }
}

/// `ML_INTERN_CRASH_SEED`, or one that nobody chose.
fn seed(number: u64) -> u64 {
    let given = std::env::var("ML_INTERN_CRASH_SEED").ok();
    let given = given.map(|text| text.parse::<u64>().expect("a number"));
    given.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        (now.as_nanos() as u64 ^ (number << 48)) | 1
    })
}

/// Prints how to see it again if the test fails.
struct Seed(u64);

impl Drop for Seed {
    #[expect(clippy::print_stderr, reason = "for whoever reads the failure")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed: ML_INTERN_CRASH_SEED={}", self.0);
        }
    }
}

/// How long a session takes when nothing disturbs it, on this machine at this moment.
async fn undisturbed() -> Duration {
    let world = World::new().await;
    let started = Instant::now();
    world.finish().await;
    started.elapsed()
}

/// Kills a session again and again, and holds it to what an undisturbed one leaves.
async fn session(number: u64) {
    let seed = Seed(seed(number));
    let mut random = Random(seed.0);
    let whole = undisturbed().await;
    let world = World::new().await;
    let early = number as usize % KILLS;
    for kill in 0..KILLS {
        if world.is_done().await {
            break;
        }
        let running = world.home.ml_intern(world.command().await).start();
        let longest = if kill == early {
            whole.min(EARLY)
        } else {
            whole.mul_f64(SHARE)
        };
        tokio::time::sleep(longest.mul_f64(random.next())).await;
        running.signal(Signal::KILL);
        let ended = running.finish().await;
        match ended.signal() {
            Some(signal) => assert_eq!(signal, Signal::KILL.as_raw()),
            // It was faster than we were.
            None => drop(ended.assert_code(0)),
        }
    }
    if !world.is_done().await {
        world.finish().await;
    }
    world.assert_whole().await;
}

#[tokio::test]
async fn killed_at_random_moments_first_session() {
    session(1).await;
}

#[tokio::test]
async fn killed_at_random_moments_second_session() {
    session(2).await;
}

#[tokio::test]
async fn killed_at_random_moments_third_session() {
    session(3).await;
}

#[tokio::test]
async fn killed_at_random_moments_fourth_session() {
    session(4).await;
}
