//! What lies outside: files, the network, programs, the host.

use std::{env, fs};

use ml_intern_plugin::keyvalue::Bucket;
use ml_intern_plugin::{Error, Output, http, process};

use crate::Told;

pub(crate) fn read_outside(told: Told) -> Result<Output, Error> {
    Ok(Output::text(fs::read_to_string(told.path)?))
}

pub(crate) fn write_file(_: Told) -> Result<Output, Error> {
    fs::write("/workspace/written.txt", "by the guest")?;
    Ok(Output::text("written"))
}

pub(crate) fn write_when_read_only(told: Told) -> Result<Output, Error> {
    write_file(told)
}

pub(crate) fn env_and_args(_: Told) -> Result<Output, Error> {
    let listed = |path: &str| match fs::read_dir(path) {
        Ok(entries) => {
            let names = entries.flatten().map(|entry| entry.file_name());
            let names: Vec<String> = names
                .map(|name| name.to_string_lossy().into_owned())
                .collect();
            format!("{names:?}")
        }
        Err(error) => error.to_string(),
    };
    let seen = [
        format!("variables: {:?}", env::vars_os().collect::<Vec<_>>()),
        format!("arguments: {:?}", env::args_os().collect::<Vec<_>>()),
        format!("root: {}", listed("/")),
        format!("home: {}", listed("/home")),
        format!("above: {}", listed("/workspace/..")),
        format!("process: {:?}", fs::read("/proc/self/environ")),
    ];
    Ok(Output::text(seen.join("\n")))
}

pub(crate) fn fetch(told: Told) -> Result<Output, Error> {
    let send = |url: &str| {
        let method = told.method.as_deref().unwrap_or("GET");
        http::Request::new(method, url).send()
    };
    let response = send(&told.url)?;
    let next = response.header("location").map(str::to_owned);
    let response = match next {
        Some(next) if told.follow => send(&next)?,
        _ => response,
    };
    let status = response.status();
    let text = response.text(1 << 20)?;
    Ok(Output::text(format!("{status} {text}")))
}

pub(crate) fn run_program(told: Told) -> Result<Output, Error> {
    let outcome = process::run(&process::Command {
        program: told.program,
        arguments: told.arguments,
        env: Vec::new(),
        cwd: None,
        stdin: None,
        timeout_ms: 60_000,
        max_output_bytes: 4096,
    })?;
    Ok(Output::text(format!(
        "{:?} {}{}",
        outcome.exit_code,
        String::from_utf8_lossy(&outcome.stdout),
        String::from_utf8_lossy(&outcome.stderr)
    )))
}

pub(crate) fn remember(told: Told) -> Result<Output, Error> {
    Bucket::session()?.set("value", told.value.as_bytes())?;
    Ok(Output::text("remembered"))
}

pub(crate) fn recall(_: Told) -> Result<Output, Error> {
    let value = Bucket::session()?.get("value")?;
    Ok(Output::text(match value {
        Some(value) => String::from_utf8_lossy(&value).into_owned(),
        None => "nothing".to_owned(),
    }))
}
