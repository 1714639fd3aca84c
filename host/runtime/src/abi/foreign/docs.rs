//! Words of an author: the section `package-docs`, into which WIT tools put doc comments
//! (wit-parser 0.254, `src/metadata.rs`): a byte of version, 0 or 1, then JSON.

use std::collections::HashMap;

use serde::Deserialize;
use wasmparser::{Parser, Payload};

use super::functions::Path;

const SECTION: &str = "package-docs";
/// Far more than the comments of any package.
const MAX_SECTION: usize = 1 << 20;
const MAX_SECTIONS: usize = 16;
/// Sections and function bodies that are walked over; a large Python guest has 60,000.
const MAX_ITEMS: usize = 1_000_000;

/// What is said of functions, by interface (its name alone) and function.
#[derive(Debug, Default)]
pub(crate) struct Docs(HashMap<(Option<String>, String), String>);

#[derive(Deserialize)]
struct Package {
    #[serde(default)]
    worlds: HashMap<String, World>,
    #[serde(default)]
    interfaces: HashMap<String, Interface>,
}

#[derive(Deserialize)]
struct World {
    #[serde(default)]
    interfaces: HashMap<String, Interface>,
    #[serde(default)]
    interface_exports: HashMap<String, Interface>,
    #[serde(default)]
    funcs: HashMap<String, Function>,
    #[serde(default)]
    func_exports: HashMap<String, Function>,
}

#[derive(Deserialize)]
struct Interface {
    #[serde(default)]
    funcs: HashMap<String, Function>,
}

/// Version 0 has the text itself.
#[derive(Deserialize)]
#[serde(untagged)]
enum Function {
    Text(String),
    Object { docs: Option<String> },
}

impl Docs {
    /// Reads a component. What cannot be read is left out: it is words only.
    pub(crate) fn read(component: &[u8]) -> Self {
        let mut docs = Self::default();
        let mut sections = 0;
        for payload in Parser::new(0).parse_all(component).take(MAX_ITEMS) {
            let Ok(payload) = payload else { break };
            if let Payload::CustomSection(section) = payload
                && section.name() == SECTION
                && sections < MAX_SECTIONS
            {
                sections += 1;
                docs.take(section.data());
            }
        }
        docs
    }

    fn take(&mut self, section: &[u8]) {
        let Some((0 | 1, json)) = section.split_first() else {
            return;
        };
        if json.len() > MAX_SECTION {
            return;
        }
        let Ok(package) = serde_json::from_slice::<Package>(json) else {
            return;
        };
        for (name, interface) in package.interfaces {
            self.keep(Some(&name), interface.funcs);
        }
        for world in package.worlds.into_values() {
            self.keep(None, world.funcs);
            self.keep(None, world.func_exports);
            for (name, interface) in world.interfaces.into_iter().chain(world.interface_exports) {
                self.keep(Some(&name), interface.funcs);
            }
        }
    }

    fn keep(&mut self, interface: Option<&str>, functions: HashMap<String, Function>) {
        for (name, function) in functions {
            let text = match function {
                Function::Text(text) => Some(text),
                Function::Object { docs } => docs,
            };
            let text = text.map(|text| text.trim().to_owned());
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                self.0.insert((interface.map(str::to_owned), name), text);
            }
        }
    }

    pub(super) fn of(&self, path: &Path) -> Option<&str> {
        let interface = path.interface.as_deref().map(|name| {
            let name = name.split('@').next().unwrap_or_default();
            name.rsplit('/').next().unwrap_or_default().to_owned()
        });
        let text = self.0.get(&(interface, path.function.clone()));
        text.map(String::as_str)
    }
}
