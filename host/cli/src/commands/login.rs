//! `login`: says where a credential is, and keeps its value where that is with us.

use crate::args::{KeptIn, LoginArgs};
use crate::config::variable;
use crate::credentials::{AWS_LINE, KeyStore, LONGEST, Sources, Trust, edit, read_file, refused};
use crate::error::{Failure, Kind, OrFail, Result};
use crate::paths::Paths;
use crate::ui::{self, Typed};
use ml_intern_manifest::{CredentialOrigin, CredentialRule, check_credential_name, set_credential};
use ml_intern_runtime::AwsKeys;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

pub(crate) async fn login(directory: Option<&Path>, arguments: LoginArgs) -> Result<u8> {
    let name = arguments.name.as_str();
    check_credential_name(name).or_fail(Kind::Usage)?;
    let paths = Paths::from_environment()?;
    let sources = Sources::open(&paths)?;
    let mut used_by = None;
    let origin = match (&arguments.env, &arguments.file) {
        (Some(variable), _) => in_variable(variable)?,
        (None, Some(path)) => in_file(name, path)?,
        (None, None) => {
            let rules = super::status::rules(directory);
            let signs = |rule: &CredentialRule| rule.name == name && rule.signs().is_some();
            let signs = rules.iter().flatten().any(signs);
            let origin = keep(name, signs, arguments.store, &sources).await?;
            used_by = rules;
            origin
        }
    };
    edit(&paths.credential_map(), |file, text| {
        set_credential(file, text, name, &origin)
            .or_fail(Kind::Usage)
            .map(Some)
    })?;
    leave_no_other(name, &sources, &origin).await;
    ui::out(&format!("{name}: {}", told(name, &origin, &sources)));
    if let Some(rules) = used_by {
        super::status::warn_of_others(&rules, name);
    }
    Ok(0)
}

fn told(name: &str, origin: &CredentialOrigin, sources: &Sources) -> String {
    match origin {
        CredentialOrigin::Variable(variable) => {
            format!("will be read from the variable {variable}")
        }
        CredentialOrigin::File(path) => format!("will be read from {}", path.display()),
        CredentialOrigin::KeyStore => "kept in the key store of this system".to_owned(),
        CredentialOrigin::OwnFile => format!("kept in {}", sources.own.path(name).display()),
    }
}

fn in_variable(name: &str) -> Result<CredentialOrigin> {
    if variable(name).is_none() {
        // Its name is shown only when it is one: somebody may have typed the value.
        if is_variable(name) {
            ui::warn(&format!("the variable {name} is not set now"));
        }
    }
    Ok(CredentialOrigin::Variable(name.to_owned()))
}

fn is_variable(name: &str) -> bool {
    let shouted = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    name.chars().all(shouted)
}

fn in_file(name: &str, path: &Path) -> Result<CredentialOrigin> {
    let path = std::path::absolute(path)
        .map_err(|error| Failure::usage(format!("cannot name {}: {error}", path.display())))?;
    if path.to_str().is_none() {
        return Err(Failure::usage(format!(
            "{} is no text; give the file another name",
            path.display()
        )));
    }
    if read_file(&path, Trust::Private)
        .map_err(|unsafe_file| refused(name, unsafe_file))?
        .is_none()
    {
        ui::warn(&format!("there is nothing in {} now", path.display()));
    }
    Ok(CredentialOrigin::File(PathBuf::from(&path)))
}

/// Reads the value and stores it. What signs is AWS keys.
async fn keep(
    name: &str,
    signs: bool,
    store: KeptIn,
    sources: &Sources,
) -> Result<CredentialOrigin> {
    // Before a person types: nothing is worse than a token that has to be fetched twice.
    let key_store = match store {
        KeptIn::File => None,
        KeptIn::Keyring => {
            let opened = KeyStore::open().await;
            Some(opened.map_err(|unavailable| unavailable.for_credential(name))?)
        }
        KeptIn::Auto => answering().await,
    };
    let value = value(name, signs)?;
    match key_store {
        Some(key_store) => {
            let stored = key_store.set(name, &value).await;
            stored.map_err(|unavailable| unavailable.for_credential(name))?;
            Ok(CredentialOrigin::KeyStore)
        }
        None => {
            sources
                .own
                .set(name, &value)
                .map_err(|unsafe_file| refused(name, unsafe_file))?;
            Ok(CredentialOrigin::OwnFile)
        }
    }
}

/// The key store, when something can be kept in it at once.
async fn answering() -> Option<KeyStore> {
    let opened = async {
        let store = KeyStore::open().await?;
        store.check().await.map(|()| store)
    };
    match opened.await {
        Ok(store) => Some(store),
        Err(unavailable) => {
            ui::progress(&format!(
                "{unavailable}; the value goes to a file that only you can read"
            ));
            None
        }
    }
}

/// What the user typed or piped in, as one line.
fn value(name: &str, signs: bool) -> Result<Zeroizing<String>> {
    let prompt = match signs {
        true => format!("{name}, as {AWS_LINE} (not shown): "),
        false => format!("{name} (not shown): "),
    };
    let typed = ui::read_secret(&prompt, LONGEST + 2);
    let bytes = match typed.or_fail(Kind::Failed)? {
        Typed::Line(bytes) => bytes,
        Typed::Interrupted => {
            return Err(Failure::new(
                Kind::Interrupted,
                anyhow::anyhow!("interrupted"),
            ));
        }
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| Failure::usage("the value is no text"))?;
    let text = text.trim();
    let problem = if text.is_empty() {
        format!("no value came; type it, or pipe it in: ml-intern login {name} < FILE")
    } else if text.len() > LONGEST {
        format!("the value has more than {LONGEST} bytes; a credential is a short text")
    } else if text.lines().nth(1).is_some() {
        "more than one line came; a credential is one line".to_owned()
    } else if text.chars().any(char::is_control) {
        "the value holds control characters, which no header can carry".to_owned()
    } else if signs && AwsKeys::parse(text).is_none() {
        format!("the value is not {AWS_LINE}")
    } else {
        return Ok(Zeroizing::new(text.to_owned()));
    };
    Err(Failure::usage(problem))
}

/// A value that is kept somewhere else now is not left behind.
async fn leave_no_other(name: &str, sources: &Sources, origin: &CredentialOrigin) {
    let before = sources.map.get(name);
    if *origin != CredentialOrigin::OwnFile
        && let Err(unsafe_file) = sources.own.remove(name)
    {
        ui::warn(&format!("an older value is left in a file: {unsafe_file}"));
    }
    if before == Some(&CredentialOrigin::KeyStore) && *origin != CredentialOrigin::KeyStore {
        let removed = match KeyStore::open().await {
            Ok(store) => store.remove(name).await,
            Err(unavailable) => Err(unavailable),
        };
        if let Err(unavailable) = removed {
            ui::warn(&format!(
                "an older value is left in the key store: {unavailable}"
            ));
        }
    }
}
