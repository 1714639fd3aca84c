//! AWS keys, where AWS's own clients look for them: three variables, and a file of profiles.

use super::file::{self, Trust, Unsafe};
use ml_intern_runtime::AwsKeys;
use std::path::Path;

/// Who names this variable means the keys of AWS itself, wherever its own clients keep them.
pub(super) const ID_VARIABLE: &str = "AWS_ACCESS_KEY_ID";
/// Which profile of the file.
pub(super) const PROFILE_VARIABLE: &str = "AWS_PROFILE";
const DEFAULT_PROFILE: &str = "default";

/// Bytes of a file of profiles: a thousand profiles with session tokens.
const MAX_FILE: usize = 1 << 20;

/// The keys in variables, in the order id, secret, token; none where there is neither id nor secret. `value` is the
/// variable's, if it is set.
pub(super) fn in_variables(
    names: &[String],
    value: impl Fn(&str) -> Option<String>,
) -> Result<Option<AwsKeys>, Unsafe> {
    let value = |at: usize| names.get(at).and_then(|name| value(name));
    let (id, secret) = match (value(0), value(1)) {
        (Some(id), Some(secret)) => (id, secret),
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(missing(names.get(1), names.first())),
        (None, Some(_)) => return Err(missing(names.first(), names.get(1))),
    };
    let keys = AwsKeys::new(&id, &secret, value(2).as_deref());
    let wrong = || unfit(&format!("what the variables {} hold", names.join(", ")));
    keys.ok_or_else(wrong).map(Some)
}

fn missing(missing: Option<&String>, set: Option<&String>) -> Unsafe {
    let name = |name: Option<&String>| name.cloned().unwrap_or_default();
    let (missing, set) = (name(missing), name(set));
    Unsafe::new(
        format!("the variable {set} is set, and {missing} is not"),
        format!("set {missing} too, or unset {set}"),
    )
}

fn unfit(what: &str) -> Unsafe {
    Unsafe::new(format!("{what} are no AWS keys"), None)
}

/// The keys of a profile, and its name; none where there is no such file or profile, or no keys in it: it may say how
/// to get some, which only AWS's own clients do.
pub(super) fn in_profile(
    path: &Path,
    profile: Option<String>,
) -> Result<Option<(AwsKeys, String)>, Unsafe> {
    let profile = profile.unwrap_or_else(|| DEFAULT_PROFILE.to_owned());
    let Some(text) = file::read_text(path, Trust::Foreign, MAX_FILE)? else {
        return Ok(None);
    };
    let keys = read_profile(&text, &profile).map_err(|problem| {
        let problem = format!("profile `{profile}` of {} {problem}", path.display());
        Unsafe::new(problem, None)
    })?;
    Ok(keys.map(|keys| (keys, profile)))
}

/// Reads the profile's section: `[name]`, then `key = value`. Keys are the same in any case, the last of one counts, and
/// `#` or `;` begins a comment.
fn read_profile(text: &str, profile: &str) -> Result<Option<AwsKeys>, String> {
    let mut within = false;
    let (mut id, mut secret, mut token) = (None, None, None);
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            within = section.0.trim() == profile;
            continue;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| within) else {
            continue;
        };
        let value = Some(value.trim()).filter(|value| !value.is_empty());
        match key.trim().to_ascii_lowercase().as_str() {
            "aws_access_key_id" => id = value,
            "aws_secret_access_key" => secret = value,
            "aws_session_token" => token = value,
            // Comments too, whatever is said in them.
            _ => {}
        }
    }
    match (id, secret) {
        (Some(id), Some(secret)) => AwsKeys::new(id, secret, token)
            .ok_or_else(|| "holds no AWS keys".to_owned())
            .map(Some),
        (None, None) => Ok(None),
        (Some(_), None) => Err("lacks aws_secret_access_key".to_owned()),
        (None, Some(_)) => Err("lacks aws_access_key_id".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ml_intern_runtime::{CredentialValue, Secret};

    fn texts(keys: AwsKeys) -> Vec<String> {
        let value = CredentialValue::AwsKeys(keys);
        value
            .secrets()
            .map(Secret::expose)
            .map(str::to_owned)
            .collect()
    }

    const FILE: &str = "# mine\n[default]\naws_access_key_id = AKIDDEFAULT\nAWS_SECRET_ACCESS_KEY=a/b+c==\nregion = x\n\n\
        [ team ] ; ours\n  aws_access_key_id=AKIDTEAM\n  aws_secret_access_key = s\n  aws_session_token = t==\n#aws_session_token = u\n\
        [half]\naws_access_key_id = AKIDHALF\n[sso]\nsso_session = x\n[bad]\naws_access_key_id = a b\naws_secret_access_key = s\n";

    #[test]
    fn a_profile_is_read_by_its_name() {
        let read = |profile| read_profile(FILE, profile).map(|keys| keys.map(texts));
        assert_eq!(
            read("default").unwrap().unwrap(),
            ["AKIDDEFAULT", "a/b+c=="]
        );
        assert_eq!(read("team").unwrap().unwrap(), ["AKIDTEAM", "s", "t=="]);
        assert!(read("sso").unwrap().is_none() && read("none").unwrap().is_none());
        assert!(read("half").unwrap_err().contains("lacks aws_secret"));
        assert!(read("bad").unwrap_err().contains("no AWS keys"));
        for text in ["", "[", "[]", "=", "[default]\n=x\naws_access_key_id", "]["] {
            assert!(read_profile(text, "default").unwrap().is_none(), "{text}");
        }
    }

    #[test]
    fn a_file_of_profiles_is_another_programs_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        assert!(in_profile(&path, None).unwrap().is_none());
        std::fs::write(&path, FILE).unwrap();
        let (_, profile) = in_profile(&path, None).unwrap().unwrap();
        assert_eq!(profile, "default");
        assert!(in_profile(&path, Some("none".into())).unwrap().is_none());
        let refused = in_profile(&path, Some("half".into())).unwrap_err();
        assert!(
            refused.problem.starts_with("profile `half` of "),
            "{refused}"
        );
        std::fs::write(&path, "#".repeat(MAX_FILE + 1)).unwrap();
        let refused = in_profile(&path, None).unwrap_err();
        assert!(refused.problem.contains("more than 1048576"), "{refused}");
        std::fs::write(&path, b"[default]\n\xff").unwrap();
        assert!(in_profile(&path, None).is_err());
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(
            in_profile(&link, None)
                .unwrap_err()
                .problem
                .contains("a link")
        );
    }

    #[test]
    fn variables_are_read_in_their_order_and_half_of_them_is_refused() {
        let names = ["ID", "SECRET", "TOKEN"].map(str::to_owned);
        let read = |set: &[(&str, &str)]| {
            let value = |name: &str| {
                let found = set.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            in_variables(&names, value).map(|keys| keys.map(texts))
        };
        assert!(read(&[]).unwrap().is_none());
        assert!(read(&[("TOKEN", "t")]).unwrap().is_none());
        let both = [("ID", "i"), ("SECRET", "s")];
        assert_eq!(read(&both).unwrap().unwrap(), ["i", "s"]);
        let all = [("SECRET", "s"), ("ID", "i"), ("TOKEN", "t")];
        assert_eq!(read(&all).unwrap().unwrap(), ["i", "s", "t"]);
        let refused = read(&[("ID", "i")]).unwrap_err();
        assert_eq!(refused.problem, "the variable ID is set, and SECRET is not");
        assert!(read(&[("SECRET", "s")]).is_err());
        assert!(read(&[("ID", "i"), ("SECRET", "s s")]).is_err());
        assert!(in_variables(&[], |_| Some("x".into())).unwrap().is_none());
    }
}
