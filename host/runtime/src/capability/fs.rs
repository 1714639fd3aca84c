//! Folders: the workspace, opened for the call as far as its grant reaches. wasmtime-wasi keeps
//! every path of the guest below it.

use ml_intern_manifest::{Access, WORKSPACE_MOUNT};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use crate::call::Call;

/// Opens what the grant allows. A call that is held to reading has rules without writing.
pub(crate) fn open(wasi: &mut WasiCtxBuilder, call: &Call) -> Result<(), String> {
    let rules = &call.effective().fs;
    let (Some(access), Some(workspace)) = (rules.access(WORKSPACE_MOUNT), &call.setup.workspace)
    else {
        return Ok(());
    };
    let (permissions, capability) = match access {
        Access::Read => (FsPerms::ReadOnly, "fs.read"),
        Access::ReadWrite => (FsPerms::ReadWrite, "fs.write"),
    };
    match wasi.preopened_dir(workspace, WORKSPACE_MOUNT, permissions) {
        Ok(_) => {
            call.allowed(capability, WORKSPACE_MOUNT.to_owned(), rules.describe());
            Ok(())
        }
        Err(error) => Err(format!(
            "cannot open the workspace `{}`: {error}",
            workspace.display()
        )),
    }
}
