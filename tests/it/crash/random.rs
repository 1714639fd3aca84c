use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;

use super::model::World;

/// Kills in one session; four sessions make twenty.
const KILLS: usize = 5;
/// Starts at most; a session that gets nowhere would never end.
const STARTS: usize = 20;

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

/// Kills a session again and again, each time a share of its whole length after its start: the
/// kills creep over all of it, and one of them comes in its first moments.
async fn session(number: u64) {
    let seed = Seed(seed(number));
    let mut random = Random(seed.0);
    let whole = undisturbed().await;
    let world = World::new().await;
    let early = number as usize % KILLS;
    let mut kills = 0;
    for _ in 0..STARTS {
        if kills == KILLS || world.is_done().await {
            break;
        }
        let running = world.home.ml_intern(world.command().await).start();
        let share = if kills == early {
            0.1_f64.min(0.1 / whole.as_secs_f64())
        } else {
            0.45
        };
        let moment = whole.mul_f64(share * random.next());
        tokio::time::sleep(moment).await;
        running.signal(Signal::KILL);
        let ended = running.finish().await;
        match ended.signal() {
            Some(signal) => assert_eq!(signal, Signal::KILL.as_raw()),
            // It was faster than we were.
            None => drop(ended.assert_code(0)),
        }
        kills += 1;
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
