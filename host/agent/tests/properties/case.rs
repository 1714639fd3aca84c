//! One session from its beginning to its end, through as many processes as it takes.

use crate::host::{Broken, Host};
use crate::invariants;
use crate::ports::Left;
use crate::world::World;
use ml_intern_agent::{Event, Stamp};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What makes a case harder.
#[derive(Clone, Copy, Default)]
pub(crate) struct Trouble {
    /// Tokens of the model's window.
    pub(crate) window: Option<u64>,
    /// Processes find the disk full, are killed, or lose their power.
    pub(crate) breaks: bool,
    /// Little is done in all.
    pub(crate) short: bool,
    /// The entry from which on the first process finds the disk full.
    pub(crate) full_at: Option<u64>,
}

impl Trouble {
    /// Bytes that arguments and results have at most.
    pub(crate) fn bytes(&self) -> u64 {
        if self.window.is_some() { 3_000 } else { 50 }
    }
}

/// Runs the case of a seed and returns its log.
pub(crate) fn run(seed: u64, trouble: Trouble) -> Vec<(Stamp, Event)> {
    let world = Arc::new(World::new(seed, trouble));
    let case = catch_unwind(AssertUnwindSafe(|| session(&world)));
    case.unwrap_or_else(|problem| {
        let words = problem.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| problem.downcast_ref::<&str>().copied());
        let story = world
            .story
            .lock()
            .map(|story| story.join("\n"))
            .unwrap_or_default();
        let full_at = trouble.full_at;
        panic!(
            "seed {seed}, full at {full_at:?}, after\n{story}\n{}",
            words.unwrap_or("it panicked")
        )
    })
}

fn session(world: &Arc<World>) -> Vec<(Stamp, Event)> {
    let full_at = world.trouble.full_at.unwrap_or(u64::MAX);
    let mut host = Host::new(world.clone(), Left::default(), full_at);
    let mut done = host.open();
    let most = if world.trouble.short { 2 } else { 7 };
    for _ in 0..2 + world.dice.below(most) {
        if done.is_ok() {
            done = step(&host);
        }
        while let Err(Broken(entries)) = done {
            host = again(&host, entries);
            done = go_on(&host);
        }
        invariants::check(&host);
    }
    host.disk.log()
}

/// Something that a person wants.
fn step(host: &Host) -> Result<(), Broken> {
    let dice = &host.world.dice;
    match dice.below(16) {
        0 => undo(host),
        1 => {
            host.world.tell("compaction by hand");
            host.compact().map(drop)
        }
        2 => host.job(),
        3 => host.record(Event::SessionRenamed {
            title: "s3cret title".into(),
        }),
        4 => {
            host.world.tell("the process ends");
            Err(host.end())
        }
        _ => {
            let waits = host.agent.session.read(|state| !state.queued.is_empty());
            let words = match waits && dice.one_in(2) {
                true => String::new(),
                false => host.world.words(),
            };
            turn(host, Some(&words))
        }
    }
}

fn turn(host: &Host, input: Option<&str>) -> Result<(), Broken> {
    host.world.tell(format!("turn of {input:?}"));
    let end = host.turn(input)?;
    host.world.tell(format!("ended: {end:?}"));
    invariants::check_end(host, end);
    Ok(())
}

fn undo(host: &Host) -> Result<(), Broken> {
    let newest = host
        .agent
        .session
        .read(|state| state.turns.newest().map(|(turn, _)| turn));
    let Some(turn) = newest else { return Ok(()) };
    host.world.tell(format!("undo of turn {turn}"));
    host.record(Event::TurnUndone {
        turn,
        restored: Vec::new(),
        kept: Vec::new(),
    })?;
    invariants::check_undone(host, turn);
    Ok(())
}

/// Another process, with what the last one left of the log.
fn again(host: &Host, entries: usize) -> Host {
    let world = &host.world;
    let dice = &world.dice;
    let mut log = host.disk.log();
    log.truncate(entries);
    let mut synced = host.disk.synced().min(entries as u64);
    if world.trouble.breaks && dice.one_in(2) {
        world.tell("the power is cut");
        synced += dice.below(entries as u64 - synced + 1);
        log.truncate(synced as usize);
    }
    world.tell(format!("another process after {} entries", log.len()));
    world.forget_beyond(log.len());
    let breaks = world.trouble.breaks || world.trouble.full_at.is_some();
    // Where one process stops soon after another, each finds what the one before was about to do.
    let full_at = match dice.below(6) {
        0..=1 if breaks => log.len() as u64 + 1 + dice.below(6),
        2 if breaks => log.len() as u64 + 1 + dice.below(30),
        _ => u64::MAX,
    };
    Host::new(world.clone(), Left { log, synced }, full_at)
}

/// Opens the session again, and does what is left of its turn, or something else.
fn go_on(host: &Host) -> Result<(), Broken> {
    host.open()?;
    if !host.agent.session.read(|state| state.turn_open) {
        return Ok(());
    }
    match host.world.dice.below(8) {
        0 => undo(host),
        1 => turn(host, Some(&host.world.words())),
        _ => turn(host, None),
    }
}
