//! JSON Schemas and signatures from the types of WIT.

use serde_json::{Map, Value, json};
use wasmtime::component::Type;

/// Types within types. Those of real functions nest three or four deep; the values of deeper ones
/// would be hard on every model that has to write them.
const MAX_DEPTH: usize = 16;
/// Types and names of one function together: types can be shared, so that a short component describes
/// a schema without end, and every value of an enum is looked up among its names.
const MAX_TYPES: usize = 1000;
/// Bytes of the names in one function's types together; the schema has at most 64 KiB.
const MAX_NAMES: usize = 16 << 10;
/// Bytes of a signature in a description.
const MAX_SIGNATURE: usize = 1000;

/// The largest integer that every reader of JSON takes exactly.
pub(super) const EXACT: u64 = (1 << 53) - 1;

/// Whether values of these types can be written as JSON, within bounds.
///
/// # Errors
/// Why not, in words.
pub(super) fn check<'a>(types: impl Iterator<Item = &'a Type>) -> Result<(), String> {
    let mut bounds = Bounds { types: 0, names: 0 };
    for ty in types {
        bounds.check(ty, 0)?;
    }
    Ok(())
}

struct Bounds {
    types: usize,
    names: usize,
}

impl Bounds {
    fn check(&mut self, ty: &Type, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("nests its types more than {MAX_DEPTH} deep"));
        }
        self.count()?;
        let within = depth + 1;
        match ty {
            Type::Own(_) | Type::Borrow(_) => Err("takes or returns a resource".to_owned()),
            Type::Future(_) => Err("takes or returns a future".to_owned()),
            Type::Stream(_) => Err("takes or returns a stream".to_owned()),
            Type::ErrorContext => Err("takes or returns an error context".to_owned()),
            Type::Map(_) => Err("takes or returns a map".to_owned()),
            Type::List(list) => self.check(&list.ty(), within),
            Type::FixedLengthList(list) => self.check(&list.ty(), within),
            Type::Option(option) => self.check(&option.ty(), within),
            Type::Tuple(tuple) => tuple.types().try_for_each(|ty| self.check(&ty, within)),
            Type::Record(record) => record.fields().try_for_each(|field| {
                self.name(field.name)?;
                self.check(&field.ty, within)
            }),
            Type::Variant(variant) => variant.cases().try_for_each(|case| {
                self.name(case.name)?;
                case.ty.map_or(Ok(()), |ty| self.check(&ty, within))
            }),
            Type::Result(result) => [result.ok(), result.err()]
                .into_iter()
                .flatten()
                .try_for_each(|ty| self.check(&ty, within)),
            Type::Enum(names) => names.names().try_for_each(|name| self.name(name)),
            Type::Flags(names) => names.names().try_for_each(|name| self.name(name)),
            Type::Bool
            | Type::S8
            | Type::U8
            | Type::S16
            | Type::U16
            | Type::S32
            | Type::U32
            | Type::S64
            | Type::U64
            | Type::Float32
            | Type::Float64
            | Type::Char
            | Type::String => Ok(()),
        }
    }

    fn count(&mut self) -> Result<(), String> {
        self.types += 1;
        match self.types > MAX_TYPES {
            true => Err(format!("has more than {MAX_TYPES} types and names")),
            false => Ok(()),
        }
    }

    fn name(&mut self, name: &str) -> Result<(), String> {
        self.count()?;
        self.names += name.len();
        match self.names > MAX_NAMES {
            true => Err(format!("names more than {MAX_NAMES} bytes in its types")),
            false => Ok(()),
        }
    }
}

/// The schema of a tool's arguments.
pub(super) fn of_parameters(parameters: &[(String, Type)]) -> Value {
    object(
        parameters
            .iter()
            .map(|(name, ty)| (name.as_str(), ty.clone())),
    )
}

/// The schema of a tool's JSON; none where it answers with text or with nothing.
pub(super) fn of_result(result: &Option<Type>) -> Option<Value> {
    let ty = match result {
        Some(Type::Result(result)) => result.ok()?,
        Some(ty) => ty.clone(),
        None => return None,
    };
    match ty {
        Type::String => None,
        ty => Some(of(&ty)),
    }
}

/// A record, or the parameters of a function: in order, those that are options not required.
fn object<'a>(fields: impl Iterator<Item = (&'a str, Type)>) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (name, ty) in fields {
        if !matches!(ty, Type::Option(_)) {
            required.push(Value::from(name));
        }
        properties.insert(name.to_owned(), of(&ty));
    }
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn of(ty: &Type) -> Value {
    match ty {
        Type::Bool => json!({ "type": "boolean" }),
        Type::S8 => integer(i8::MIN.into(), i8::MAX.into()),
        Type::U8 => integer(0, u8::MAX.into()),
        Type::S16 => integer(i16::MIN.into(), i16::MAX.into()),
        Type::U16 => integer(0, u16::MAX.into()),
        Type::S32 => integer(i32::MIN.into(), i32::MAX.into()),
        Type::U32 => integer(0, u32::MAX.into()),
        Type::S64 => wide(json!(i64::MIN), json!(i64::MAX), "^-?[0-9]{1,19}$"),
        Type::U64 => wide(json!(0), json!(u64::MAX), "^[0-9]{1,20}$"),
        Type::Float32 | Type::Float64 => json!({ "type": "number" }),
        Type::Char => json!({ "type": "string", "minLength": 1, "maxLength": 1 }),
        Type::String => json!({ "type": "string" }),
        Type::List(list) if list.ty() == Type::U8 => {
            json!({ "type": "string", "contentEncoding": "base64", "description": "Bytes, as base64." })
        }
        Type::List(list) => json!({ "type": "array", "items": of(&list.ty()) }),
        Type::FixedLengthList(list) => json!({
            "type": "array", "items": of(&list.ty()), "minItems": list.len(), "maxItems": list.len(),
        }),
        Type::Record(record) => object(record.fields().map(|field| (field.name, field.ty))),
        Type::Tuple(tuple) => {
            let items: Vec<Value> = tuple.types().map(|ty| of(&ty)).collect();
            let count = items.len();
            json!({ "type": "array", "prefixItems": items, "items": false, "minItems": count, "maxItems": count })
        }
        Type::Variant(variant) => cases(variant.cases().map(|case| (case.name, case.ty))),
        Type::Result(result) => cases([("ok", result.ok()), ("err", result.err())].into_iter()),
        Type::Enum(names) => json!({ "enum": names.names().collect::<Vec<_>>() }),
        Type::Flags(flags) => json!({
            "type": "array",
            "items": { "enum": flags.names().collect::<Vec<_>>() },
            "uniqueItems": true,
        }),
        Type::Option(option) => json!({ "anyOf": [some(&option.ty()), { "type": "null" }] }),
        // No function with one of these is a tool, see `check`.
        Type::Own(_)
        | Type::Borrow(_)
        | Type::Future(_)
        | Type::Stream(_)
        | Type::ErrorContext
        | Type::Map(_) => Value::Bool(false),
    }
}

/// `null` says that there is nothing, so an option within an option is wrapped.
fn some(ty: &Type) -> Value {
    match ty {
        Type::Option(_) => json!({
            "type": "object",
            "properties": { "some": of(ty) },
            "required": ["some"],
            "additionalProperties": false,
        }),
        ty => of(ty),
    }
}

fn integer(minimum: i64, maximum: i64) -> Value {
    json!({ "type": "integer", "minimum": minimum, "maximum": maximum })
}

/// 64 bits: also as digits in a string, for writers whose numbers are exact to 2^53 only.
fn wide(minimum: Value, maximum: Value, pattern: &str) -> Value {
    json!({
        "type": ["integer", "string"],
        "minimum": minimum,
        "maximum": maximum,
        "pattern": pattern,
        "description": "Beyond 2^53 as a string of digits.",
    })
}

/// `"case"` without payload, `{"case": payload}` with one.
fn cases<'a>(cases: impl Iterator<Item = (&'a str, Option<Type>)>) -> Value {
    let (mut plain, mut any) = (Vec::new(), Vec::new());
    for (name, ty) in cases {
        let Some(ty) = ty else {
            plain.push(name);
            continue;
        };
        let mut properties = Map::new();
        properties.insert(name.to_owned(), of(&ty));
        any.push(json!({
            "type": "object",
            "properties": properties,
            "required": [name],
            "additionalProperties": false,
        }));
    }
    if !plain.is_empty() {
        any.insert(0, json!({ "enum": plain }));
    }
    json!({ "anyOf": any })
}

/// A function as WIT would write it, with the types written out.
pub(super) fn signature(
    name: &str,
    parameters: &[(String, Type)],
    result: &Option<Type>,
) -> String {
    let mut text = format!("{name}: func(");
    for (at, (name, ty)) in parameters.iter().enumerate() {
        if at > 0 {
            text.push_str(", ");
        }
        text.push_str(&format!("{name}: {}", words(ty)));
    }
    text.push(')');
    if let Some(ty) = result {
        text.push_str(&format!(" -> {}", words(ty)));
    }
    super::functions::cut(&text, MAX_SIGNATURE)
}

fn words(ty: &Type) -> String {
    let list = |items: Vec<String>| items.join(", ");
    let or_none = |ty: Option<Type>| ty.map_or_else(|| "_".to_owned(), |ty| words(&ty));
    match ty {
        Type::Bool => "bool".to_owned(),
        Type::S8 => "s8".to_owned(),
        Type::U8 => "u8".to_owned(),
        Type::S16 => "s16".to_owned(),
        Type::U16 => "u16".to_owned(),
        Type::S32 => "s32".to_owned(),
        Type::U32 => "u32".to_owned(),
        Type::S64 => "s64".to_owned(),
        Type::U64 => "u64".to_owned(),
        Type::Float32 => "f32".to_owned(),
        Type::Float64 => "f64".to_owned(),
        Type::Char => "char".to_owned(),
        Type::String => "string".to_owned(),
        Type::List(of) => format!("list<{}>", words(&of.ty())),
        Type::FixedLengthList(of) => format!("list<{}, {}>", words(&of.ty()), of.len()),
        Type::Option(of) => format!("option<{}>", words(&of.ty())),
        Type::Tuple(of) => format!("tuple<{}>", list(of.types().map(|ty| words(&ty)).collect())),
        Type::Record(record) => {
            let fields = record.fields();
            let fields = fields.map(|field| format!("{}: {}", field.name, words(&field.ty)));
            format!("record {{ {} }}", list(fields.collect()))
        }
        Type::Variant(variant) => {
            let cases = variant.cases().map(|case| match case.ty {
                Some(ty) => format!("{}({})", case.name, words(&ty)),
                None => case.name.to_owned(),
            });
            format!("variant {{ {} }}", list(cases.collect()))
        }
        Type::Enum(of) => format!("enum {{ {} }}", of.names().collect::<Vec<_>>().join(", ")),
        Type::Flags(of) => format!("flags {{ {} }}", of.names().collect::<Vec<_>>().join(", ")),
        Type::Result(result) => match (result.ok(), result.err()) {
            (None, None) => "result".to_owned(),
            (ok, None) => format!("result<{}>", or_none(ok)),
            (ok, err) => format!("result<{}, {}>", or_none(ok), or_none(err)),
        },
        Type::Own(_) | Type::Borrow(_) => "resource".to_owned(),
        Type::Future(_) => "future".to_owned(),
        Type::Stream(_) => "stream".to_owned(),
        Type::ErrorContext => "error-context".to_owned(),
        Type::Map(_) => "map".to_owned(),
    }
}
