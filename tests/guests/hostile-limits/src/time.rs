//! Time, spent and waited.

use std::hint::black_box;
use std::thread::sleep;
use std::time::Duration;

use ml_intern_plugin::{Error, Output, http, log};
use wasip2::clocks::monotonic_clock;

use crate::{Told, done};

pub(crate) fn burn(told: Told) -> Result<Output, Error> {
    for round in 0..told.amount * 1_000_000 {
        black_box(round);
    }
    done()
}

pub(crate) fn host_calls(told: Told) -> Result<Output, Error> {
    for _ in 0..told.amount * 1000 {
        black_box(monotonic_clock::now());
    }
    done()
}

pub(crate) fn nap(told: Told) -> Result<Output, Error> {
    sleep(Duration::from_millis(told.amount));
    done()
}

pub(crate) fn fetch_all(told: Told) -> Result<Output, Error> {
    let text = http::Request::get(told.url).send()?.text(1 << 20)?;
    Ok(Output::text(format!("{} bytes", text.len())))
}

pub(crate) fn ignore_stop(told: Told) -> Result<Output, Error> {
    for _ in 0..told.amount * 1000 {
        let _ignored = log::progress("", None);
        sleep(Duration::from_millis(1));
    }
    done()
}
