//! The languages that plugins are written in.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::error::Error;

/// A language that plugins are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// Built by cargo.
    Rust,
    /// Built by componentize-py.
    Python,
    /// Built by componentize-js.
    JavaScript,
    /// As JavaScript, with types.
    TypeScript,
    /// Built by clang or zig.
    C,
    /// Built by the standard compiler.
    Go,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 6] = [
        Self::Rust,
        Self::Python,
        Self::JavaScript,
        Self::TypeScript,
        Self::C,
        Self::Go,
    ];

    /// As it is written on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::JavaScript => "js",
            Self::TypeScript => "ts",
            Self::C => "c",
            Self::Go => "go",
        }
    }

    /// The language of the plugin in `folder`, told by the file that its tool chain begins with.
    ///
    /// # Errors
    /// [`Error::Source`] where no such file is there.
    pub fn of(folder: &Path) -> Result<Self, Error> {
        let has = |name: &str| folder.join(name).is_file();
        if has("Cargo.toml") {
            return Ok(Self::Rust);
        }
        if has("go.mod") {
            return Ok(Self::Go);
        }
        for (names, language) in [
            (&["plugin.py"], Self::Python),
            (&["plugin.ts"], Self::TypeScript),
            (&["plugin.js"], Self::JavaScript),
            (&["plugin.c"], Self::C),
        ] {
            if names.iter().any(|name| has(name)) {
                return Ok(language);
            }
        }
        Err(Error::Source {
            folder: folder.to_owned(),
            message:
                "has no source of a plugin: none of Cargo.toml, go.mod, plugin.py, plugin.ts, \
                      plugin.js and plugin.c; `ml-intern plugin new` begins one"
                    .to_owned(),
        })
    }

    /// The folder in `sdk/` that it begins with.
    pub(crate) fn sdk(self) -> &'static str {
        match self {
            Self::JavaScript | Self::TypeScript => "js",
            other => other.as_str(),
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rust => "Rust",
            Self::Python => "Python",
            Self::JavaScript => "JavaScript",
            Self::TypeScript => "TypeScript",
            Self::C => "C",
            Self::Go => "Go",
        })
    }
}

impl FromStr for Language {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|known| {
            text.eq_ignore_ascii_case(known.as_str())
                || text.eq_ignore_ascii_case(&known.to_string())
        });
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            Error::Name(format!("unknown language `{text}`; there are {known}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_has_a_short_name_and_a_long_one() {
        for language in Language::ALL {
            assert_eq!(language.as_str().parse::<Language>().unwrap(), language);
            assert_eq!(language.to_string().parse::<Language>().unwrap(), language);
        }
        let error = "cobol".parse::<Language>().unwrap_err().to_string();
        assert!(
            error.contains("`cobol`") && error.contains("python"),
            "{error}"
        );
    }

    #[test]
    fn a_folder_tells_its_language() {
        for (file, language) in [
            ("Cargo.toml", Language::Rust),
            ("go.mod", Language::Go),
            ("plugin.py", Language::Python),
            ("plugin.ts", Language::TypeScript),
            ("plugin.js", Language::JavaScript),
            ("plugin.c", Language::C),
        ] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(file), "").unwrap();
            assert_eq!(Language::of(folder.path()).unwrap(), language);
        }
        let empty = tempfile::tempdir().unwrap();
        let error = Language::of(empty.path()).unwrap_err().to_string();
        assert!(error.contains("plugin new"), "{error}");
    }
}
