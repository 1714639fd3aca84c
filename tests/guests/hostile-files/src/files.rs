//! One operation on one file.

use std::collections::BTreeMap;

use ml_intern_plugin::{Error, Output};
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{
    Descriptor, DescriptorFlags, ErrorCode, NewTimestamp, OpenFlags, PathFlags,
};

use crate::{Told, done};

/// What an error number of WASI is among a plugin's errors.
fn failed(code: ErrorCode) -> Error {
    match code {
        ErrorCode::NotPermitted | ErrorCode::Access | ErrorCode::ReadOnly => {
            Error::denied("fs", code.name())
        }
        ErrorCode::Quota => Error::Limit(code.name().to_owned()),
        ErrorCode::NoEntry => Error::NotFound(code.name().to_owned()),
        _ => Error::Internal(code.name().to_owned()),
    }
}

/// The workspace, or the folder of it that `from` names.
fn start(told: &Told) -> Result<Descriptor, Error> {
    let root = get_directories().into_iter().next();
    let (root, _) = root.ok_or_else(|| Error::denied("fs", "there is no folder"))?;
    match told.from.as_str() {
        "" => Ok(root),
        from => root
            .open_at(
                PathFlags::SYMLINK_FOLLOW,
                from,
                OpenFlags::DIRECTORY,
                DescriptorFlags::READ,
            )
            .map_err(failed),
    }
}

fn open(told: &Told, open: OpenFlags, flags: DescriptorFlags) -> Result<Descriptor, Error> {
    let opened = start(told)?.open_at(PathFlags::SYMLINK_FOLLOW, &told.path, open, flags);
    opened.map_err(failed)
}

fn content(told: &Told) -> Result<String, Error> {
    let file = open(told, OpenFlags::empty(), DescriptorFlags::READ)?;
    let (bytes, _) = file.read(4096, 0).map_err(failed)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

pub(crate) fn read(told: Told) -> Result<Output, Error> {
    Ok(Output::text(content(&told)?))
}

pub(crate) fn write(told: Told) -> Result<Output, Error> {
    let flags = OpenFlags::CREATE | OpenFlags::TRUNCATE;
    let file = open(&told, flags, DescriptorFlags::WRITE)?;
    file.write(b"by the guest", 0).map_err(failed)?;
    done()
}

pub(crate) fn append(told: Told) -> Result<Output, Error> {
    let file = open(&told, OpenFlags::empty(), DescriptorFlags::WRITE)?;
    let stream = file.append_via_stream().map_err(failed)?;
    stream
        .blocking_write_and_flush(b"by the guest")
        .map_err(|error| Error::Internal(format!("{error:?}")))?;
    done()
}

pub(crate) fn resize(told: Told) -> Result<Output, Error> {
    let file = open(&told, OpenFlags::empty(), DescriptorFlags::WRITE)?;
    file.set_size(told.amount).map_err(failed)?;
    done()
}

pub(crate) fn look(told: Told) -> Result<Output, Error> {
    let start = start(&told)?;
    let stat = start.stat_at(PathFlags::SYMLINK_FOLLOW, &told.path);
    let target = start.readlink_at(&told.path);
    let stat = stat.map_err(failed)?;
    Ok(Output::text(format!("{} bytes, to {target:?}", stat.size)))
}

pub(crate) fn make_folder(told: Told) -> Result<Output, Error> {
    start(&told)?
        .create_directory_at(&told.path)
        .map_err(failed)?;
    done()
}

pub(crate) fn remove(told: Told) -> Result<Output, Error> {
    start(&told)?.unlink_file_at(&told.path).map_err(failed)?;
    done()
}

pub(crate) fn remove_folder(told: Told) -> Result<Output, Error> {
    start(&told)?
        .remove_directory_at(&told.path)
        .map_err(failed)?;
    done()
}

/// From the folder `from` to one of the workspace: two descriptors.
pub(crate) fn rename(told: Told) -> Result<Output, Error> {
    let to = start(&Told::default())?;
    start(&told)?
        .rename_at(&told.path, &to, &told.other)
        .map_err(failed)?;
    done()
}

pub(crate) fn link(told: Told) -> Result<Output, Error> {
    let to = start(&Told::default())?;
    start(&told)?
        .link_at(PathFlags::empty(), &told.path, &to, &told.other)
        .map_err(failed)?;
    done()
}

pub(crate) fn symlink(told: Told) -> Result<Output, Error> {
    start(&told)?
        .symlink_at(&told.other, &told.path)
        .map_err(failed)?;
    done()
}

pub(crate) fn touch(told: Told) -> Result<Output, Error> {
    let now = NewTimestamp::Now;
    start(&told)?
        .set_times_at(PathFlags::SYMLINK_FOLLOW, &told.path, now, now)
        .map_err(failed)?;
    done()
}

pub(crate) fn touch_open(told: Told) -> Result<Output, Error> {
    let now = NewTimestamp::Now;
    let file = open(&told, OpenFlags::empty(), DescriptorFlags::READ)?;
    file.set_times(now, now).map_err(failed)?;
    done()
}

/// WASI has no modes; the standard library says so.
pub(crate) fn set_mode(told: Told) -> Result<Output, Error> {
    let path = std::path::Path::new("/workspace").join(&told.path);
    let mut permissions = std::fs::metadata(&path)?.permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&path, permissions)?;
    done()
}

pub(crate) fn read_often(told: Told) -> Result<Output, Error> {
    let mut seen = BTreeMap::new();
    for _ in 0..told.amount {
        let what = content(&told).unwrap_or_else(|error| format!("! {}", error.message()));
        *seen.entry(what).or_insert(0) += 1;
    }
    Ok(Output::text(format!("{seen:?}")))
}
