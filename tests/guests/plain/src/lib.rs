//! Plain functions: files, a page of the web, and what its surroundings hold.

#![expect(unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ path: "wit", world: "plain" });

mod page;

use std::fmt::Display;
use std::fs;

struct Plain;
export!(Plain);

fn words(error: impl Display) -> String {
    error.to_string()
}

impl Guest for Plain {
    fn list_directory(path: String) -> Result<Vec<String>, String> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path).map_err(words)? {
            let entry = entry.map_err(words)?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn read_file(path: String) -> Result<String, String> {
        fs::read_to_string(path).map_err(words)
    }

    fn search_file(
        path: String,
        pattern: String,
        limit: Option<u8>,
    ) -> Result<Vec<(u32, String)>, String> {
        let text = Self::read_file(path)?;
        let found = (1..).zip(text.lines().map(str::to_owned));
        let found = found.filter(|(_, line)| line.contains(&pattern));
        Ok(found.take(limit.unwrap_or(u8::MAX).into()).collect())
    }

    fn get_file_info(path: String) -> Result<Info, String> {
        let metadata = fs::metadata(&path).map_err(words)?;
        let text = fs::read_to_string(path).ok();
        let lines = text.and_then(|text| text.lines().count().try_into().ok());
        Ok(Info {
            size: metadata.len(),
            is_directory: metadata.is_dir(),
            line_count: lines,
        })
    }

    fn write_bytes(path: String, content: Vec<u8>) -> Result<(), String> {
        fs::write(path, content).map_err(words)
    }

    fn variable(name: String) -> Option<String> {
        std::env::var(name).ok()
    }

    fn init() {}
}

impl exports::guests::plain::web::Guest for Plain {
    fn fetch(url: String) -> Result<String, String> {
        page::fetch(&url)
    }
}
