//! Plugins in JavaScript and TypeScript: componentize-js puts an engine that has run the plugin's
//! modules into a core module, and this crate makes the component of it.

use std::fs;
use std::path::{Path, PathBuf};

use ml_intern_manifest::Kind;

use crate::componentize::{WIT, componentize};
use crate::error::Error;
use crate::language::Language;
use crate::sdk::write_file;
use crate::tools::{Tools, at_least, sdk};
use crate::workshop::{Program, Workshop};

/// What componentize-js runs on.
const OLDEST: (u32, u32) = (20, 0);

/// The files of `sdk/js/toolchain`, which the tools are installed by.
const FILES: [&str; 5] = [
    "package.json",
    "package-lock.json",
    "build.mjs",
    "jco/package.json",
    "jco/index.js",
];

/// The component of the plugin in the workshop's folder, without its manifest.
pub(crate) async fn component(workshop: &mut Workshop<'_>) -> Result<Vec<u8>, Error> {
    let sdk = sdk(workshop, "toolchain/build.mjs")?;
    let node = node(workshop).await?;
    let tools = tools(workshop, &sdk).await?;
    let work = workshop.fresh("js")?;
    let (wit, output) = (work.join("plugin.wit"), work.join("core.wasm"));
    write_file(&wit, WIT.as_bytes())?;
    workshop.step("building with componentize-js");
    let mut build = Program::new(node, [tools.join("build.mjs").display().to_string()]);
    for (name, value) in [
        ("--folder", &workshop.folder),
        ("--wit", &wit),
        ("--work", &work),
        ("--output", &output),
    ] {
        build = build.arg(name).arg(value);
    }
    if workshop.requests_http {
        build = build.arg("--http");
    }
    workshop.run(build).await?;
    let module = fs::read(&output).map_err(Error::file("read", &output))?;
    workshop.step("making the component");
    // The kind counts only where a module does not say what world it is of, and this one does.
    componentize(&output.display().to_string(), module, Kind::Tool)
}

/// The folder with componentize-js and what it is called by.
async fn tools(workshop: &mut Workshop<'_>, sdk: &Path) -> Result<PathBuf, Error> {
    let from = sdk.join("toolchain");
    let mut files = Vec::new();
    for name in FILES {
        let file = from.join(name);
        files.push(fs::read(&file).map_err(Error::file("read", &file))?);
    }
    let inputs: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let tools = Tools::of(workshop, "js", &inputs);
    if let Some(folder) = tools.there() {
        return Ok(folder.to_owned());
    }
    let Some(npm) = workshop.find("npm") else {
        return Err(missing("npm"));
    };
    workshop.step("installing componentize-js, once (120 MB)");
    let folder = tools.begin()?;
    for (name, content) in FILES.iter().zip(&files) {
        write_file(&folder.join(name), content)?;
    }
    let install = [
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ];
    let mut install = Program::new(npm.display().to_string(), install);
    install.cwd = Some(folder.to_owned());
    workshop.run(install).await?;
    Ok(tools.finish()?.to_owned())
}

/// The path of an installed Node.js.
async fn node(workshop: &mut Workshop<'_>) -> Result<String, Error> {
    let (major, _) = OLDEST;
    let wanted = format!("Node.js {major} or newer");
    let Some(path) = workshop.find("node") else {
        return Err(missing(&wanted));
    };
    let path = path.display().to_string();
    let outcome = workshop
        .start(Program::new(&path, ["--version"]).quiet())
        .await?;
    let version = String::from_utf8_lossy(&outcome.stdout).trim().to_owned();
    match at_least(&version, OLDEST) {
        true => Ok(path),
        false => Err(missing(&format!("{wanted} (there is {version})"))),
    }
}

fn missing(what: &str) -> Error {
    Error::ToolChain {
        language: Language::JavaScript,
        what: what.to_owned(),
        ways: vec![
            "on Debian 13 or newer: apt-get install nodejs npm".to_owned(),
            "on macOS: brew install node".to_owned(),
            "elsewhere: https://nodejs.org/en/download".to_owned(),
        ],
    }
}
