//! Keys that are not its own, and too many of them.

use ml_intern_plugin::bindings::tool::wasi::keyvalue::store;
use ml_intern_plugin::keyvalue::Bucket;
use ml_intern_plugin::{Error, Output};

use crate::{Told, done};

pub(crate) fn keep(told: Told) -> Result<Output, Error> {
    Bucket::project()?.set(&told.path, told.other.as_bytes())?;
    done()
}

pub(crate) fn recall(told: Told) -> Result<Output, Error> {
    let value = Bucket::project()?.get(&told.path)?;
    Ok(Output::text(match value {
        Some(value) => String::from_utf8_lossy(&value).into_owned(),
        None => "nothing".to_owned(),
    }))
}

pub(crate) fn list_keys(_: Told) -> Result<Output, Error> {
    let bucket = store::open("project")?;
    Ok(Output::text(format!("{:?}", bucket.list_keys(None)?.keys)))
}

pub(crate) fn open_bucket(told: Told) -> Result<Output, Error> {
    Bucket::open(&told.other)?;
    done()
}

pub(crate) fn keep_often(told: Told) -> Result<Output, Error> {
    let bucket = Bucket::session()?;
    for number in 0..told.amount {
        bucket.set(&format!("{number}"), &[0; 1024])?;
    }
    done()
}
