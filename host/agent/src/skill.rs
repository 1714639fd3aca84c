//! The front matter of a `SKILL.md`: what the model is told of a skill before it reads the file.
//!
//! Front matter is YAML. This reads the part of it that skills are written in, one mapping of keys to
//! texts (plain, quoted, literal `|` or folded `>`), and refuses what it does not understand rather
//! than guess. Keys other than `name` and `description` are skipped, whatever is below them.

mod scalar;

use std::ops::RangeInclusive;

/// Bytes of front matter; a longer one is no front matter.
const FRONT_MATTER_BYTES: usize = 16 * 1024;
/// Characters of a name.
const NAME_CHARACTERS: RangeInclusive<usize> = 1..=64;
/// Characters of a description.
const DESCRIPTION_CHARACTERS: RangeInclusive<usize> = 1..=1024;

/// What the front matter says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// 1 to 64 of `a-z`, `0-9` and `-`.
    pub name: String,
    /// 1 to 1024 characters; may have several lines.
    pub description: String,
}

/// Why a `SKILL.md` has no usable header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SkillError {
    /// The file does not begin with `---`, or no second `---` ends it.
    #[error(
        "no front matter: the file must begin with a line `---`, and a second one must end the front matter"
    )]
    NoFrontMatter,
    /// There is more of it than anybody reads.
    #[error("the front matter is longer than {FRONT_MATTER_BYTES} bytes")]
    TooLong,
    /// A key that must be there is not, or says nothing.
    #[error("the front matter has no `{0}:`")]
    Missing(&'static str),
    /// A key is there twice.
    #[error("line {line}: `{key}` is there twice")]
    Twice {
        /// Line of the file, from 1.
        line: usize,
        /// The key.
        key: String,
    },
    /// YAML that is not read here, or no YAML.
    #[error("line {line}: {problem}")]
    NotUnderstood {
        /// Line of the file, from 1.
        line: usize,
        /// What is not understood, and where there is one, a way to write it.
        problem: String,
    },
    /// The name is not one.
    #[error("a name is 1 to 64 of a-z, 0-9 and `-`; this is none: `{0}`")]
    Name(String),
    /// The description has too many characters.
    #[error("a description has 1 to 1024 characters; this has {0}")]
    Description(usize),
}

/// Reads the header of a `SKILL.md` from its text.
///
/// # Errors
///
/// Says what is missing, wrong or not understood, with the line where there is one.
pub fn parse(text: &str) -> Result<Header, SkillError> {
    let mut name = None;
    let mut description = None;
    let lines = front_matter(text)?;
    for entry in entries(&lines)? {
        let slot = match entry.key {
            "name" => &mut name,
            "description" => &mut description,
            _ => continue,
        };
        let value = scalar::read(&entry.value).map_err(|(offset, problem)| {
            let line = entry.line + offset;
            SkillError::NotUnderstood { line, problem }
        })?;
        *slot = Some(value);
    }
    let said = |value: Option<String>, key| match value {
        Some(value) if !value.trim().is_empty() => Ok(value.trim().to_owned()),
        _ => Err(SkillError::Missing(key)),
    };
    Ok(Header {
        name: checked_name(said(name, "name")?)?,
        description: checked_description(said(description, "description")?)?,
    })
}

fn checked_name(name: String) -> Result<String, SkillError> {
    let fits = NAME_CHARACTERS.contains(&name.len())
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    match fits {
        true => Ok(name),
        false => Err(SkillError::Name(crate::arguments::shorten(&name, 100))),
    }
}

fn checked_description(description: String) -> Result<String, SkillError> {
    match description.chars().count() {
        count if DESCRIPTION_CHARACTERS.contains(&count) => Ok(description),
        count => Err(SkillError::Description(count)),
    }
}

/// The lines between the two `---`, without their ends.
fn front_matter(text: &str) -> Result<Vec<&str>, SkillError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines();
    if lines.next().map(str::trim_end) != Some("---") {
        return Err(SkillError::NoFrontMatter);
    }
    let mut found = Vec::new();
    let mut bytes = 0;
    for line in lines {
        if line.trim_end() == "---" {
            return Ok(found);
        }
        bytes += line.len() + 1;
        if bytes > FRONT_MATTER_BYTES {
            return Err(SkillError::TooLong);
        }
        found.push(line);
    }
    Err(SkillError::NoFrontMatter)
}

/// A key with the lines of its value; the first is what stands beside the key.
struct Entry<'a> {
    key: &'a str,
    /// Line of the file, from 1.
    line: usize,
    value: Vec<&'a str>,
}

/// The keys of the mapping, each at the beginning of its line.
fn entries<'a>(lines: &[&'a str]) -> Result<Vec<Entry<'a>>, SkillError> {
    let mut entries: Vec<Entry<'a>> = Vec::new();
    // The first `---` is line 1.
    for (line, text) in (2..).zip(lines) {
        let below = text.is_empty() || text.starts_with([' ', '\t', '#']) || is_item(text);
        if below {
            match entries.last_mut() {
                Some(entry) => entry.value.push(text),
                None if text.trim().is_empty() || text.starts_with('#') => {}
                None => return Err(not_a_key(line)),
            }
            continue;
        }
        let (key, value) = key(text).ok_or_else(|| not_a_key(line))?;
        if entries.iter().any(|entry| entry.key == key) {
            let key = crate::arguments::shorten(key, 100);
            return Err(SkillError::Twice { line, key });
        }
        let value = vec![value];
        entries.push(Entry { key, line, value });
    }
    Ok(entries)
}

/// Whether the line is an item of a list, which may stand at the column of its key.
fn is_item(line: &str) -> bool {
    line == "-" || line.starts_with("- ")
}

/// Splits `key: value`.
fn key(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(':')?;
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let fits = !key.is_empty() && key.chars().all(word);
    let apart = value.is_empty() || value.starts_with([' ', '\t']);
    (fits && apart).then_some((key, value))
}

fn not_a_key(line: usize) -> SkillError {
    let problem = "`key: value` is expected here; longer values go on in indented lines".to_owned();
    SkillError::NotUnderstood { line, problem }
}

#[cfg(test)]
mod tests;
