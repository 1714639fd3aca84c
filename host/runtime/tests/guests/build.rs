//! Guests made of WebAssembly text: a core module is written for each test and wrapped into a
//! component of the tool world.

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, PackageId, Resolve};

/// The version of the contract that `wit/` holds. The texts of guests are written with the oldest
/// one, and turned into the version that they are built for.
pub(crate) const NEWEST: &str = "0.2.0";
pub(crate) const OLDEST: &str = "0.1.0";

/// The version that the guests of this run speak: the newest, unless `scripts/test` sends the tests
/// through a shim of the host.
fn tested() -> &'static str {
    match std::env::var("ML_INTERN_TEST_ABI").as_deref() {
        Err(_) | Ok("0.2") => NEWEST,
        Ok("0.1") => OLDEST,
        Ok(other) => panic!("no guest is built for ABI {other}"),
    }
}

/// A core module of the tool world. `describe` returns no tools and `call` an empty output, by a
/// pointer into memory that is zero, unless `call` says otherwise.
pub(crate) struct Guest {
    /// Imports, and whatever stands beside the functions.
    pub(crate) module: String,
    /// Body of `call`: parameters 0..9 are name, arguments, session and call (pointer and length
    /// each) and the deadline; returns a pointer to `result<output, error>`.
    pub(crate) call: String,
    /// Pages of memory at start.
    pub(crate) pages: u32,
    /// Whether it imports WASI, as far as `wasi/` holds it.
    pub(crate) wasi: bool,
    /// What `cabi_realloc`, which the host calls to hand over a value, does first.
    pub(crate) realloc: String,
}

impl Default for Guest {
    fn default() -> Self {
        Self {
            module: String::new(),
            call: "(i32.const 64)".to_owned(),
            pages: 1,
            wasi: false,
            realloc: String::new(),
        }
    }
}

impl Guest {
    /// A guest whose `call` has this body.
    pub(crate) fn call(body: &str) -> Self {
        Self {
            call: body.to_owned(),
            ..Self::default()
        }
    }

    fn text(&self, version: &str) -> String {
        let Self {
            module,
            call,
            pages,
            wasi: _,
            realloc,
        } = self;
        format!(
            r#"(module
                {module}
                (memory (export "memory") {pages})
                (global $free (mut i32) (i32.const 8192))
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                    (local $at i32)
                    {realloc}
                    (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
                    (global.set $free (i32.add (local.get $at) (local.get 3)))
                    (block $fits
                        (br_if $fits (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
                        (drop (memory.grow (i32.add (i32.shr_u (local.get 3) (i32.const 16)) (i32.const 1)))))
                    (local.get $at))
                (func (export "ml-intern:plugin/tool@{version}#describe") (result i32) (i32.const 64))
                (func $call (export "ml-intern:plugin/tool@{version}#call")
                    (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
                    {call})
            )"#
        )
    }

    /// The bytes of the component.
    pub(crate) fn component(&self) -> Vec<u8> {
        self.component_of(tested())
    }

    /// The same for another version of the contract.
    pub(crate) fn component_of(&self, version: &str) -> Vec<u8> {
        encode(
            &self.text(version).replace("@0.1.0", &format!("@{version}")),
            version,
            if self.wasi { WASI_WORLD } else { "tool-plugin" },
        )
    }

    /// The core module alone.
    pub(crate) fn core(&self) -> Vec<u8> {
        wat::parse_str(self.text(OLDEST)).unwrap()
    }
}

/// A world of tools that import WASI; made here.
const WASI_WORLD: &str = "wasi-plugin";

/// A component of `world` from the text of a core module.
pub(crate) fn encode(text: &str, version: &str, world: &str) -> Vec<u8> {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let (folder, own) = match version {
        OLDEST => (wit.join("released").join(OLDEST), OLDEST),
        _ => (wit, NEWEST),
    };
    let renamed = tempfile::tempdir().unwrap();
    copy(&folder, renamed.path(), &|text| {
        text.replace(
            &format!("ml-intern:plugin@{own}"),
            &format!("ml-intern:plugin@{version}"),
        )
    });
    if world == WASI_WORLD {
        add_wasi(renamed.path());
    }
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(renamed.path()).unwrap();
    wrapped(&resolve, package, world, Some(text))
}

/// A component of the world `test` in `wit`, from the text of a core module.
pub(crate) fn encode_text(wit: &str, text: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("test.wit", wit).unwrap();
    wrapped(&resolve, package, "test", Some(text))
}

/// The same, with functions that nobody calls.
pub(crate) fn dummy(wit: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("test.wit", wit).unwrap();
    wrapped(&resolve, package, "test", None)
}

fn wrapped(resolve: &Resolve, package: PackageId, world: &str, text: Option<&str>) -> Vec<u8> {
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = match text {
        Some(text) => wat::parse_str(text).unwrap(),
        None => dummy_module(resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync)),
    };
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default()
        .module(&module)
        .unwrap()
        .validate(true)
        .encode()
        .unwrap()
}

/// A world of tools that import WASI.
fn add_wasi(wit: &Path) {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests/wasi");
    copy(&own, &wit.join("deps"), &str::to_owned);
    let imports: String = [
        "clocks/wall-clock",
        "clocks/monotonic-clock",
        "random/random",
        "random/insecure",
        "random/insecure-seed",
        "io/poll",
        "io/streams",
        "http/types",
        "http/outgoing-handler",
    ]
    .iter()
    .map(|name| format!("import wasi:{name}@0.2.0;\n"))
    .collect();
    let worlds = wit.join("worlds.wit");
    let mut text = std::fs::read_to_string(&worlds).unwrap();
    text.push_str(&format!(
        "world {WASI_WORLD} {{ include tool-plugin;\n{imports} }}"
    ));
    std::fs::write(&worlds, text).unwrap();
}

fn copy(from: &Path, to: &Path, change: &dyn Fn(&str) -> String) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.ends_with("released") {
            continue;
        }
        if path.is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy(&path, &target, change);
        } else if path.extension().is_some_and(|extension| extension == "wit") {
            std::fs::write(&target, change(&std::fs::read_to_string(&path).unwrap())).unwrap();
        }
    }
}
