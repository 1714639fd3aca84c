//! The place where a case happens: a folder, grants, recordings.

use super::super::call::{Touched, Watch, call, tool_of};
use super::super::chosen::of_file;
use super::Tried;
use super::compare::compare;
use super::fakes::{RecordedJobs, RecordedPrograms, RecordedSession};
use crate::compose::plugins::{Place, callable};
use crate::compose::{Loaded, Plugins};
use crate::error::{Failure, Kind, OrFail, Result};
use crate::ui;
use base64::Engine as _;
use ml_intern_manifest::{Case, Content, CredentialUse, HttpRecording, Lost, RecordedBody};
use ml_intern_runtime::{
    AwsKeys, CallContext, CancellationToken, Credential, CredentialValue, Expected, KeyValue,
    Recorded, Recording, Recordings, Secret, Services, Stray, read_below,
};
use serde_json::Value;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Bytes of a file that a case copies.
const COPIED: u64 = 64 << 20;
/// Characters of a body that a problem shows.
const SHOWN: usize = 300;

/// Makes the call of a case and compares. What is wrong with the case itself is a problem of it, too.
pub(super) async fn try_case(
    plugins: &Plugins<'_>,
    plugin: &Path,
    folder: &Path,
    case: &Case,
) -> Result<Tried> {
    let began = Instant::now();
    let mut tried = Tried {
        name: case.name.clone(),
        tool: case.tool.clone().unwrap_or_default(),
        took: Duration::ZERO,
        problems: Vec::new(),
        updated: false,
        called: None,
    };
    let made = made(plugins, plugin, folder, case, &mut tried).await;
    tried.took = began.elapsed();
    match made {
        Ok(()) => Ok(tried),
        Err(failure) if failure.kind == Kind::Usage => {
            tried.problems.push(format!("{:#}", failure.error));
            tried.problems.extend(failure.hints);
            Ok(tried)
        }
        Err(failure) => Err(failure),
    }
}

async fn made(
    plugins: &Plugins<'_>,
    plugin: &Path,
    folder: &Path,
    case: &Case,
    tried: &mut Tried,
) -> Result<()> {
    let chosen = of_file(plugin, case.grant.clone(), case.config.clone())?;
    let loaded = chosen.loaded;
    let described = plugins.describe(&loaded).await?;
    let tool = tool_of(&loaded, &described.tools, case.tool.as_deref())?;
    tried.tool.clone_from(&tool.name);
    let workspace = tempfile::Builder::new().prefix("ml-intern-case-").tempdir();
    let workspace = workspace.or_fail(Kind::Failed)?;
    fill(workspace.path(), folder, case)?;
    let recordings = Arc::new(recordings(folder, case)?);
    let jobs = Arc::new(RecordedJobs::new(&case.jobs));
    let programs = Arc::new(RecordedPrograms::new(&case.programs));
    let session = Arc::new(RecordedSession::new(case));
    let services = Services {
        processes: Some(programs.clone()),
        jobs: Some(jobs.clone()),
        session: Some(session.clone()),
        recordings: Some(recordings.clone()),
        ..Services::default()
    };
    let place = Place {
        workspace: workspace.path().to_path_buf(),
        protected: Vec::new(),
        store: kept(case)?,
        credentials: credentials(&loaded, case)?,
    };
    let cancel = CancellationToken::new();
    let watch = Arc::new(Watch {
        plugin: loaded.title(),
        aloud: false,
        cancel: cancel.clone(),
        seen: Mutex::new(Touched::default()),
    });
    let context = CallContext {
        session: "case".to_owned(),
        call: "c1.0".to_owned(),
        ..CallContext::default()
    };
    let callable = callable(&plugins.runtime, &loaded, place, services);
    let arguments = Value::Object(case.args.clone());
    let called = call(
        &callable, &loaded, &tool, &arguments, watch, context, &cancel,
    )
    .await;
    if let Some(expect) = &case.expect {
        tried
            .problems
            .extend(compare(expect, &called, workspace.path()));
    }
    tried.problems.extend(recordings.strays().iter().map(stray));
    tried.problems.extend(unasked(case, &recordings.times()));
    tried.problems.extend(jobs.problems());
    tried.problems.extend(programs.problems());
    tried.problems.extend(session.problems());
    tried.called = Some(called);
    Ok(())
}

/// Writes the files of a case.
fn fill(workspace: &Path, folder: &Path, case: &Case) -> Result<()> {
    for (path, content) in &case.files {
        let bytes = bytes(folder, content)?;
        let file = workspace.join(path);
        let write = || {
            if let Some(parent) = file.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(&file, bytes)
        };
        write()
            .map_err(|error| Failure::usage(format!("cannot make the file `{path}`: {error}")))?;
    }
    Ok(())
}

fn bytes(folder: &Path, content: &Content) -> Result<Vec<u8>> {
    match content {
        Content::Text(text) => Ok(text.clone().into_bytes()),
        Content::Base64(text) => base64::engine::general_purpose::STANDARD
            .decode(text.trim())
            .map_err(|error| Failure::usage(format!("`base64` is none: {error}"))),
        Content::Copy(path) => {
            let read = read_below(folder, path, COPIED + 1);
            let bytes =
                read.map_err(|error| Failure::usage(format!("cannot copy `{path}`: {error}")))?;
            if bytes.len() as u64 > COPIED {
                let text = format!("cannot copy `{path}`: it has more than {COPIED} bytes");
                return Err(Failure::usage(text));
            }
            Ok(bytes)
        }
    }
}

fn kept(case: &Case) -> Result<KeyValue> {
    let store = KeyValue::in_memory();
    let session = case.state.session.iter().map(|kept| (false, kept));
    let project = case.state.project.iter().map(|kept| (true, kept));
    for (project, (key, value)) in session.chain(project) {
        store
            .keep(project, key, value.as_bytes())
            .map_err(|problem| Failure::usage(format!("`state`: {problem}")))?;
    }
    Ok(store)
}

/// Values that are nobody's, for the credentials that the case sets.
fn credentials(loaded: &Loaded, case: &Case) -> Result<Vec<Credential>> {
    let rules = loaded.effective.credentials.rules();
    let value = |name: &String| {
        let rule = rules.iter().find(|rule| rule.name == *name).ok_or_else(|| {
            Failure::usage(format!(
                "`credentials`: `{name}` is not granted to the plugin; ask for it in `[[request.credential]]` of its plugin.toml, and name it in `grant` where the case has one"
            ))
        })?;
        let text = format!("{name}-of-the-case");
        let value = match &rule.applied {
            CredentialUse::AwsSigV4 { .. } => {
                AwsKeys::new("AKIDOFTHECASE0000", &text, None).map(CredentialValue::AwsKeys)
            }
            _ => Some(CredentialValue::Text(Secret::new(&text))),
        };
        Ok(Credential {
            name: name.clone(),
            value: value.ok_or_else(|| Failure::usage("`credentials`: not a name of one"))?,
        })
    };
    case.credentials.iter().map(value).collect()
}

fn recordings(folder: &Path, case: &Case) -> Result<Recordings> {
    let all = case.http.iter().map(|one| recording(folder, one));
    let all = all.collect::<Result<Vec<_>>>()?;
    Recordings::new(all)
        .map_err(|(number, problem)| Failure::usage(format!("`http[{number}]`: {problem}")))
}

fn recording(folder: &Path, one: &HttpRecording) -> Result<Recording> {
    let body = match &one.request {
        None => Expected::Any,
        Some(RecordedBody::Json(value)) => Expected::Json(value.clone()),
        Some(RecordedBody::Content(content)) => Expected::Bytes(bytes(folder, content)?.into()),
    };
    let answer = match one.lost {
        Some(lost) => Recorded::Lost(match lost {
            Lost::Lookup => ml_intern_runtime::Lost::Lookup,
            Lost::Refused => ml_intern_runtime::Lost::Refused,
            Lost::Timeout => ml_intern_runtime::Lost::Timeout,
            Lost::Broken => ml_intern_runtime::Lost::Broken,
        }),
        None => answer(folder, one)?,
    };
    Ok(Recording {
        method: one.method.as_str().to_owned(),
        url: one.url.clone(),
        body,
        answer,
        repeated: one.repeated,
    })
}

fn answer(folder: &Path, one: &HttpRecording) -> Result<Recorded> {
    let headers = one.headers.iter();
    let mut headers: Vec<(String, String)> = headers
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let body = match &one.body {
        RecordedBody::Content(content) => bytes(folder, content)?,
        RecordedBody::Json(value) => {
            let told = |(name, _): &(String, String)| name.eq_ignore_ascii_case("content-type");
            if !headers.iter().any(told) {
                headers.push(("content-type".to_owned(), "application/json".to_owned()));
            }
            value.to_string().into_bytes()
        }
    };
    Ok(Recorded::Answer {
        status: one.status,
        headers,
        body: body.into(),
    })
}

/// A request without a recording, and the recording to add.
fn stray(stray: &Stray) -> String {
    let method = match stray.method.as_str() {
        "GET" => String::new(),
        method => format!("method = \"{method}\", "),
    };
    let body = match std::str::from_utf8(&stray.body) {
        Ok("") => String::new(),
        Ok(text) if text.chars().count() <= SHOWN => {
            format!(", request-body = {}", ml_intern_manifest::toml_string(text))
        }
        _ => format!(" # its body has {} bytes", stray.body.len()),
    };
    let url = ml_intern_manifest::toml_string(&stray.url);
    let near = stray.near.iter();
    let near = near.map(|why| format!("\na recording of this URL does not fit: {why}"));
    format!(
        "the tool sent a request without a recording; add to `http` of the case:\n{{ {method}url = {url}{body}, status = 200, body = \"\" }}{}",
        near.collect::<String>()
    )
}

fn unasked(case: &Case, times: &[u32]) -> Vec<String> {
    let all = case.http.iter().zip(times).enumerate();
    let unasked = all.filter(|(_, (one, times))| **times == 0 && !one.optional);
    let lines = unasked.map(|(number, (one, _))| {
        let url = ui::one_line(&one.url, SHOWN);
        format!(
            "`http[{number}]` ({} {url}) was not asked for; take it away, or write `optional = true`",
            one.method.as_str()
        )
    });
    lines.collect()
}
