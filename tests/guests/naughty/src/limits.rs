//! Time, memory and sizes.

use std::hint::black_box;
use std::thread::sleep;
use std::time::Duration;

use ml_intern_plugin::{Content, Error, Output, log};

use crate::Told;

pub(crate) fn good(_: Told) -> Result<Output, Error> {
    Ok(Output::text("good"))
}

pub(crate) fn trap(_: Told) -> Result<Output, Error> {
    panic!("the guest gave up");
}

pub(crate) fn spin(_: Told) -> Result<Output, Error> {
    loop {
        black_box(0);
    }
}

pub(crate) fn eat(_: Told) -> Result<Output, Error> {
    let mut eaten = Vec::new();
    loop {
        eaten.push(black_box(vec![1_u8; 1 << 16]));
    }
}

pub(crate) fn recurse(_: Told) -> Result<Output, Error> {
    Ok(Output::text(deep(&[0; 64]).to_string()))
}

#[expect(unconditional_recursion, reason = "that is the point")]
fn deep(above: &[u64; 64]) -> u64 {
    let here = black_box([above[0] + 1; 64]);
    deep(&here) + black_box(here)[1]
}

pub(crate) fn sleep_long(_: Told) -> Result<Output, Error> {
    sleep(Duration::from_secs(60));
    Ok(Output::text("slept"))
}

pub(crate) fn flood_log(_: Told) -> Result<Output, Error> {
    let line = "flood ".repeat(170);
    for _ in 0..1024 {
        log::warn(&line);
    }
    Ok(Output::text("flooded"))
}

pub(crate) fn huge_result(_: Told) -> Result<Output, Error> {
    Ok(Output::text("huge ".repeat(200_000)))
}

pub(crate) fn bad_result_json(_: Told) -> Result<Output, Error> {
    let content = vec![Content::Json("{\"half\": [1, \u{1b}[31m".to_owned())];
    Ok(Output {
        content,
        is_error: false,
    })
}
