//! Types written as WIT: their schemas, their values as JSON and back, and which functions are tools.

use serde_json::{Value, json};
use wasmtime::Engine;
use wasmtime::component::{Component, Type};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

use super::*;
use crate::fault::FaultCause;

/// A component of the first world in `wit`, whose functions are not called.
fn bytes(wit: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("test.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some("test")).unwrap();
    let mangling = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);
    let mut module = dummy_module(&resolve, world, mangling);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let encoder = ComponentEncoder::default().module(&module).unwrap();
    encoder.validate(true).encode().unwrap()
}

fn functions(wit: &str) -> Functions {
    let engine = Engine::default();
    let component = Component::new(&engine, bytes(wit)).unwrap();
    assert!(is_foreign(&engine, &component));
    Functions::of(&engine, &component)
}

/// A function `f` that takes `x` and returns the same type. `types` are the types that it names.
fn echo(types: &str, ty: &str) -> Function {
    let wit = format!(
        "package local:test; interface types {{ {types} }} world test {{ use types.{{{names}}}; export f: func(x: {ty}) -> {ty}; }}",
        names = names(types)
    );
    let wit = match types {
        "" => {
            format!("package local:test; world test {{ export f: func(x: {ty}) -> {ty}; }}")
        }
        _ => wit,
    };
    let mut found = functions(&wit);
    assert_eq!(found.hidden, []);
    found.tools.remove(0)
}

/// What `record a { … } enum b { … }` names.
fn names(types: &str) -> String {
    let words: Vec<&str> = types.split_whitespace().collect();
    let kinds = ["record", "enum", "variant", "flags", "type"];
    let named = words.windows(2).filter(|pair| kinds.contains(&pair[0]));
    named.map(|pair| pair[1]).collect::<Vec<_>>().join(", ")
}

fn schema_of(types: &str, ty: &str) -> Value {
    let function = echo(types, ty);
    schema::of_parameters(&function.parameters)["properties"]["x"].clone()
}

/// What a function that returns its argument says to this one.
fn there_and_back(function: &Function, json: &Value) -> Result<Value, String> {
    let given = arguments::values(&function.parameters, &json!({ "x": json }))?;
    let output = answer::output(given.first(), function.result.as_ref(), 1 << 20).unwrap();
    Ok(match &output.content[0] {
        Content::Json(text) => serde_json::from_str(text).unwrap(),
        Content::Text(text) => json!(text),
        other => panic!("{other:?}"),
    })
}

#[track_caller]
fn same(function: &Function, values: impl IntoIterator<Item = Value>) {
    for value in values {
        assert_eq!(there_and_back(function, &value).as_ref(), Ok(&value));
    }
}

#[track_caller]
fn refused(function: &Function, json: Value, said: &str) {
    let error = there_and_back(function, &json).unwrap_err();
    assert_eq!(error, said);
}

#[test]
fn integers_have_the_bounds_of_their_type() {
    for (ty, least, most) in [
        ("u8", 0, i64::from(u8::MAX)),
        ("s8", i64::from(i8::MIN), i64::from(i8::MAX)),
        ("u16", 0, i64::from(u16::MAX)),
        ("s16", i64::from(i16::MIN), i64::from(i16::MAX)),
        ("u32", 0, i64::from(u32::MAX)),
        ("s32", i64::from(i32::MIN), i64::from(i32::MAX)),
    ] {
        assert_eq!(
            schema_of("", ty),
            json!({ "type": "integer", "minimum": least, "maximum": most })
        );
        let function = echo("", ty);
        same(&function, [json!(least), json!(0), json!(most)]);
        let said = format!("`x`: expected an integer from {least} to {most}");
        for wrong in [
            json!(least - 1),
            json!(most + 1),
            json!(1.5),
            json!("x"),
            json!(null),
            json!(1e300),
        ] {
            refused(&function, wrong, &said);
        }
        // As careless writers of JSON have them.
        assert_eq!(there_and_back(&function, &json!(7.0)), Ok(json!(7)));
        assert_eq!(there_and_back(&function, &json!("7")), Ok(json!(7)));
    }
}

#[test]
fn integers_beyond_what_json_is_exact_for_are_strings() {
    let exact = (1_u64 << 53) - 1;
    let unsigned = echo("", "u64");
    same(&unsigned, [json!(0), json!(exact)]);
    same(
        &unsigned,
        [json!((exact + 1).to_string()), json!(u64::MAX.to_string())],
    );
    assert_eq!(
        there_and_back(&unsigned, &json!(u64::MAX)),
        Ok(json!(u64::MAX.to_string()))
    );
    let signed = echo("", "s64");
    same(
        &signed,
        [json!(-(exact as i64)), json!(i64::MIN.to_string())],
    );
    let said = format!("`x`: expected an integer from 0 to {}", u64::MAX);
    for wrong in [
        json!(-1),
        json!("18446744073709551616"),
        json!(1e19),
        json!("1 2"),
        json!(""),
    ] {
        refused(&unsigned, wrong, &said);
    }
    assert_eq!(schema_of("", "u64")["type"], json!(["integer", "string"]));
}

#[test]
fn floats_come_back_as_they_were_and_what_json_cannot_say_is_a_word() {
    let double = echo("", "f64");
    same(&double, [json!(0.1), json!(-1e300), json!(5e-324)]);
    let single = echo("", "f32");
    same(&single, [json!(0.1), json!(-2.5)]);
    refused(
        &single,
        json!(1e300),
        "`x`: expected a number that fits into 32 bits",
    );
    refused(&double, json!("NaN"), "`x`: expected a finite number");
    for (value, word) in [
        (f64::NAN, "NaN"),
        (f64::INFINITY, "Infinity"),
        (f64::NEG_INFINITY, "-Infinity"),
    ] {
        let output = answer::output(Some(&Val::Float64(value)), double.result.as_ref(), 100);
        let content = output.unwrap().content.remove(0);
        assert!(matches!(content, Content::Json(text) if text == format!("{word:?}")));
    }
}

#[test]
fn texts_and_truth_values() {
    same(&echo("", "bool"), [json!(true), json!(false)]);
    same(&echo("", "string"), [json!(""), json!("a\u{0}\"\n🦀")]);
    let character = echo("", "char");
    same(&character, [json!("🦀"), json!("\"")]);
    for wrong in [json!(""), json!("ab"), json!(1)] {
        refused(&character, wrong, "`x`: expected one character");
    }
    refused(&echo("", "bool"), json!(0), "`x`: expected true or false");
    refused(&echo("", "string"), json!(1), "`x`: expected a string");
}

#[test]
fn bytes_are_base64_with_or_without_padding() {
    let function = echo("", "list<u8>");
    same(&function, [json!(""), json!("AAEC/w==")]);
    assert_eq!(
        there_and_back(&function, &json!("AAEC/w")),
        Ok(json!("AAEC/w=="))
    );
    for wrong in [json!("§"), json!("a"), json!([1, 2])] {
        assert!(
            there_and_back(&function, &wrong)
                .unwrap_err()
                .starts_with("`x`: expected bytes")
        );
    }
    assert_eq!(schema_of("", "list<u8>")["contentEncoding"], "base64");
    // Of other numbers it is a list.
    same(&echo("", "list<u16>"), [json!([1, 2]), json!([])]);
}

const SHAPES: &str = "record item { name: string, size: option<u32> }
    enum colour { red, dark-green }
    flags rights { read, write }
    variant place { nowhere, at(tuple<s32, s32>), named(item) }";

#[test]
fn records_enums_flags_variants_and_tuples_come_back() {
    let item = echo(SHAPES, "item");
    same(
        &item,
        [
            json!({ "name": "a", "size": 3 }),
            json!({ "name": "", "size": null }),
        ],
    );
    assert_eq!(
        there_and_back(&item, &json!({ "name": "a" })),
        Ok(json!({ "name": "a", "size": null }))
    );
    same(&echo(SHAPES, "colour"), [json!("red"), json!("dark-green")]);
    same(
        &echo(SHAPES, "rights"),
        [json!([]), json!(["read", "write"])],
    );
    let place = echo(SHAPES, "place");
    same(
        &place,
        [
            json!("nowhere"),
            json!({ "at": [1, -1] }),
            json!({ "named": { "name": "a", "size": null } }),
        ],
    );
    assert_eq!(
        there_and_back(&place, &json!({ "nowhere": null })),
        Ok(json!("nowhere"))
    );
    same(
        &echo(SHAPES, "tuple<item, colour>"),
        [json!([{ "name": "a", "size": 1 }, "red"])],
    );
}

#[test]
fn options_and_results_within_each_other_stay_apart() {
    let option = echo("", "option<string>");
    assert_eq!(there_and_back(&option, &json!("a")), Ok(json!("a")));
    same(&option, [json!(null), json!("null")]);
    let twice = echo("", "option<option<u8>>");
    same(
        &twice,
        [json!(null), json!({ "some": null }), json!({ "some": 1 })],
    );
    refused(
        &twice,
        json!(1),
        "`x`: expected null, or an object with `some`",
    );
    let result = echo("", "list<result<u8, string>>");
    same(&result, [json!([{ "ok": 1 }, { "err": "no" }])]);
    same(&echo("", "list<result>"), [json!(["ok", "err"])]);
}

#[test]
fn an_error_names_the_place_of_what_is_wrong() {
    let function = echo(SHAPES, "list<item>");
    let list = |last: Value| json!([{ "name": "a" }, { "name": "b" }, last]);
    refused(
        &function,
        list(json!({ "name": "c", "size": -1 })),
        "`x[2].size`: expected an integer from 0 to 4294967295",
    );
    refused(
        &function,
        list(json!({})),
        "`x[2].name`: expected a value, which is missing",
    );
    refused(
        &function,
        list(json!({ "name": "c", "colour": 1 })),
        "`x[2].colour`: expected nothing: there is no such field",
    );
    refused(&function, json!({}), "`x`: expected a list");
    refused(
        &echo(SHAPES, "place"),
        json!({ "at": [1, "b"] }),
        "`x.at[1]`: expected an integer from -2147483648 to 2147483647",
    );
    refused(
        &echo(SHAPES, "place"),
        json!("at"),
        "`x`: expected one of \"nowhere\", {\"at\": …}, {\"named\": …}",
    );
    refused(
        &echo(SHAPES, "colour"),
        json!("blue"),
        "`x`: expected one of red, dark-green",
    );
    refused(
        &echo(SHAPES, "rights"),
        json!(["x"]),
        "`x`: expected one of read, write",
    );
    refused(
        &echo("", "tuple<u8, u8>"),
        json!([1]),
        "`x`: expected a list of 2 items",
    );
    let whole = arguments::values(&function.parameters, &json!([])).unwrap_err();
    assert_eq!(whole, "expected an object");
    let unknown = arguments::values(&function.parameters, &json!({ "x": [], "y": 1 }));
    assert_eq!(
        unknown.unwrap_err(),
        "`y`: expected nothing: there is no such field"
    );
}

/// What fits its schema is taken, and comes back as something that fits it too.
#[test]
fn made_up_values_of_made_up_types_come_back() {
    let types = [
        ("", "list<tuple<u8, s64, option<list<string>>>>"),
        (SHAPES, "tuple<place, list<place>, option<item>, rights>"),
        (
            SHAPES,
            "list<result<list<colour>, tuple<f64, char, list<u8>>>>",
        ),
        (SHAPES, "option<option<tuple<option<bool>, place>>>"),
    ];
    let mut random = Random(1);
    for (named, ty) in types {
        let function = echo(named, ty);
        let ty = function.result.clone().unwrap();
        for _ in 0..200 {
            let value = random.value(&ty, 0);
            assert_eq!(there_and_back(&function, &value), Ok(value));
        }
    }
}

/// A small generator (xorshift), so that a failure comes again.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        for shift in [13_i32, -7, 17] {
            self.0 ^= match shift > 0 {
                true => self.0 << shift,
                false => self.0 >> -shift,
            };
        }
        self.0 % end
    }

    fn list<T>(&mut self, depth: u32, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = if depth > 6 { 0 } else { self.below(4) };
        (0..count).map(|_| item(self)).collect()
    }

    fn case(&mut self, cases: Vec<(&str, Option<Type>)>, depth: u32) -> Value {
        let at = self.below(cases.len() as u64) as usize;
        match &cases[at] {
            (name, None) => json!(name),
            (name, Some(ty)) => json!({ *name: self.value(ty, depth) }),
        }
    }

    fn value(&mut self, ty: &Type, depth: u32) -> Value {
        let within = depth + 1;
        match ty {
            Type::Bool => json!(self.below(2) == 0),
            Type::U8 => json!(self.below(256)),
            Type::S32 | Type::U32 => json!(self.below(1 << 31)),
            Type::S64 => match self.below(2) {
                0 => json!(-(self.below(1 << 53) as i64)),
                _ => json!((i64::MIN + self.below(1 << 60) as i64).to_string()),
            },
            Type::Float64 => json!(self.below(1 << 40) as f64 / 8.0),
            Type::Char => json!(char::from(self.below(128) as u8).to_string()),
            Type::String => json!(
                self.list(0, |random| char::from(random.below(256) as u8))
                    .into_iter()
                    .collect::<String>()
            ),
            Type::List(list) if list.ty() == Type::U8 => {
                use base64::Engine as _;
                let bytes = self.list(0, |random| random.below(256) as u8);
                json!(base64::engine::general_purpose::STANDARD.encode(bytes))
            }
            Type::List(list) => json!(self.list(depth, |random| random.value(&list.ty(), within))),
            Type::Tuple(tuple) => tuple.types().map(|ty| self.value(&ty, within)).collect(),
            Type::Record(record) => {
                let fields = record.fields();
                let fields =
                    fields.map(|field| (field.name.to_owned(), self.value(&field.ty, within)));
                Value::Object(fields.collect())
            }
            Type::Enum(names) => {
                let names: Vec<&str> = names.names().collect();
                json!(names[self.below(names.len() as u64) as usize])
            }
            Type::Flags(flags) => flags
                .names()
                .filter(|_| self.below(2) == 0)
                .map(Value::from)
                .collect(),
            Type::Variant(variant) => {
                let cases = variant.cases().map(|case| (case.name, case.ty));
                self.case(cases.collect(), within)
            }
            Type::Result(result) => {
                self.case(vec![("ok", result.ok()), ("err", result.err())], within)
            }
            Type::Option(_) if self.below(3) == 0 => Value::Null,
            Type::Option(option) => match option.ty() {
                inner @ Type::Option(_) => json!({ "some": self.value(&inner, within) }),
                inner => self.value(&inner, within),
            },
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_schema_says_what_is_required_and_nothing_else_is_taken() {
    let function = echo(SHAPES, "item");
    let text = Value::from(function.describe(None).input_schema);
    let schema: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
    assert_eq!(
        schema,
        json!({
            "type": "object",
            "properties": { "x": {
                "type": "object",
                "properties": {
                    "name": { "type": "string" },
                    "size": { "anyOf": [
                        { "type": "integer", "minimum": 0, "maximum": 4_294_967_295_u32 },
                        { "type": "null" },
                    ]},
                },
                "required": ["name"],
                "additionalProperties": false,
            }},
            "required": ["x"],
            "additionalProperties": false,
        })
    );
    assert_eq!(
        schema_of(SHAPES, "place"),
        json!({ "anyOf": [
            { "enum": ["nowhere"] },
            {
                "type": "object",
                "properties": { "at": {
                    "type": "array",
                    "prefixItems": [
                        { "type": "integer", "minimum": i32::MIN, "maximum": i32::MAX },
                        { "type": "integer", "minimum": i32::MIN, "maximum": i32::MAX },
                    ],
                    "items": false,
                    "minItems": 2,
                    "maxItems": 2,
                }},
                "required": ["at"],
                "additionalProperties": false,
            },
            {
                "type": "object",
                "properties": { "named": schema_of(SHAPES, "item") },
                "required": ["named"],
                "additionalProperties": false,
            },
        ]})
    );
}

#[test]
fn an_err_is_an_error_for_the_model_and_an_ok_is_the_value() {
    let function = echo("", "result<list<string>, string>");
    let ty = function.result.as_ref();
    let said = |value: Val| {
        let mut output = answer::output(Some(&value), ty, 1000).unwrap();
        let text = match output.content.remove(0) {
            Content::Json(text) | Content::Text(text) => text,
            other => panic!("{other:?}"),
        };
        (output.is_error, text)
    };
    let text = |text: &str| Box::new(Val::String(text.to_owned()));
    let list = Val::List(vec![*text("a"), *text("b")]);
    assert_eq!(
        said(Val::Result(Ok(Some(Box::new(list))))),
        (false, r#"["a","b"]"#.to_owned())
    );
    assert_eq!(
        said(Val::Result(Err(Some(text("no file `a`"))))),
        (true, "no file `a`".to_owned())
    );
    let bare = echo("", "result");
    let bare =
        |value| answer::output(Some(&Val::Result(value)), bare.result.as_ref(), 1000).unwrap();
    assert!(matches!(&bare(Ok(None)).content[0], Content::Text(text) if text == "done"));
    assert!(bare(Err(None)).is_error);
    assert!(!answer::output(None, None, 1000).unwrap().is_error);
}

#[test]
fn an_answer_is_not_written_beyond_its_limit() {
    let function = echo(
        "record long { a-rather-long-name-of-a-field: bool }",
        "list<long>",
    );
    let one = Val::Record(vec![(
        "a-rather-long-name-of-a-field".to_owned(),
        Val::Bool(true),
    )]);
    let many = Val::List(vec![one; 1000]);
    let fault = answer::output(Some(&many), function.result.as_ref(), 10_000).unwrap_err();
    assert!(
        matches!(fault, FaultCause::Output { limit: 10_000, size } if size < 10_100),
        "{fault:?}"
    );
}

#[test]
fn a_short_text_does_not_become_more_values_than_are_allowed() {
    let fields: Vec<String> = (0..150)
        .map(|n| format!("field{n}: option<bool>"))
        .collect();
    let wide = echo(
        &format!("record wide {{ {} }}", fields.join(", ")),
        "list<wide>",
    );
    let list = |count: usize| json!({ "x": vec![json!({}); count] });
    assert!(arguments::values(&wide.parameters, &list(600)).is_ok());
    let error = arguments::values(&wide.parameters, &list(700)).unwrap_err();
    assert!(
        error.starts_with("`x[662].") && error.contains("at most 100000 values"),
        "{error}"
    );
    let long = format!("{{\"x\": \"{}\"}}", "A".repeat(MAX_ARGUMENTS));
    assert!(
        read(&echo("", "string"), &long)
            .unwrap_err()
            .contains("at most 2097152")
    );
}

fn tools(functions: &Functions) -> Vec<&str> {
    functions
        .tools
        .iter()
        .map(|tool| tool.tool.as_str())
        .collect()
}

fn hidden(functions: &Functions) -> Vec<(&str, &str)> {
    let hidden = functions.hidden.iter();
    hidden
        .map(|one| (one.name.as_str(), one.why.as_str()))
        .collect()
}

#[test]
fn functions_at_the_root_and_in_interfaces_are_tools_under_names_for_models() {
    let found = functions(
        "package local:test@1.2.0;
        interface clock { now: func() -> u64; time-zone: func() -> string; }
        interface calendar { now: func() -> string; }
        world test { export read-file: func(path: string) -> result<string, string>; export clock; export calendar; }",
    );
    let mut names = tools(&found);
    names.sort_unstable();
    assert_eq!(
        names,
        ["calendar_now", "clock_now", "read_file", "time_zone"]
    );
    assert!(found.hidden.is_empty());
}

#[test]
fn functions_that_json_cannot_reach_and_leftovers_are_hidden_with_the_reason() {
    let found = functions(
        "package local:test;
        interface things { resource thing { get: func() -> string; } make: func() -> thing; count: func() -> u32; }
        world test { export things; export init: func(); }",
    );
    assert_eq!(tools(&found), ["count"]);
    let mut hidden = hidden(&found);
    hidden.sort_unstable();
    assert_eq!(
        hidden,
        [
            ("init", "made by a tool chain for its own use"),
            (
                "local:test/things#[method]thing.get",
                "takes or returns a resource"
            ),
            ("local:test/things#make", "takes or returns a resource"),
        ]
    );
}

#[test]
fn an_init_that_takes_something_is_a_tool() {
    let found = functions(
        "package local:test; world test { export init: func(folder: string) -> string; }",
    );
    assert_eq!(tools(&found), ["init"]);
}

#[test]
fn names_that_are_too_long_or_types_without_end_are_hidden() {
    let deep = format!("{}u8{}", "list<".repeat(20), ">".repeat(20));
    let long = vec!["long"; 20].join("-");
    let wide: Vec<String> = (0..1100).map(|n| format!("c{n}")).collect();
    let found = functions(&format!(
        "package local:test; interface types {{ enum wide {{ {} }} }}
        world test {{ use types.{{wide}}; export deep: func(x: {deep}); export {long}: func(); export wide-one: func(x: wide); export fine: func(); }}",
        wide.join(", ")
    ));
    assert_eq!(tools(&found), ["fine"]);
    let why: Vec<&str> = hidden(&found).into_iter().map(|(_, why)| why).collect();
    assert!(
        why.contains(&"nests its types more than 16 deep"),
        "{why:?}"
    );
    assert!(
        why.contains(&"its name has more than 64 characters"),
        "{why:?}"
    );
    assert!(
        why.contains(&"has more than 1000 types and names"),
        "{why:?}"
    );
}

#[test]
fn words_of_the_author_come_before_the_signature() {
    let wit = "package local:test;
        interface clock { now: func(zone: option<string>) -> result<u64, string>; }
        world test { export read: func(path: string) -> string; export clock; }";
    let found = functions(wit);
    let about = |docs: &Docs| -> Vec<String> {
        let tools = found.tools.iter();
        tools
            .map(|tool| tool.describe(docs.of(&tool.path)).description)
            .collect()
    };
    let bare = about(&Docs::default());
    assert!(
        bare.iter()
            .any(|text| text.ends_with("`read: func(path: string) -> string`")),
        "{bare:?}"
    );

    let json = json!({
        "worlds": { "test": { "func_exports": { "read": { "docs": " Reads a file.\n" } } } },
        "interfaces": { "clock": { "funcs": { "now": "Tells the time." } } },
    });
    let docs = Docs::read(&with_docs(bytes(wit), &json.to_string()));
    let mut said = about(&docs);
    said.sort_unstable();
    assert_eq!(
        said,
        [
            "Reads a file.\n\nSignature: `read: func(path: string) -> string`",
            "Tells the time.\n\nSignature: `now: func(zone: option<string>) -> result<u64, string>`",
        ]
    );
    for damaged in ["", "{", "[]", "null", r#"{"worlds": 3}"#] {
        let docs = Docs::read(&with_docs(bytes(wit), damaged));
        assert_eq!(about(&docs), bare);
    }
}

/// The section as WIT tools write it today: version 1.
fn with_docs(mut component: Vec<u8>, json: &str) -> Vec<u8> {
    let name = "package-docs";
    let content = [&[name.len() as u8], name.as_bytes(), &[1], json.as_bytes()].concat();
    let size = content.len();
    component.extend([0, (size & 0x7f) as u8 | 0x80, (size >> 7) as u8]);
    component.extend(content);
    component
}

#[test]
fn a_component_of_our_interfaces_or_of_wasi_alone_is_not_foreign() {
    let engine = Engine::default();
    for (wit, foreign) in [
        (
            "package ml-intern:plugin@0.2.0; interface tool { f: func(); } world test { export tool; export g: func(); }",
            false,
        ),
        (
            "package wasi:cli@0.2.0; interface run { run: func() -> result; } world test { export run; }",
            false,
        ),
        (
            "package wasi:cli@0.2.0; interface run { run: func() -> result; } world test { export run; export g: func(); }",
            true,
        ),
    ] {
        let component = Component::new(&engine, bytes(wit)).unwrap();
        assert_eq!(is_foreign(&engine, &component), foreign, "{wit}");
    }
}
