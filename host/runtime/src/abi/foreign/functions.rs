//! Which functions of a component are tools, and under which names.

use std::collections::HashMap;

use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex, Type};

use super::schema;
use crate::tool::{Descriptor, Effects};

/// A function that is no tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden {
    /// As the component exports it, such as `local:time/clock#now`.
    pub name: String,
    /// In words.
    pub why: String,
}

/// The contract's bound of a tool's name.
const MAX_NAME: usize = 64;
/// Functions that are looked at, so that what is told of those that are left out stays readable.
const MAX_HIDDEN: usize = 200;
/// As many tools as a plugin may have.
const MAX_TOOLS: usize = 128;
/// The most of an author's words that a description holds; with the signature it stays within 8 KiB.
const MAX_DOCS: usize = 6 << 10;

/// Instances that tool chains export for their own use: componentize-py has its initializer there.
const LEFTOVER_INSTANCES: &[&str] = &["exports"];
/// The same for functions without parameters and results, by componentize-qjs.
const LEFTOVER_FUNCTIONS: &[&str] = &["init"];

/// The functions of a component.
pub(super) struct Functions {
    /// In the order of the exports.
    pub(super) tools: Vec<Function>,
    /// The others, with the reason.
    pub(super) hidden: Vec<Hidden>,
}

/// Where a function lies: `local:time/clock@0.1.0` and `now`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    /// None for a function at the root.
    pub(super) interface: Option<String>,
    pub(super) function: String,
}

impl Path {
    fn shown(&self) -> String {
        match &self.interface {
            Some(interface) => format!("{interface}#{}", self.function),
            None => self.function.clone(),
        }
    }

    /// Names for the tool, shortest first.
    fn names(&self) -> [String; 3] {
        let function = word(&self.function);
        let Some(interface) = &self.interface else {
            return [function.clone(), function.clone(), function];
        };
        let path = interface.split('@').next().unwrap_or_default();
        let last = path.rsplit('/').next().unwrap_or_default();
        let with = |prefix: &str| format!("{}_{function}", word(prefix));
        [function.clone(), with(last), with(path)]
    }
}

/// A function that is a tool.
pub(super) struct Function {
    /// Name of the tool.
    pub(super) tool: String,
    pub(super) path: Path,
    pub(super) index: ComponentExportIndex,
    pub(super) parameters: Vec<(String, Type)>,
    pub(super) result: Option<Type>,
}

impl Function {
    /// The tool. Nothing is promised of its effects: nobody said anything about them.
    pub(super) fn describe(&self, docs: Option<&str>) -> Descriptor {
        let signature = schema::signature(&self.path.function, &self.parameters, &self.result);
        let description = match docs {
            Some(words) => format!("{}\n\nSignature: `{signature}`", cut(words, MAX_DOCS)),
            None => format!(
                "The function `{}` of a component, which says no more of it than its signature: `{signature}`",
                cut(&self.path.shown(), 256)
            ),
        };
        Descriptor {
            name: self.tool.clone(),
            title: None,
            description,
            input_schema: schema::of_parameters(&self.parameters).to_string(),
            output_schema: schema::of_result(&self.result).map(|schema| schema.to_string()),
            effects: Effects {
                read_only: false,
                destructive: false,
                idempotent: false,
                open_world: false,
            },
            operations: None,
        }
    }
}

impl Functions {
    pub(super) fn of(engine: &Engine, component: &Component) -> Self {
        let mut found = Found::default();
        for (name, export) in component.component_type().exports(engine) {
            if let ComponentItem::ComponentFunc(function) = &export.ty {
                let path = Path {
                    interface: None,
                    function: name.to_owned(),
                };
                if is_leftover(name, function) {
                    found.hide(&path, "made by a tool chain for its own use".to_owned());
                } else if let Some(index) = component.get_export_index(None, name) {
                    found.add(path, index, function);
                }
            }
            if let ComponentItem::ComponentInstance(instance) = &export.ty {
                let why = if is_wasi(name) {
                    Some("an interface of WASI, which a host calls")
                } else if LEFTOVER_INSTANCES.contains(&name) {
                    Some("made by a tool chain for its own use")
                } else {
                    None
                };
                let parent = component.get_export_index(None, name);
                for (function, export) in instance.exports(engine) {
                    let ComponentItem::ComponentFunc(ty) = &export.ty else {
                        continue;
                    };
                    let path = Path {
                        interface: Some(name.to_owned()),
                        function: function.to_owned(),
                    };
                    let index = component.get_export_index(parent.as_ref(), function);
                    match (why, index) {
                        (Some(why), _) => found.hide(&path, why.to_owned()),
                        (None, Some(index)) => found.add(path, index, ty),
                        (None, None) => {}
                    }
                }
            }
        }
        found.named()
    }
}

/// `wasi:http/incoming-handler@0.2.0` and the like.
pub(super) fn is_wasi(name: &str) -> bool {
    name.starts_with("wasi:")
}

pub(super) fn holds_functions(item: &ComponentItem) -> bool {
    matches!(
        item,
        ComponentItem::ComponentFunc(_) | ComponentItem::ComponentInstance(_)
    )
}

fn is_leftover(name: &str, function: &ComponentFunc) -> bool {
    LEFTOVER_FUNCTIONS.contains(&name)
        && function.params().len() == 0
        && function.results().len() == 0
}

#[derive(Default)]
struct Found {
    tools: Vec<Function>,
    hidden: Vec<Hidden>,
}

impl Found {
    fn hide(&mut self, path: &Path, why: String) {
        if self.hidden.len() < MAX_HIDDEN {
            let name = cut(&path.shown(), 256);
            self.hidden.push(Hidden { name, why });
        }
    }

    fn add(&mut self, path: Path, index: ComponentExportIndex, function: &ComponentFunc) {
        if function.async_() {
            return self.hide(
                &path,
                "is asynchronous, which this host does not call".to_owned(),
            );
        }
        let parameters: Vec<(String, Type)> = function
            .params()
            .map(|(name, ty)| (name.to_owned(), ty))
            .collect();
        let mut results = function.results();
        let result = results.next();
        if results.len() > 0 {
            return self.hide(&path, "returns several values".to_owned());
        }
        drop(results);
        let types = parameters.iter().map(|(_, ty)| ty).chain(&result);
        if let Err(why) = schema::check(types) {
            return self.hide(&path, why);
        }
        self.tools.push(Function {
            tool: String::new(),
            path,
            index,
            parameters,
            result,
        });
    }

    /// Gives names: a function its own, where several would have it with that of their interface,
    /// where that does not help with the whole path of it.
    fn named(mut self) -> Functions {
        let tools = std::mem::take(&mut self.tools);
        let mut names: Vec<String> = Vec::with_capacity(tools.len());
        let mut level = vec![0; tools.len()];
        for round in 0..3 {
            names = tools
                .iter()
                .zip(&level)
                .map(|(tool, level)| tool.path.names()[*level].clone())
                .collect();
            let mut owners: HashMap<&str, usize> = HashMap::new();
            for name in &names {
                *owners.entry(name).or_default() += 1;
            }
            for (name, level) in names.iter().zip(&mut level) {
                if round < 2 && owners.get(name.as_str()).is_some_and(|count| *count > 1) {
                    *level += 1;
                }
            }
        }
        let mut owners: HashMap<String, usize> = HashMap::new();
        for name in &names {
            *owners.entry(name.clone()).or_default() += 1;
        }
        let mut named = Vec::with_capacity(tools.len());
        for (mut tool, name) in tools.into_iter().zip(names) {
            let why = if owners.get(&name).is_some_and(|count| *count > 1) {
                Some("has the name of another function".to_owned())
            } else if name.len() > MAX_NAME {
                Some(format!("its name has more than {MAX_NAME} characters"))
            } else if named.len() == MAX_TOOLS {
                Some(format!("the component has more than {MAX_TOOLS} functions"))
            } else {
                None
            };
            match why {
                Some(why) => self.hide(&tool.path, why),
                None => {
                    tool.tool = name;
                    named.push(tool);
                }
            }
        }
        Functions {
            tools: named,
            hidden: self.hidden,
        }
    }
}

/// A name of WIT as a part of a tool's name: lower case, `_` for what is no letter or digit.
fn word(name: &str) -> String {
    let mut word: String = name
        .chars()
        .map(|c| match c.is_ascii_alphanumeric() {
            true => c.to_ascii_lowercase(),
            false => '_',
        })
        .collect();
    if !word.starts_with(|c: char| c.is_ascii_lowercase()) {
        word.insert_str(0, "f_");
    }
    word
}

/// At most `most` bytes of a text, from the start.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.len() <= most {
        true => text.to_owned(),
        false => {
            let end = (0..=most).rev().find(|at| text.is_char_boundary(*at));
            format!("{}…", text.get(..end.unwrap_or(0)).unwrap_or_default())
        }
    }
}
