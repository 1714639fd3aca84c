//! Names of functions and types in a component, which are for debuggers: a sixth of a small one.

use wasmparser::Parser;

/// The custom sections that hold names.
const NAMES: [&str; 2] = ["name", "component-name"];

/// Sections of a component that are components or core modules themselves, by the binary format.
const NESTED: [u8; 2] = [1, 4];

/// Components within components; tool chains nest two or three deep.
const MAX_DEPTH: usize = 16;

/// The component without the names in it and in the modules that it is made of. What does not
/// parse is returned as it is: `inspect` says what is wrong with it.
pub(crate) fn without_names(component: Vec<u8>) -> Vec<u8> {
    stripped(&component, 0).unwrap_or(component)
}

fn stripped(bytes: &[u8], depth: usize) -> Option<Vec<u8>> {
    let (preamble, mut rest) = bytes.split_at_checked(8)?;
    let is_component = Parser::is_component(bytes);
    let mut out = preamble.to_vec();
    while let Some((&id, after)) = rest.split_first() {
        let (length, after) = read_length(after)?;
        let (content, after) = after.split_at_checked(length)?;
        rest = after;
        if id == 0 && is_names(content)? {
            continue;
        }
        let nested = is_component && NESTED.contains(&id) && depth < MAX_DEPTH;
        let content = match nested {
            true => stripped(content, depth + 1)?,
            false => content.to_vec(),
        };
        out.push(id);
        write_length(&mut out, content.len());
        out.extend(content);
    }
    Some(out)
}

fn is_names(section: &[u8]) -> Option<bool> {
    let (length, name) = read_length(section)?;
    let name = name.get(..length)?;
    Some(NAMES.iter().any(|known| known.as_bytes() == name))
}

/// A LEB128 of 32 bits, and what follows it.
fn read_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let number = u32::try_from(number).ok()?;
            return Some((number as usize, &bytes[index + 1..]));
        }
    }
    None
}

/// Writes a number as LEB128, as the binary format has its lengths.
pub(crate) fn write_length(out: &mut Vec<u8>, mut number: usize) {
    while number > 0x7f {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_and_everything_else_stays() {
        let text = r#"(component $outer
            (core module $inner (func $f (export "f")) (@custom "kept" "x"))
            (component $second (core module $third (func $g)))
            (@custom "other" "y"))"#;
        let component = wat::parse_str(text).unwrap();
        let has = |bytes: &[u8], word: &str| {
            bytes
                .windows(word.len())
                .any(|window| window == word.as_bytes())
        };
        assert!(has(&component, "component-name"));
        let slim = without_names(component.clone());
        for word in ["component-name", "outer", "inner", "third"] {
            assert!(!has(&slim, word), "{word}");
        }
        assert!(has(&slim, "kept") && has(&slim, "other"));
        assert!(
            Parser::new(0)
                .parse_all(&slim)
                .all(|payload| payload.is_ok())
        );
        // Once more there is nothing to do.
        assert_eq!(without_names(slim.clone()), slim);
    }

    #[test]
    fn what_does_not_parse_stays_as_it_is() {
        let good = wat::parse_str("(component (core module (func $f)))").unwrap();
        let cut = good[..good.len() - 3].to_vec();
        for bytes in [b"".to_vec(), b"hello".to_vec(), cut] {
            assert_eq!(without_names(bytes.clone()), bytes);
        }
    }
}
