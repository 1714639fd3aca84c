//! From the values of WIT to what the model reads. Numbers that JSON does not have (NaN and the
//! infinities) and integers beyond 2^53 are strings.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use wasmtime::component::{Type, Val};

use super::schema::EXACT;
use crate::fault::FaultCause;
use crate::tool::{Content, Output};

/// What stands for a result without a value.
const DONE: &str = "done";
const FAILED: &str = "failed";

/// The result of a function: a string as text, everything else as JSON. A result's `err` is an error
/// that the model may correct.
pub(super) fn output(
    value: Option<&Val>,
    ty: Option<&Type>,
    limit: u64,
) -> Result<Output, FaultCause> {
    let (value, ty, is_error) = match (value, ty) {
        (Some(Val::Result(Ok(value))), Some(Type::Result(ty))) => {
            (value.as_deref(), ty.ok(), false)
        }
        (Some(Val::Result(Err(value))), Some(Type::Result(ty))) => {
            (value.as_deref(), ty.err(), true)
        }
        (value, ty) => (value, ty.cloned(), false),
    };
    let content = match (value, &ty) {
        (None, _) | (_, None) if is_error => Content::Text(FAILED.to_owned()),
        (None, _) | (_, None) => Content::Text(DONE.to_owned()),
        (Some(Val::String(text)), _) => Content::Text(text.clone()),
        (Some(value), Some(ty)) => {
            let mut writer = Writer {
                text: String::new(),
                limit: usize::try_from(limit).unwrap_or(usize::MAX),
            };
            writer.value(value, ty)?;
            Content::Json(writer.text)
        }
    };
    Ok(Output {
        content: vec![content],
        is_error,
    })
}

/// Writes JSON, up to a limit: names of fields are repeated for every record of a list, so that the
/// text can be much longer than what the guest made.
struct Writer {
    text: String,
    limit: usize,
}

type Written = Result<(), FaultCause>;

impl Writer {
    fn push(&mut self, text: &str) -> Written {
        let size = self.text.len() + text.len();
        if size > self.limit {
            return Err(FaultCause::Output {
                limit: self.limit as u64,
                size: size as u64,
            });
        }
        self.text.push_str(text);
        Ok(())
    }

    fn string(&mut self, text: &str) -> Written {
        // Escaping only makes it longer.
        if text.len() > self.limit {
            return self.push(text);
        }
        self.push(&serde_json::Value::from(text).to_string())
    }

    fn value(&mut self, value: &Val, ty: &Type) -> Written {
        match (value, ty) {
            (Val::Bool(value), _) => self.push(&value.to_string()),
            (Val::S8(value), _) => self.push(&value.to_string()),
            (Val::U8(value), _) => self.push(&value.to_string()),
            (Val::S16(value), _) => self.push(&value.to_string()),
            (Val::U16(value), _) => self.push(&value.to_string()),
            (Val::S32(value), _) => self.push(&value.to_string()),
            (Val::U32(value), _) => self.push(&value.to_string()),
            (Val::S64(value), _) => self.wide(value.unsigned_abs(), &value.to_string()),
            (Val::U64(value), _) => self.wide(*value, &value.to_string()),
            (Val::Float32(value), _) => {
                self.number(f64::from(*value), serde_json::to_string(value))
            }
            (Val::Float64(value), _) => self.number(*value, serde_json::to_string(value)),
            (Val::Char(value), _) => self.string(&value.to_string()),
            (Val::String(value) | Val::Enum(value), _) => self.string(value),
            (Val::List(items), Type::List(list)) if list.ty() == Type::U8 => self.bytes(items),
            (Val::List(items), Type::List(list)) => {
                let ty = list.ty();
                self.items(items.iter().map(|item| (item, &ty)))
            }
            (Val::FixedLengthList(items), Type::FixedLengthList(list)) => {
                let ty = list.ty();
                self.items(items.iter().map(|item| (item, &ty)))
            }
            (Val::Tuple(items), Type::Tuple(tuple)) => {
                let types: Vec<Type> = tuple.types().collect();
                self.items(items.iter().zip(&types))
            }
            (Val::Record(fields), Type::Record(record)) => {
                self.push("{")?;
                for (at, ((name, value), field)) in fields.iter().zip(record.fields()).enumerate() {
                    if at > 0 {
                        self.push(",")?;
                    }
                    self.string(name)?;
                    self.push(":")?;
                    self.value(value, &field.ty)?;
                }
                self.push("}")
            }
            (Val::Variant(name, payload), Type::Variant(variant)) => {
                let mut cases = variant.cases();
                let ty = cases
                    .find(|case| case.name == name)
                    .and_then(|case| case.ty);
                self.case(name, payload.as_deref(), ty)
            }
            (Val::Result(Ok(payload)), Type::Result(result)) => {
                self.case("ok", payload.as_deref(), result.ok())
            }
            (Val::Result(Err(payload)), Type::Result(result)) => {
                self.case("err", payload.as_deref(), result.err())
            }
            (Val::Flags(names), _) => {
                self.push("[")?;
                for (at, name) in names.iter().enumerate() {
                    if at > 0 {
                        self.push(",")?;
                    }
                    self.string(name)?;
                }
                self.push("]")
            }
            (Val::Option(None), _) => self.push("null"),
            (Val::Option(Some(value)), Type::Option(option)) => {
                let ty = option.ty();
                match &ty {
                    Type::Option(_) => {
                        self.push("{\"some\":")?;
                        self.value(value, &ty)?;
                        self.push("}")
                    }
                    ty => self.value(value, ty),
                }
            }
            // wasmtime makes values of their types, and no tool has other types.
            _ => Err(FaultCause::Answer(
                "its value is not of the type that it declares".to_owned(),
            )),
        }
    }

    fn wide(&mut self, size: u64, digits: &str) -> Written {
        match size <= EXACT {
            true => self.push(digits),
            false => self.string(digits),
        }
    }

    /// `shortest` is the shortest text that reads back as the same number.
    fn number(&mut self, number: f64, shortest: serde_json::Result<String>) -> Written {
        if number.is_nan() {
            self.string("NaN")
        } else if number.is_infinite() {
            self.string(match number > 0.0 {
                true => "Infinity",
                false => "-Infinity",
            })
        } else {
            self.push(&shortest.unwrap_or_else(|_| "null".to_owned()))
        }
    }

    fn bytes(&mut self, items: &[Val]) -> Written {
        let byte = |item: &Val| match item {
            Val::U8(byte) => Some(*byte),
            _ => None,
        };
        let bytes: Vec<u8> = items.iter().filter_map(byte).collect();
        self.string(&BASE64.encode(bytes))
    }

    fn items<'a>(&mut self, items: impl Iterator<Item = (&'a Val, &'a Type)>) -> Written {
        self.push("[")?;
        for (at, (item, ty)) in items.enumerate() {
            if at > 0 {
                self.push(",")?;
            }
            self.value(item, ty)?;
        }
        self.push("]")
    }

    fn case(&mut self, name: &str, payload: Option<&Val>, ty: Option<Type>) -> Written {
        let (Some(payload), Some(ty)) = (payload, ty) else {
            return self.string(name);
        };
        self.push("{")?;
        self.string(name)?;
        self.push(":")?;
        self.value(payload, &ty)?;
        self.push("}")
    }
}
