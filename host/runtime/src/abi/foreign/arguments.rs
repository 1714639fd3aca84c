//! From JSON to the values of WIT. The schema was checked before; what it cannot say is refused here.

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{alphabet, engine::DecodePaddingMode};
use serde_json::{Map, Value};
use wasmtime::component::{Type, Val};

/// Models forget the padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What is wrong, and where.
struct Wrong {
    path: String,
    text: String,
}

impl Wrong {
    fn expected(what: impl Into<String>) -> Self {
        Self {
            path: String::new(),
            text: format!("expected {}", what.into()),
        }
    }

    fn within(mut self, part: &str) -> Self {
        let dot = match self.path.is_empty() || self.path.starts_with('[') {
            true => "",
            false => ".",
        };
        self.path = format!("{part}{dot}{}", self.path);
        self
    }
}

type Read<T> = Result<T, Wrong>;

/// Values of one call together, bytes aside. A record costs the host all of its fields, also those
/// that the text leaves out, so that a bound on the text alone bounds nothing.
const MAX_VALUES: usize = 100_000;

/// Counts what it reads.
struct Reader {
    left: usize,
}

/// The arguments of a function, in its order.
///
/// # Errors
/// What does not fit, in words.
pub(super) fn values(parameters: &[(String, Type)], arguments: &Value) -> Result<Vec<Val>, String> {
    let fields = parameters
        .iter()
        .map(|(name, ty)| (name.as_str(), ty.clone()));
    let mut reader = Reader { left: MAX_VALUES };
    match reader.object(fields, arguments) {
        Ok(fields) => Ok(fields.into_iter().map(|(_, value)| value).collect()),
        Err(wrong) if wrong.path.is_empty() => Err(wrong.text),
        Err(wrong) => Err(format!("`{}`: {}", wrong.path, wrong.text)),
    }
}

impl Reader {
    /// Fields in the order of the type; an option that is not there is none.
    fn object<'a>(
        &mut self,
        fields: impl Iterator<Item = (&'a str, Type)>,
        json: &Value,
    ) -> Read<Vec<(String, Val)>> {
        let Value::Object(given) = json else {
            return Err(Wrong::expected("an object"));
        };
        let (mut values, mut used) = (Vec::new(), 0);
        for (name, ty) in fields {
            self.count().map_err(|wrong| wrong.within(name))?;
            let value = match given.get(name) {
                Some(json) => {
                    used += 1;
                    self.value(json, &ty).map_err(|wrong| wrong.within(name))?
                }
                None if matches!(ty, Type::Option(_)) => Val::Option(None),
                None => return Err(Wrong::expected("a value, which is missing").within(name)),
            };
            values.push((name.to_owned(), value));
        }
        if used < given.len() {
            let known = |name: &str| values.iter().any(|(own, _)| own == name);
            let unknown = given.keys().find(|name| !known(name));
            let unknown = unknown.map_or("", String::as_str);
            return Err(Wrong::expected("nothing: there is no such field").within(unknown));
        }
        Ok(values)
    }

    fn count(&mut self) -> Read<()> {
        let left = self.left.checked_sub(1);
        self.left = left.ok_or_else(|| Wrong::expected(format!("at most {MAX_VALUES} values")))?;
        Ok(())
    }

    fn value(&mut self, json: &Value, ty: &Type) -> Read<Val> {
        Ok(match ty {
            Type::Bool => Val::Bool(
                json.as_bool()
                    .ok_or_else(|| Wrong::expected("true or false"))?,
            ),
            Type::S8 => Val::S8(integer(json)?),
            Type::U8 => Val::U8(integer(json)?),
            Type::S16 => Val::S16(integer(json)?),
            Type::U16 => Val::U16(integer(json)?),
            Type::S32 => Val::S32(integer(json)?),
            Type::U32 => Val::U32(integer(json)?),
            Type::S64 => Val::S64(integer(json)?),
            Type::U64 => Val::U64(integer(json)?),
            Type::Float32 => Val::Float32(single(number(json)?)?),
            Type::Float64 => Val::Float64(number(json)?),
            Type::Char => Val::Char(character(json)?),
            Type::String => Val::String(text(json, "a string")?.to_owned()),
            Type::List(list) if list.ty() == Type::U8 => bytes(json)?,
            Type::List(list) => Val::List(self.items(json, &list.ty())?),
            Type::FixedLengthList(list) => {
                let items = self.items(json, &list.ty())?;
                if items.len() != list.len() as usize {
                    return Err(Wrong::expected(format!("{} items", list.len())));
                }
                Val::FixedLengthList(items)
            }
            Type::Record(record) => {
                let fields = record.fields().map(|field| (field.name, field.ty));
                Val::Record(self.object(fields, json)?)
            }
            Type::Tuple(tuple) => Val::Tuple(self.positions(tuple.types(), json)?),
            Type::Variant(variant) => {
                let (name, payload) =
                    self.case(variant.cases().map(|case| (case.name, case.ty)), json)?;
                Val::Variant(name, payload)
            }
            Type::Result(result) => {
                let (name, payload) = self.case(
                    [("ok", result.ok()), ("err", result.err())].into_iter(),
                    json,
                )?;
                Val::Result(match name.as_str() {
                    "ok" => Ok(payload),
                    _ => Err(payload),
                })
            }
            Type::Enum(names) => Val::Enum(one_of(names.names(), json)?),
            Type::Flags(flags) => {
                let Value::Array(given) = json else {
                    return Err(Wrong::expected("a list of names"));
                };
                let mut set: Vec<String> = Vec::new();
                for name in given {
                    let name = one_of(flags.names(), name)?;
                    if !set.contains(&name) {
                        set.push(name);
                    }
                }
                Val::Flags(set)
            }
            Type::Option(_) if json.is_null() => Val::Option(None),
            Type::Option(option) => {
                let inner = option.ty();
                let value = match (&inner, json) {
                    (Type::Option(_), Value::Object(given)) => match single_entry(given) {
                        Some(("some", json)) => self.value(json, &inner)?,
                        _ => return Err(Wrong::expected("null, or an object with `some`")),
                    },
                    (Type::Option(_), _) => {
                        return Err(Wrong::expected("null, or an object with `some`"));
                    }
                    _ => self.value(json, &inner)?,
                };
                Val::Option(Some(Box::new(value)))
            }
            Type::Own(_)
            | Type::Borrow(_)
            | Type::Future(_)
            | Type::Stream(_)
            | Type::ErrorContext
            | Type::Map(_) => return Err(Wrong::expected("nothing that JSON could say")),
        })
    }

    fn items(&mut self, json: &Value, ty: &Type) -> Read<Vec<Val>> {
        let Value::Array(items) = json else {
            return Err(Wrong::expected("a list"));
        };
        let numbered = items.iter().enumerate();
        let read = |(at, json)| {
            let value = self.count().and_then(|()| self.value(json, ty));
            value.map_err(|wrong| wrong.within(&format!("[{at}]")))
        };
        numbered.map(read).collect()
    }

    fn positions(
        &mut self,
        types: impl ExactSizeIterator<Item = Type>,
        json: &Value,
    ) -> Read<Vec<Val>> {
        let expected = types.len();
        let items = json.as_array().filter(|items| items.len() == expected);
        let items = items.ok_or_else(|| Wrong::expected(format!("a list of {expected} items")))?;
        let pairs = types.zip(items).enumerate();
        let read = |(at, (ty, json)): (usize, (Type, &Value))| {
            self.value(json, &ty)
                .map_err(|wrong| wrong.within(&format!("[{at}]")))
        };
        pairs.map(read).collect()
    }

    fn case<'a>(
        &mut self,
        cases: impl Iterator<Item = (&'a str, Option<Type>)>,
        json: &Value,
    ) -> Read<Case> {
        let cases: Vec<(&str, Option<Type>)> = cases.collect();
        let given = match json {
            Value::String(name) => Some((name.as_str(), &Value::Null)),
            Value::Object(given) => single_entry(given),
            _ => None,
        };
        let found = given.and_then(|(name, json)| {
            let case = cases.iter().find(|(own, _)| *own == name);
            case.map(|(name, ty)| (*name, ty, json))
        });
        match found {
            // `{"case": null}` says the same as `"case"`.
            Some((name, None, Value::Null)) => Ok((name.to_owned(), None)),
            Some((name, Some(ty), payload)) if json.is_object() => {
                let payload = self
                    .value(payload, ty)
                    .map_err(|wrong| wrong.within(name))?;
                Ok((name.to_owned(), Some(Box::new(payload))))
            }
            _ => {
                let shapes = cases.iter().map(|(name, ty)| match ty {
                    Some(_) => format!("{{\"{name}\": …}}"),
                    None => format!("\"{name}\""),
                });
                let shapes = shapes.collect::<Vec<_>>().join(", ");
                Err(Wrong::expected(format!("one of {shapes}")))
            }
        }
    }
}

/// An integer, also as digits in a string and as a float without fraction.
fn integer<T: TryFrom<i128> + std::fmt::Display + Bounded>(json: &Value) -> Read<T> {
    let wide = match json {
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(value), _, _) => Some(i128::from(value)),
            (_, Some(value), _) => Some(i128::from(value)),
            // Beyond 2^53 a float does not say which integer it stands for.
            (_, _, Some(value))
                if value.fract() == 0.0 && value.abs() <= super::schema::EXACT as f64 =>
            {
                Some(value as i128)
            }
            _ => None,
        },
        Value::String(digits) if digits.len() <= 20 => digits.parse().ok(),
        _ => None,
    };
    wide.and_then(|value| T::try_from(value).ok())
        .ok_or_else(|| Wrong::expected(format!("an integer from {} to {}", T::LEAST, T::MOST)))
}

/// The bounds of an integer type, for messages.
trait Bounded: Sized {
    const LEAST: Self;
    const MOST: Self;
}

macro_rules! bounded {
    ($($integer:ty),*) => {
        $(impl Bounded for $integer {
            const LEAST: Self = Self::MIN;
            const MOST: Self = Self::MAX;
        })*
    };
}

bounded!(i8, u8, i16, u16, i32, u32, i64, u64);

fn number(json: &Value) -> Read<f64> {
    let number = json.as_f64().filter(|number| number.is_finite());
    number.ok_or_else(|| Wrong::expected("a finite number"))
}

/// The nearest 32-bit float; one that would become infinite is refused.
fn single(number: f64) -> Read<f32> {
    let single = number as f32;
    match single.is_finite() {
        true => Ok(single),
        false => Err(Wrong::expected("a number that fits into 32 bits")),
    }
}

fn text<'a>(json: &'a Value, what: &str) -> Read<&'a str> {
    json.as_str().ok_or_else(|| Wrong::expected(what))
}

fn character(json: &Value) -> Read<char> {
    let mut characters = text(json, "one character")?.chars();
    match (characters.next(), characters.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(Wrong::expected("one character")),
    }
}

fn bytes(json: &Value) -> Read<Val> {
    let encoded = text(json, "bytes as base64")?;
    let bytes = BASE64.decode(encoded);
    let bytes = bytes.map_err(|_| Wrong::expected("bytes as base64, of the usual alphabet"))?;
    Ok(Val::List(bytes.into_iter().map(Val::U8).collect()))
}

fn one_of<'a>(names: impl Iterator<Item = &'a str>, json: &Value) -> Read<String> {
    let names: Vec<&str> = names.collect();
    match json.as_str() {
        Some(name) if names.contains(&name) => Ok(name.to_owned()),
        _ => Err(Wrong::expected(format!("one of {}", names.join(", ")))),
    }
}

type Case = (String, Option<Box<Val>>);

fn single_entry(given: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut entries = given.iter();
    match (entries.next(), entries.next()) {
        (Some((name, json)), None) => Some((name.as_str(), json)),
        _ => None,
    }
}
