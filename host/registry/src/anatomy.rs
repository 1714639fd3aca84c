//! What a component's bytes are made of: how large each section of each module is, and what its tools wrote down beside
//! the code.
//!
//! Everything textual is the author's, made printable and cut short here; counts are bounded, and what is left out of a
//! list is added to a sum.

use ml_intern_manifest::printable;
use wasmparser::{KnownCustom, Parser, Payload};

use crate::error::Error;
use crate::inspect::{MAX_DEPTH, MAX_ITEMS, check_format, damaged_text};

/// Modules and components that are listed one by one; a Python guest has about thirty.
const MAX_PARTS: usize = 128;
/// Custom sections that are listed by name in one part.
const MAX_CUSTOM: usize = 24;
/// Tools and languages that are listed.
const MAX_PRODUCERS: usize = 32;
/// Characters of the name of a section, module or tool.
const MAX_NAME: usize = 64;
/// Characters of a text beside the code.
const MAX_TEXT: usize = 512;

/// What custom sections hold by convention: one text each, as the tools of the Bytecode Alliance write and read them
/// (`wasm-tools metadata`, November 2026).
const TEXTS: [&str; 7] = [
    "version",
    "description",
    "authors",
    "licenses",
    "source",
    "homepage",
    "revision",
];
/// Signatures, by convention of the tool `wasmsign2`.
const SIGNATURE: &str = "signature";

/// What a component is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Anatomy {
    /// Bytes of the whole.
    pub bytes: u64,
    /// The component itself first, then what lies within it, in its order; at most 128.
    pub parts: Vec<Part>,
    /// Modules and components that are not listed.
    pub unlisted: usize,
    /// What made it: languages, tools and kits with their versions, each once.
    pub producers: Vec<Producer>,
    /// Texts that tools keep beside the code: name and content, of the component itself first.
    pub texts: Vec<(&'static str, String)>,
    /// It has a section that holds a signature. Whether that is good is not looked at here.
    pub signature: bool,
    /// Some of its modules have the names of their functions, which traps then show.
    pub function_names: bool,
}

/// A component or a core module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// `component`, `module 0`, `component 1 / module 0`: numbers as the file counts them.
    pub name: String,
    /// Bytes of all its sections, without those of the parts within it.
    pub bytes: u64,
    /// Functions that have code.
    pub functions: u64,
    /// What kinds of sections it has, largest first.
    pub sections: Vec<Section>,
}

/// All sections of one kind, or the custom sections of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// `code`, `data`, `custom: name`.
    pub name: String,
    /// Bytes, without the heads of the sections.
    pub bytes: u64,
    /// How many there are.
    pub count: u64,
}

/// Something that had a part in making it, by its own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Producer {
    /// `language`, `sdk` or `processed-by`.
    pub role: String,
    /// `Rust`.
    pub name: String,
    /// `1.95.0`; may be empty.
    pub version: String,
}

/// Takes `bytes` apart; `name` is the file that errors show.
///
/// # Errors
/// [`Error::NotAComponent`].
pub fn anatomy(name: &str, bytes: &[u8]) -> Result<Anatomy, Error> {
    let refused = |message: String| Error::NotAComponent {
        name: name.to_owned(),
        message,
    };
    check_format(bytes).map_err(|message| refused(message.to_owned()))?;
    let mut walk = Walk::new(bytes.len());
    for (count, payload) in Parser::new(0).parse_all(bytes).enumerate() {
        if count == MAX_ITEMS {
            return Err(refused(format!(
                "has more than {MAX_ITEMS} sections and functions"
            )));
        }
        let payload = payload.map_err(|error| refused(damaged_text(&error)))?;
        walk.take(&payload).map_err(refused)?;
    }
    Ok(walk.done())
}

/// Where the walk through the file is.
struct Walk {
    found: Anatomy,
    /// The open parts: place in `parts`, or none where there is no room, and how many of each kind have been seen in it.
    open: Vec<Open>,
}

#[derive(Default)]
struct Open {
    part: Option<usize>,
    path: String,
    modules: usize,
    components: usize,
}

impl Walk {
    fn new(bytes: usize) -> Self {
        let mut walk = Self {
            found: Anatomy {
                bytes: bytes as u64,
                ..Anatomy::default()
            },
            open: Vec::new(),
        };
        walk.begin("component".to_owned(), String::new());
        walk
    }

    fn begin(&mut self, name: String, path: String) {
        let part = (self.found.parts.len() < MAX_PARTS).then(|| {
            self.found.parts.push(Part {
                name,
                bytes: 0,
                functions: 0,
                sections: Vec::new(),
            });
            self.found.parts.len() - 1
        });
        if part.is_none() {
            self.found.unlisted += 1;
        }
        self.open.push(Open {
            part,
            path,
            ..Open::default()
        });
    }

    fn within(&mut self, module: bool) -> Result<(), String> {
        if self.open.len() > MAX_DEPTH {
            return Err(format!(
                "nests modules and components more than {MAX_DEPTH} deep"
            ));
        }
        let Some(outer) = self.open.last_mut() else {
            return Ok(());
        };
        let (word, number) = if module {
            ("module", &mut outer.modules)
        } else {
            ("component", &mut outer.components)
        };
        let name = format!("{}{word} {number}", outer.path);
        *number += 1;
        let path = format!("{name} / ");
        self.begin(name, path);
        Ok(())
    }

    fn part(&mut self) -> Option<&mut Part> {
        let place = self.open.last()?.part?;
        self.found.parts.get_mut(place)
    }

    fn take(&mut self, payload: &Payload<'_>) -> Result<(), String> {
        match payload {
            Payload::ModuleSection { .. } => return self.within(true),
            Payload::ComponentSection { .. } => return self.within(false),
            Payload::End(_) => {
                self.open.pop();
            }
            Payload::CodeSectionEntry(_) => {
                if let Some(part) = self.part() {
                    part.functions += 1;
                }
            }
            Payload::CustomSection(section) => self.custom(section),
            other => {
                if let Some((id, range)) = other.as_section() {
                    let inner = self.open.last().is_some_and(|open| !open.path.is_empty());
                    let module = inner && self.part().is_some_and(|part| is_module(&part.name));
                    let bytes = range.end.saturating_sub(range.start) as u64;
                    self.count(kind(id, module), bytes);
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, name: &str, bytes: u64) {
        if let Some(part) = self.part() {
            part.bytes = part.bytes.saturating_add(bytes);
            add(&mut part.sections, name, bytes);
        }
    }

    fn custom(&mut self, section: &wasmparser::CustomSectionReader<'_>) {
        let bytes = section.data().len() as u64;
        let mut name = format!("custom: {}", printable(section.name(), MAX_NAME));
        if let Some(part) = self.part() {
            let custom = part
                .sections
                .iter()
                .filter(|one| one.name.starts_with("custom: "));
            let known = part.sections.iter().any(|one| one.name == name);
            if !known && custom.count() >= MAX_CUSTOM {
                name = "custom sections, others".to_owned();
            }
        }
        self.count(&name, bytes);
        match section.as_known() {
            KnownCustom::Name(_) => self.found.function_names = true,
            KnownCustom::Producers(fields) => self.producers(fields),
            _ => self.text(section),
        }
    }

    /// A damaged list is told as far as it goes: nothing depends on it.
    fn producers(&mut self, fields: wasmparser::ProducersSectionReader<'_>) {
        for field in fields.into_iter().map_while(Result::ok) {
            for value in field.values.into_iter().map_while(Result::ok) {
                let producer = Producer {
                    role: field.name.to_owned(),
                    name: printable(value.name, MAX_NAME),
                    version: printable(value.version, MAX_NAME),
                };
                let all = &mut self.found.producers;
                if all.len() < MAX_PRODUCERS && !all.contains(&producer) {
                    all.push(producer);
                }
            }
        }
    }

    fn text(&mut self, section: &wasmparser::CustomSectionReader<'_>) {
        if section.name() == SIGNATURE {
            self.found.signature = true;
        }
        let Some(name) = TEXTS.iter().find(|name| **name == section.name()) else {
            return;
        };
        let told = &mut self.found.texts;
        if let (Ok(text), false) = (
            std::str::from_utf8(section.data()),
            told.iter().any(|(known, _)| known == name),
        ) {
            told.push((name, printable(text, MAX_TEXT)));
        }
    }

    fn done(mut self) -> Anatomy {
        for part in &mut self.found.parts {
            part.sections
                .sort_by(|one, other| other.bytes.cmp(&one.bytes).then(one.name.cmp(&other.name)));
        }
        self.found
    }
}

fn is_module(name: &str) -> bool {
    name.rsplit(" / ")
        .next()
        .is_some_and(|last| last.starts_with("module"))
}

fn add(sections: &mut Vec<Section>, name: &str, bytes: u64) {
    match sections.iter_mut().find(|one| one.name == name) {
        Some(section) => {
            section.bytes = section.bytes.saturating_add(bytes);
            section.count += 1;
        }
        None => sections.push(Section {
            name: name.to_owned(),
            bytes,
            count: 1,
        }),
    }
}

/// The names of sections by their numbers, of a module (core specification 3.0, "Binary Format") and of a component
/// (component-model `design/mvp/Binary.md`).
fn kind(id: u8, module: bool) -> &'static str {
    const MODULE: [&str; 14] = [
        "custom",
        "types",
        "imports",
        "functions",
        "tables",
        "memories",
        "globals",
        "exports",
        "start",
        "elements",
        "code",
        "data",
        "data count",
        "tags",
    ];
    const COMPONENT: [&str; 12] = [
        "custom",
        "modules",
        "core instances",
        "core types",
        "components",
        "instances",
        "aliases",
        "types",
        "canonical functions",
        "start",
        "imports",
        "exports",
    ];
    let names: &[&str] = if module { &MODULE } else { &COMPONENT };
    names.get(usize::from(id)).copied().unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Anatomy {
        anatomy("a.wasm", &wat::parse_str(text).unwrap()).unwrap()
    }

    fn sections(part: &Part) -> Vec<(&str, u64)> {
        let sections = part.sections.iter();
        sections
            .map(|section| (section.name.as_str(), section.count))
            .collect()
    }

    #[test]
    fn each_module_is_told_by_its_sections() {
        let found = of(r#"(component
                (core module (func) (func) (memory 1) (data (i32.const 0) "0123456789abcdef"))
                (component (core module (func)))
                (core module)
                (@custom "version" "1.2.3")
                (@custom "other" "xx"))"#);
        let names: Vec<_> = found.parts.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "component",
                "module 0",
                "component 0",
                "component 0 / module 0",
                "module 1"
            ]
        );
        let module = &found.parts[1];
        assert_eq!(module.functions, 2);
        assert_eq!(module.sections[0].name, "data");
        assert_eq!(
            sections(module)
                .into_iter()
                .map(|(name, _)| name)
                .collect::<Vec<_>>(),
            ["data", "code", "types", "functions", "memories"]
        );
        assert_eq!(
            sections(&found.parts[0]),
            [("custom: version", 1), ("custom: other", 1)]
        );
        assert_eq!(found.texts, [("version", "1.2.3".to_owned())]);
        assert!(!found.signature && !found.function_names);
        let parts: u64 = found.parts.iter().map(|part| part.bytes).sum();
        assert!(parts < found.bytes, "{parts} {}", found.bytes);
    }

    #[test]
    fn what_tools_wrote_down_is_told() {
        let found = of(r#"(component
                (core module $m (func $named))
                (@custom "signature" "s")
                (@custom "producers" "\01\08language\01\04Rust\061.95.0"))"#);
        assert!(found.signature && found.function_names);
        assert_eq!(
            found.producers,
            [Producer {
                role: "language".into(),
                name: "Rust".into(),
                version: "1.95.0".into()
            }]
        );
    }

    #[test]
    fn a_hostile_file_is_told_in_bounded_and_plain_words() {
        let mut many = String::from("(component ");
        for number in 0..200 {
            many.push_str(&format!("(@custom \"n{number}\" \"x\") (core module)"));
        }
        many.push_str(
            "(@custom \"version\" \"\\1b[31mred\\e2\\80\\ae\") (@custom \"licenses\" \"\\ff\"))",
        );
        let found = of(&many);
        assert_eq!(
            (found.parts.len(), found.unlisted),
            (MAX_PARTS, 200 - MAX_PARTS + 1)
        );
        assert_eq!(found.parts[0].sections.len(), MAX_CUSTOM + 1);
        assert_eq!(found.texts.len(), 1);
        let told = format!("{found:?}");
        assert!(
            !told.contains('\u{1b}') && !told.contains('\u{202e}'),
            "{told}"
        );
        let long = "y".repeat(10_000);
        let found = of(&format!("(component (@custom \"{long}\" \"x\"))"));
        assert!(found.parts[0].sections[0].name.chars().count() < 100);
    }

    #[test]
    fn what_is_no_component_or_cut_off_is_refused() {
        let whole = wat::parse_str("(component (core module (func)))").unwrap();
        for bytes in [
            &b""[..],
            b"\0asm\x01\0\0\0",
            b"text",
            &whole[..whole.len() - 1],
        ] {
            assert!(anatomy("a.wasm", bytes).is_err());
        }
        let deep = format!("{}{}", "(component ".repeat(40), ")".repeat(40));
        let bytes = wat::parse_str(&deep).unwrap();
        assert!(
            anatomy("a.wasm", &bytes)
                .unwrap_err()
                .to_string()
                .contains("deep")
        );
    }
}
