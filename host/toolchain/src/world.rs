//! The world of a component, read back from its bytes.

use wit_component::{DecodedWasm, WitPrinter, decode};

use crate::error::Error;

/// Bytes of text at most: the worlds of guests have 60 KiB.
const MOST: usize = 1 << 20;

/// The world of a component and every interface in it as WIT text, without the comments, which components do not
/// carry. `name` is the file that errors show.
///
/// # Errors
/// [`Error::Component`] where the bytes are none, or one that WIT has no words for.
pub fn world_text(name: &str, bytes: &[u8]) -> Result<String, Error> {
    let refused = |message: String| Error::Component {
        name: name.to_owned(),
        message,
    };
    let told = || -> anyhow::Result<String> {
        anyhow::ensure!(
            wasmparser::Parser::is_component(bytes),
            "it is no component"
        );
        let decoded = decode(bytes)?;
        anyhow::ensure!(
            matches!(decoded, DecodedWasm::Component(..)),
            "it is a package of WIT and no component"
        );
        let main = decoded.package();
        let resolve = decoded.resolve();
        let others: Vec<_> = resolve
            .packages
            .iter()
            .map(|(id, _)| id)
            .filter(|id| *id != main)
            .collect();
        let mut printer = WitPrinter::default();
        printer.print(resolve, main, &others)?;
        Ok(printer.output.to_string())
    };
    let text =
        told().map_err(|error| refused(format!("has no world that can be told: {error:#}")))?;
    match text.len() <= MOST {
        true => Ok(text),
        false => Err(refused(format!(
            "has a world of more than {MOST} bytes of text"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_is_told_with_its_functions() {
        let text = r#"(component
            (import "acme:a/b@1.0.0" (instance $i (export "go" (func (param "x" u32) (result string)))))
            (export "acme:a/c@1.0.0" (instance $i)))"#;
        let told = world_text("a.wasm", &wat::parse_str(text).unwrap()).unwrap();
        assert!(told.contains("import acme:a/b@1.0.0;"), "{told}");
        assert!(told.contains("export acme:a/c@1.0.0;"), "{told}");
        assert!(told.contains("go: func(x: u32) -> string;"), "{told}");
    }

    #[test]
    fn what_has_no_world_is_an_error_in_words() {
        let module = wat::parse_str("(module)").unwrap();
        for bytes in [&b""[..], b"text", &module, b"\0asm\x0d\0\x01\0\xff"] {
            let told = world_text("a.wasm", bytes);
            assert!(told.is_err(), "{told:?} of {bytes:?}");
        }
        let deep = format!("{}{}", "(component ".repeat(500), ")".repeat(500));
        if let Ok(bytes) = wat::parse_str(&deep) {
            // An empty world, or an error: never a fault of the host.
            let _told = world_text("a.wasm", &bytes);
        }
    }
}
