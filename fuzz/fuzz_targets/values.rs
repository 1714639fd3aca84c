//! Sizes, durations, digests, ids, versions and sources: what is read is written back the same.

#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use ml_intern_fuzz::assert_showable;
use ml_intern_manifest::{
    Abi, Digest, Error, PluginId, Size, Source, format_duration, parse_duration, shorten,
    suggestion,
};

fuzz_target!(|text: &str| {
    check::<Size>(text);
    check::<Digest>(text);
    check::<PluginId>(text);
    check::<Abi>(text);
    if let Some(source) = check::<Source>(text) {
        assert_eq!(source.to_string(), text);
        assert_showable(text);
    }
    match parse_duration(text) {
        Ok(duration) => assert_eq!(parse_duration(&format_duration(duration)), Ok(duration)),
        Err(error) => assert_showable(&error.to_string()),
    }
    assert_showable(&shorten(text));
    let known = ["host", "methods", "paths", "max-response"];
    assert!(suggestion(text, &known).is_none_or(|name| known.contains(&name)));
});

fn check<T: FromStr<Err = Error> + Display + Debug + PartialEq>(text: &str) -> Option<T> {
    match text.parse::<T>() {
        Ok(value) => {
            assert_eq!(value.to_string().parse::<T>().as_ref(), Ok(&value));
            Some(value)
        }
        Err(error) => {
            assert_showable(&error.to_string());
            None
        }
    }
}
