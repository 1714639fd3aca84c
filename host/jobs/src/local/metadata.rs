//! Inline script metadata: the `# /// script` block of PEP 723, and version specifiers
//! (PEP 440) as far as `requires-python` needs them.

use serde::Deserialize;

use crate::JobError;

/// What a script says about itself. Keys we do not use (`[tool.*]`) are allowed by PEP 723.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Metadata {
    #[serde(default)]
    pub(super) dependencies: Vec<String>,
    pub(super) requires_python: Option<String>,
}

impl Metadata {
    /// Reads the block, if there is one.
    ///
    /// # Errors
    /// [`JobError::InvalidInput`] when there are two, or when it is not TOML of that shape.
    pub(super) fn parse(source: &str) -> Result<Self, JobError> {
        let mut blocks = blocks(source);
        let Some(block) = blocks.pop() else {
            return Ok(Self::default());
        };
        if !blocks.is_empty() {
            return Err(JobError::InvalidInput(
                "the script has more than one `# /// script` block; keep one".to_owned(),
            ));
        }
        toml::from_str(&block).map_err(|error| {
            JobError::InvalidInput(format!(
                "the script's `# /// script` block is not valid: {}",
                error.message()
            ))
        })
    }
}

/// The content of every closed `script` block. The end is the last `# ///` of the run of
/// comment lines that follows the start, as PEP 723 defines it.
fn blocks(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = source.lines().peekable();
    while let Some(line) = lines.next() {
        if line.trim_end() != "# /// script" {
            continue;
        }
        let mut comments = Vec::new();
        while let Some(line) = lines.peek()
            && let Some(content) = comment(line)
        {
            comments.push(content);
            lines.next();
        }
        if let Some(end) = comments.iter().rposition(|line| *line == "///") {
            found.push(comments[..end].join("\n"));
        }
    }
    found
}

/// What stands after `# `; none for lines that cannot be part of a block.
fn comment(line: &str) -> Option<&str> {
    let line = line.trim_end();
    if line == "#" {
        return Some("");
    }
    line.strip_prefix("# ")
}

/// Major, minor and patch number of a Python.
pub(super) type Version = [u64; 3];

/// Reads `3.12.4` (missing parts are 0, suffixes such as `rc1` are dropped).
pub(super) fn parse_version(text: &str) -> Option<Version> {
    let mut version = [0; 3];
    let mut parts = text.trim().split('.');
    for place in &mut version {
        let Some(part) = parts.next() else { break };
        let end = part
            .find(|character: char| !character.is_ascii_digit())
            .unwrap_or(part.len());
        *place = part[..end].parse().ok()?;
    }
    Some(version)
}

/// Whether `version` satisfies specifiers such as `>=3.10,<3.13`.
///
/// # Errors
/// [`JobError::InvalidInput`] for a clause that is not understood.
pub(super) fn satisfies(version: Version, specifiers: &str) -> Result<bool, JobError> {
    for clause in specifiers.split(',').map(str::trim) {
        if !clause.is_empty() && !satisfies_one(version, clause)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn satisfies_one(version: Version, clause: &str) -> Result<bool, JobError> {
    let invalid = || {
        JobError::InvalidInput(format!(
            "`requires-python` has a clause that is no version specifier: `{clause}`"
        ))
    };
    let split = clause
        .find(|character: char| !"<>=!~".contains(character))
        .ok_or_else(invalid)?;
    let (operator, text) = clause.split_at(split);
    let text = text.trim();
    let prefix = text.strip_suffix(".*");
    let wanted = parse_version(prefix.unwrap_or(text)).ok_or_else(invalid)?;
    let given = prefix.unwrap_or(text).split('.').count().min(3);
    let same_series = |parts: usize| version[..parts] == wanted[..parts];
    Ok(match (operator, prefix) {
        ("==", Some(_)) => same_series(given),
        ("!=", Some(_)) => !same_series(given),
        ("==" | "===", None) => version == wanted,
        ("!=", None) => version != wanted,
        (">=", None) => version >= wanted,
        ("<=", None) => version <= wanted,
        (">", None) => version > wanted,
        ("<", None) => version < wanted,
        ("~=", None) if given >= 2 => version >= wanted && same_series(given - 1),
        _ => return Err(invalid()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_gives_dependencies_and_version() {
        let source = "#!/usr/bin/env python\n# /// script\n# requires-python = \">=3.11\"\n# dependencies = [\n#   \"requests<3\",\n#\n#   \"rich\",\n# ]\n# [tool.uv]\n# x = 1\n# ///\nimport requests\n";
        let metadata = Metadata::parse(source).unwrap();
        assert_eq!(metadata.dependencies, ["requests<3", "rich"]);
        assert_eq!(metadata.requires_python.as_deref(), Some(">=3.11"));
    }

    #[test]
    fn no_block_an_open_block_and_another_block_give_nothing() {
        for source in [
            "",
            "print(1)",
            "# /// script\n# dependencies = [\"a\"]\nprint(1)",
            "# /// other\n# dependencies = [\"a\"]\n# ///\n",
            "#/// script\n# dependencies = [\"a\"]\n# ///\n",
        ] {
            assert_eq!(Metadata::parse(source).unwrap(), Metadata::default());
        }
    }

    #[test]
    fn two_blocks_or_bad_toml_are_refused() {
        let block = "# /// script\n# dependencies = []\n# ///\n";
        assert!(Metadata::parse(&format!("{block}\n{block}")).is_err());
        assert!(Metadata::parse("# /// script\n# dependencies = 3\n# ///\n").is_err());
        assert!(Metadata::parse("# /// script\n# dependencies = [\n# ///\n").is_err());
    }

    #[test]
    fn specifiers_compare_as_pep_440_says() {
        let version = [3, 11, 7];
        for (specifiers, expected) in [
            ("", true),
            (">=3.11", true),
            (">=3.10,<3.13", true),
            (">=3.12", false),
            ("<3.11", false),
            ("==3.11.*", true),
            ("==3.11", false),
            ("!=3.11.*", false),
            ("~=3.10", true),
            ("~=3.11.2", true),
            ("~=3.10.2", false),
            (" >3.11.6 , <=3.11.7 ", true),
        ] {
            assert_eq!(
                satisfies(version, specifiers).unwrap(),
                expected,
                "{specifiers}"
            );
        }
        for bad in ["3.11", ">=", ">=x", "~=3", ">=3.*", "=>3.1"] {
            assert!(satisfies(version, bad).is_err(), "{bad}");
        }
    }
}
