//! Folders: the workspace, opened for the call as far as its grant reaches. wasmtime-wasi keeps
//! every path of the guest below it.

use std::path::Path;

use ml_intern_manifest::{Access, FsRules, WORKSPACE_MOUNT};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

/// Opens what `rules` grant. A call that is held to reading has rules without writing.
pub(crate) fn open(
    wasi: &mut WasiCtxBuilder,
    rules: &FsRules,
    workspace: Option<&Path>,
) -> Result<(), String> {
    let (Some(access), Some(workspace)) = (rules.access(WORKSPACE_MOUNT), workspace) else {
        return Ok(());
    };
    let permissions = match access {
        Access::Read => FsPerms::ReadOnly,
        Access::ReadWrite => FsPerms::ReadWrite,
    };
    match wasi.preopened_dir(workspace, WORKSPACE_MOUNT, permissions) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "cannot open the workspace `{}`: {error}",
            workspace.display()
        )),
    }
}
