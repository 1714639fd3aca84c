//! Memory, and everything that the host keeps for a guest.

use std::hint::black_box;

use ml_intern_plugin::keyvalue::Bucket;
use ml_intern_plugin::{Error, Output, log, process};
use wasip2::http::types::Fields;

use crate::{Told, done};

pub(crate) fn eat(told: Told) -> Result<Output, Error> {
    let mut eaten = Vec::new();
    for _ in 0..told.amount << 4 {
        eaten.push(black_box(vec![1_u8; 1 << 16]));
    }
    done()
}

pub(crate) fn recurse(told: Told) -> Result<Output, Error> {
    black_box(deep(told.amount, &[0; 16]));
    done()
}

fn deep(left: u64, above: &[u64; 16]) -> u64 {
    let here = black_box([above[0] + 1; 16]);
    if left == 0 {
        return here[0];
    }
    deep(left - 1, &here) + black_box(here)[1]
}

pub(crate) fn log_text(told: Told) -> Result<Output, Error> {
    log::info(&"x".repeat((told.amount << 20) as usize));
    done()
}

pub(crate) fn long_list(told: Told) -> Result<Output, Error> {
    process::run(&process::Command {
        program: "true".to_owned(),
        arguments: vec![String::new(); told.amount as usize * 1000],
        env: Vec::new(),
        cwd: None,
        stdin: None,
        timeout_ms: 1000,
        max_output_bytes: 1024,
    })?;
    done()
}

pub(crate) fn handles(told: Told) -> Result<Output, Error> {
    let opened: Result<Vec<Bucket>, Error> = (0..told.amount).map(|_| Bucket::session()).collect();
    black_box(opened?);
    done()
}

pub(crate) fn random(told: Told) -> Result<Output, Error> {
    black_box(wasip2::random::random::get_random_bytes(told.amount));
    done()
}

pub(crate) fn headers(told: Told) -> Result<Output, Error> {
    let fields = Fields::new();
    for number in 0..told.amount {
        fields
            .append(&format!("x-{number}"), &[b'x'; 1024])
            .map_err(|error| Error::Internal(error.to_string()))?;
    }
    done()
}

pub(crate) fn huge_result(told: Told) -> Result<Output, Error> {
    Ok(Output::text("x".repeat((told.amount << 10) as usize)))
}

pub(crate) fn flood_log(told: Told) -> Result<Output, Error> {
    let line = "x".repeat(1024);
    for _ in 0..told.amount {
        log::warn(&line);
    }
    done()
}

pub(crate) fn flood_stderr(told: Told) -> Result<Output, Error> {
    let line = "x".repeat(1023);
    for _ in 0..told.amount {
        eprintln!("{line}");
    }
    done()
}
