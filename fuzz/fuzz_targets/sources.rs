//! Where plugins come from, as users and indexes write it, and an author's cases: what is read is written back the same,
//! and what is not is refused in words that can be shown.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ml_intern_fuzz::{assert_document_error, assert_showable};
use ml_intern_manifest::{Cases, Index, Source};

fuzz_target!(|text: &str| {
    match text.parse::<Source>() {
        Ok(source) => {
            let written = source.to_string();
            let read = written
                .parse::<Source>()
                .unwrap_or_else(|error| panic!("{error}\n{written}"));
            assert_eq!(read, source);
            assert_eq!(read.place(), source.place());
        }
        Err(error) => assert_showable(&error.to_string()),
    }
    if let Err(error) = Index::parse("index.toml", text) {
        assert_document_error(text, &error);
    }
    if let Err(error) = Cases::parse("cases.toml", text) {
        assert_document_error(text, &error);
    }
});
