//! `plugin new`: the folder of a plugin that builds as it is.

use crate::args::NewArgs;
use crate::error::{Kind, OrFail, Result};
use crate::ui;
use ml_intern_toolchain::scaffold;
use std::path::Path;

pub(crate) fn new(directory: Option<&Path>, arguments: &NewArgs) -> Result<u8> {
    let name = &arguments.name;
    let short = name.rsplit('/').next().unwrap_or(name);
    let folder = directory.unwrap_or(Path::new(".")).join(short);
    let files = scaffold(&folder, name, arguments.lang, arguments.kind).or_fail(Kind::Usage)?;
    ui::out(&format!(
        "a {} in {}, in {}:",
        arguments.kind,
        arguments.lang,
        folder.display()
    ));
    for file in files {
        ui::out(&format!("  {}", file.display()));
    }
    ui::out("  sdk/");
    ui::out(&format!(
        "build it with `ml-intern plugin build {}`",
        folder.display()
    ));
    Ok(0)
}
