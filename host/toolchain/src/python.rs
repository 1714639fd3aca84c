//! Plugins in Python: componentize-py puts an interpreter that has imported the plugin into a component.

use std::fs;
use std::path::{Path, PathBuf};

use crate::componentize::WIT;
use crate::error::Error;
use crate::language::Language;
use crate::sdk::write_file;
use crate::tools::{Tools, at_least, sdk};
use crate::workshop::{Program, Workshop};

/// What `sdk/python` and componentize-py run on.
const OLDEST: (u32, u32) = (3, 10);

/// The interpreter that componentize-py has in it, for which an author's packages are chosen.
const INSIDE: &str = "3.14";

/// The component of the plugin in the workshop's folder, without its manifest.
pub(crate) async fn component(workshop: &mut Workshop<'_>) -> Result<Vec<u8>, Error> {
    let sdk = sdk(workshop, "build.py")?;
    let python = environment(workshop, &sdk).await?;
    let packages = packages(workshop, &python).await?;
    let work = workshop.fresh("python")?;
    let (wit, output) = (work.join("plugin.wit"), work.join("component.wasm"));
    write_file(&wit, WIT.as_bytes())?;
    workshop.step("building with componentize-py");
    // Nothing is left in the author's folder, and nothing of the user's own packages comes in.
    let mut build = Program::new(python.display().to_string(), ["-B", "-I"]);
    build = build.arg(sdk.join("build.py"));
    for (name, value) in [
        ("--folder", &workshop.folder),
        ("--wit", &wit),
        ("--work", &work),
        ("--output", &output),
    ] {
        build = build.arg(name).arg(value);
    }
    if let Some(packages) = &packages {
        build = build.arg("--path").arg(packages);
    }
    if workshop.requests_http {
        build = build.arg("--http");
    }
    workshop.run(build).await?;
    fs::read(&output).map_err(Error::file("read", &output))
}

/// The interpreter of an environment that has what `sdk/requirements.txt` pins.
async fn environment(workshop: &mut Workshop<'_>, sdk: &Path) -> Result<PathBuf, Error> {
    let (python, version) = interpreter(workshop).await?;
    let requirements = sdk.join("requirements.txt");
    let pins = fs::read(&requirements).map_err(Error::file("read", &requirements))?;
    let tools = Tools::of(workshop, "python", &[&pins, version.as_bytes()]);
    let inside = |folder: &Path| folder.join("bin/python");
    if let Some(folder) = tools.there() {
        return Ok(inside(folder));
    }
    workshop.step("installing componentize-py, once (70 MB)");
    let folder = tools.begin()?;
    let made = Program::new(python, ["-m", "venv"]).arg(folder);
    if workshop.start(made).await?.exit_code != Some(0) {
        return Err(missing("Python's module venv"));
    }
    let install = [
        "-I",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ];
    let install = Program::new(inside(folder).display().to_string(), install);
    workshop
        .run(install.arg("--requirement").arg(&requirements))
        .await?;
    Ok(inside(tools.finish()?))
}

/// The author's own packages, where `requirements.txt` names some. The interpreter inside the component
/// loads no native code, so that only packages in Python alone are taken.
async fn packages(workshop: &mut Workshop<'_>, python: &Path) -> Result<Option<PathBuf>, Error> {
    let requirements = workshop.folder.join("requirements.txt");
    if !requirements.is_file() {
        return Ok(None);
    }
    let wanted = fs::read(&requirements).map_err(Error::file("read", &requirements))?;
    let tools = Tools::of(workshop, "python-packages", &[&wanted, INSIDE.as_bytes()]);
    if let Some(folder) = tools.there() {
        return Ok(Some(folder.to_owned()));
    }
    workshop.step("installing the packages of requirements.txt");
    let folder = tools.begin()?;
    let install = [
        "-I",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-compile",
        "--only-binary=:all:",
        "--platform=any",
        "--implementation=py",
        "--abi=none",
        "--python-version",
        INSIDE,
        "--target",
    ];
    let install = Program::new(python.display().to_string(), install).arg(folder);
    let installed = workshop
        .run(install.arg("--requirement").arg(&requirements))
        .await;
    installed.map_err(|error| match error {
        Error::Failed { how, .. } => Error::Failed {
            program: "pip".to_owned(),
            how: format!(
                "{how}\na component takes packages that are in Python alone, without native code"
            ),
        },
        other => other,
    })?;
    Ok(Some(tools.finish()?.to_owned()))
}

/// An installed interpreter with its version.
async fn interpreter(workshop: &mut Workshop<'_>) -> Result<(String, String), Error> {
    let mut old = None;
    for name in ["python3", "python"] {
        let Some(path) = workshop.find(name) else {
            continue;
        };
        let path = path.display().to_string();
        let outcome = workshop
            .start(Program::new(&path, ["--version"]).quiet())
            .await?;
        let version = String::from_utf8_lossy(&outcome.stdout).trim().to_owned();
        if at_least(&version, OLDEST) {
            return Ok((path, version));
        }
        old = Some(version);
    }
    let (major, minor) = OLDEST;
    let found = old.map_or(String::new(), |version| format!(" (there is {version})"));
    Err(missing(&format!("Python {major}.{minor} or newer{found}")))
}

fn missing(what: &str) -> Error {
    Error::ToolChain {
        language: Language::Python,
        what: what.to_owned(),
        ways: vec![
            "on Debian or Ubuntu: apt-get install python3 python3-venv".to_owned(),
            "on macOS: brew install python".to_owned(),
            "elsewhere: https://www.python.org/downloads".to_owned(),
        ],
    }
}
