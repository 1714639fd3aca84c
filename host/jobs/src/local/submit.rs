//! From a specification to a job folder with a running supervisor.

use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ml_intern_exec::{Detached, Isolation, spawn_detached};
use sha2::{Digest as _, Sha256};

use super::folder::{Folder, Plan, Status, fresh_id, make_private, try_lock, write_json};
use super::install::{Install, check_dependency};
use super::metadata::Metadata;
use super::python::{self, from_exec};
use super::supervise::ENVIRONMENT_VARIABLE;
use super::{FLAVOR, LocalBackend, SUPERVISOR_GONE};
use crate::{Job, JobError, Outbound, Script, Spec, State, Workload};

/// The largest script. Programs are far smaller; data belongs in files.
pub(super) const MAX_SCRIPT_BYTES: usize = 4 << 20;

/// The longest time limit: a month, as a typing error otherwise means for ever.
const MAX_TIMEOUT_SECONDS: u32 = 30 * 24 * 3600;

/// Jobs that have not ended yet. Each has a supervisor process, also while it is queued.
const MAX_UNFINISHED: usize = 64;

/// The environment travels to the supervisor as one variable; Linux ends that at 128 KiB.
const MAX_ENVIRONMENT_BYTES: usize = 96 << 10;

/// Items of one list in a specification (arguments, dependencies, labels, …).
const MAX_ITEMS: usize = 1000;

/// How long a submission waits for another one on the same root to finish; each takes
/// milliseconds.
const SUBMIT_PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn submit(backend: &LocalBackend, spec: Spec) -> Result<Job, JobError> {
    let script = check(&spec)?;
    let environment = environment(backend, &spec)?;
    if let Some(folder) = existing(backend, &spec)?
        && !never_began(&folder)?
    {
        return backend.settle(&folder).await;
    }
    let plan = plan(backend, &spec, script).await?;
    let root = &backend.options.root;
    let _alone = alone(root.join("submit.lock")).await?;
    // Between the first look and the lock, another process may have submitted this key.
    if let Some(folder) = existing(backend, &spec)? {
        return match never_began(&folder)?
            .then(|| folder.try_lock())
            .transpose()?
        {
            Some(Some(lock)) => begin(backend, &folder, lock, &environment),
            _ => backend.settle(&folder).await,
        };
    }
    let unfinished = backend.unfinished().await?;
    if unfinished >= MAX_UNFINISHED {
        return Err(JobError::Limit(format!(
            "{unfinished} local jobs have not ended yet; wait for one or cancel it"
        )));
    }
    start(backend, &spec, script, &plan, &environment)
}

/// Rules of the local back end. Returns the script.
fn check(spec: &Spec) -> Result<&Script, JobError> {
    let invalid = |text: String| Err(JobError::InvalidInput(text));
    let unsupported = |text: &str| Err(JobError::Unsupported(text.to_owned()));
    let Workload::Script(script) = &spec.workload else {
        return unsupported(
            "the local back end runs scripts, no containers; send what the image runs as a script",
        );
    };
    if spec.schedule.is_some() {
        return unsupported(
            "the local back end runs a job once and now, without a schedule; leave `schedule` out",
        );
    }
    if !spec.mounts.is_empty() {
        return unsupported(
            "the local back end mounts nothing: a local job runs in the workspace and sees its files; leave `mounts` empty",
        );
    }
    if let Some(flavor) = spec.flavor.as_deref().filter(|flavor| *flavor != FLAVOR) {
        return invalid(format!(
            "unknown flavor `{flavor}`; the local back end has only `{FLAVOR}`"
        ));
    }
    if !(1..=MAX_TIMEOUT_SECONDS).contains(&spec.timeout_seconds) {
        return invalid(format!(
            "a timeout is 1 to {MAX_TIMEOUT_SECONDS} seconds, not `{}`",
            spec.timeout_seconds
        ));
    }
    if script.source.trim().is_empty() {
        return invalid("the script is empty".to_owned());
    }
    if script.source.len() > MAX_SCRIPT_BYTES {
        return Err(JobError::Limit(format!(
            "a script has at most {MAX_SCRIPT_BYTES} bytes, this one has {}",
            script.source.len()
        )));
    }
    let lists = [
        ("arguments", script.arguments.len()),
        ("dependencies", script.dependencies.len()),
        ("env", spec.env.len()),
        ("credentials", spec.credentials.len()),
        ("labels", spec.labels.len()),
    ];
    if let Some((name, count)) = lists.into_iter().find(|(_, count)| *count > MAX_ITEMS) {
        return Err(JobError::Limit(format!(
            "`{name}` has at most {MAX_ITEMS} items, not {count}"
        )));
    }
    if script
        .arguments
        .iter()
        .any(|argument| argument.contains('\0'))
    {
        return invalid("a script argument contains a NUL byte".to_owned());
    }
    Ok(script)
}

/// The job's environment; later entries win, credentials over all.
fn environment(backend: &LocalBackend, spec: &Spec) -> Result<String, JobError> {
    let options = &backend.options;
    let mut all = vec![("PYTHONUNBUFFERED".to_owned(), "1".to_owned())];
    all.extend(options.env.iter().cloned());
    all.extend(spec.env.iter().cloned());
    for name in &spec.credentials {
        let Some(variables) = options.credentials.get(name) else {
            return Err(JobError::InvalidInput(format!(
                "no credential `{name}` is set up for jobs on this machine"
            )));
        };
        all.extend(variables.iter().cloned());
    }
    for (name, value) in &all {
        ml_intern_exec::check_env_name(name).map_err(JobError::InvalidInput)?;
        if value.contains('\0') {
            return Err(JobError::InvalidInput(format!(
                "the value of environment variable `{name}` contains a NUL byte"
            )));
        }
    }
    let text = serde_json::to_string(&all).map_err(|error| JobError::Io {
        action: "write the environment".to_owned(),
        source: error.into(),
    })?;
    if text.len() > MAX_ENVIRONMENT_BYTES {
        return Err(JobError::Limit(format!(
            "a job's environment has at most {MAX_ENVIRONMENT_BYTES} bytes; put large values in a file"
        )));
    }
    Ok(text)
}

async fn plan(backend: &LocalBackend, spec: &Spec, script: &Script) -> Result<Plan, JobError> {
    let options = &backend.options;
    let confinement = backend.confinement().await?;
    let metadata = Metadata::parse(&script.source)?;
    let mut dependencies = metadata.dependencies;
    dependencies.extend(script.dependencies.iter().cloned());
    for dependency in &dependencies {
        check_dependency(dependency)?;
    }
    let wanted = script.python.as_deref();
    let requires = metadata.requires_python.as_deref();
    let choice = python::choose(options, &confinement, wanted, requires).await?;
    let install = (!dependencies.is_empty() || choice.fetch.is_some()).then(|| Install {
        dependencies,
        uv: choice.uv,
        fetch: choice.fetch,
        // Whoever can change a package that another job installs can do what that job can.
        cache: options
            .root
            .join("cache")
            .join(short_hash(options.workspace.as_os_str().as_encoded_bytes())),
    });
    if let Some(install) = &install {
        check_network(install, confinement.level()?, spec.outbound.as_ref())?;
    }
    let mark = ml_intern_exec::random_hex(16).map_err(JobError::io("draw a random mark"))?;
    Ok(Plan {
        mark,
        workspace: options.workspace.clone(),
        path: options.path.clone(),
        python: choice.python,
        install,
        slots: options.running,
        memory_bytes: options.memory_bytes,
        confinement,
        outbound: spec.outbound.clone(),
    })
}

/// Packages come from the network: better to say so now than after minutes of failed attempts.
fn check_network(
    install: &Install,
    level: Isolation,
    outbound: Option<&Outbound>,
) -> Result<(), JobError> {
    let why = match level {
        _ if !install.needs_network() => return Ok(()),
        Isolation::None => return Ok(()),
        Isolation::Full if outbound.is_some_and(|outbound| outbound.granted) => return Ok(()),
        Isolation::Full => "and the network of jobs is not granted",
        _ => {
            "and this machine can isolate jobs only without any network; `ml-intern doctor` says why"
        }
    };
    let advice = outbound
        .filter(|_| level == Isolation::Full)
        .map_or(String::new(), |outbound| format!("; {}", outbound.advice));
    Err(JobError::NotGranted(format!(
        "the job's packages have to be fetched, {why}{advice}"
    )))
}

/// Enough of a hash to keep a few folders apart.
fn short_hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes)[..8])
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
    }
    text
}

/// The job that was submitted with this key, if its folder is still there.
fn existing(backend: &LocalBackend, spec: &Spec) -> Result<Option<Folder>, JobError> {
    let Some(file) = key_file(backend, spec) else {
        return Ok(None);
    };
    let id = match fs::read_to_string(&file) {
        Ok(id) => id,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(JobError::io(format!("read `{}`", file.display()))(error)),
    };
    let folder = Folder::of(&backend.options.root, id.trim().trim_matches('"'));
    // Without the folder it was a crash between key and folder: the job never was.
    Ok(folder.filter(Folder::exists))
}

/// Whether the host died after it named the job's folder and before a supervisor did anything with
/// it. Whoever submits the same key again begins it.
fn never_began(folder: &Folder) -> Result<bool, JobError> {
    let Ok(status) = folder.status() else {
        return Ok(false);
    };
    let left = match status.state {
        State::Queued => folder.try_lock()?.is_some(),
        // Somebody who looked in the meantime settled it.
        State::Failed => status.message.as_deref() == Some(SUPERVISOR_GONE),
        _ => false,
    };
    Ok(left && status.started_ms.is_none())
}

fn begin(
    backend: &LocalBackend,
    folder: &Folder,
    lock: File,
    environment: &str,
) -> Result<Job, JobError> {
    let status = Status::queued();
    folder.set_status(&status)?;
    spawn_supervisor(backend, folder, lock, environment)?;
    Ok(folder.job(status))
}

/// Keys may be long or hold slashes, so a file is named by their hash.
fn key_file(backend: &LocalBackend, spec: &Spec) -> Option<PathBuf> {
    let key = spec.idempotency_key.as_ref()?;
    let name = hex(&Sha256::digest(key.as_bytes()));
    Some(backend.options.root.join("keys").join(name))
}

/// One submission at a time on this root, over all processes.
async fn alone(path: PathBuf) -> Result<File, JobError> {
    let until = Instant::now() + SUBMIT_PATIENCE;
    loop {
        if let Some(lock) = try_lock(&path)? {
            return Ok(lock);
        }
        if Instant::now() >= until {
            return Err(JobError::Conflict(format!(
                "another submission holds `{}`; try again",
                path.display()
            )));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Builds the folder under another name, takes its lock, records the key, gives the folder
/// its name, and hands the lock to the supervisor. Whichever step is the last before a
/// crash, the key never names two jobs, and a named folder whose lock is free is a dead job.
fn start(
    backend: &LocalBackend,
    spec: &Spec,
    script: &Script,
    plan: &Plan,
    environment: &str,
) -> Result<Job, JobError> {
    let root = &backend.options.root;
    let scratch = root.join("new");
    if scratch.exists() {
        fs::remove_dir_all(&scratch).map_err(JobError::io("remove an unfinished job folder"))?;
    }
    make_private(&scratch)?;
    let draft = Folder::at(scratch.clone());
    write_json(&draft.file("spec.json"), spec)?;
    write_json(&draft.file("plan.json"), plan)?;
    let status = Status::queued();
    draft.set_status(&status)?;
    fs::write(draft.file("script.py"), &script.source).map_err(JobError::io("write the script"))?;
    let lock = draft.try_lock()?.ok_or_else(|| {
        JobError::Conflict("another process works in the same new job folder".to_owned())
    })?;

    let mut id = fresh_id()?;
    while root.join(&id).exists() {
        id = fresh_id()?;
    }
    let key = key_file(backend, spec);
    if let Some(key) = &key {
        make_private(&root.join("keys"))?;
        write_json(key, &id)?;
    }
    fs::rename(&scratch, root.join(&id)).map_err(JobError::io("name the job folder"))?;
    let folder = Folder::at(root.join(&id));
    if let Err(error) = spawn_supervisor(backend, &folder, lock, environment) {
        // The job never ran; what cannot be removed is reported as a dead job later.
        fs::remove_dir_all(folder.path()).unwrap_or_default();
        if let Some(key) = key {
            fs::remove_file(key).unwrap_or_default();
        }
        return Err(error);
    }
    Ok(folder.job(status))
}

fn spawn_supervisor(
    backend: &LocalBackend,
    folder: &Folder,
    lock: File,
    environment: &str,
) -> Result<(), JobError> {
    let mut argv = backend.options.supervisor.clone();
    argv.push(folder.path().into());
    let output = File::options()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(folder.file("supervisor.log"))
        .map_err(JobError::io("make the supervisor's log"))?;
    spawn_detached(Detached {
        argv: &argv,
        env: &[(ENVIRONMENT_VARIABLE, environment)],
        cwd: folder.path(),
        stdin: lock,
        output,
    })
    .map_err(from_exec)
}
