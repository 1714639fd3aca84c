//! Folders: the workspace, opened for the call as far as its grant reaches. Every file operation of
//! every guest passes here before wasmtime-wasi does its part: reading, listing and streaming are
//! its own, whatever opens, makes, moves or removes something is done in [`change`].

mod change;
mod entry;
mod mount;
mod originals;
mod quota;
mod refusal;
mod stream;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::{Arc, Mutex};

use ml_intern_manifest::{Access, Denial, Effective, Limits, WORKSPACE_MOUNT, shorten};
use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::filesystem::{
    Descriptor, Dir, File as OpenFile, WasiFilesystemCtx, WasiFilesystemCtxView,
};
use wasmtime_wasi::p2::bindings::filesystem::types::{self, ErrorCode, HostDescriptor};
use wasmtime_wasi::p2::bindings::filesystem::{preopens, types::HostDirectoryEntryStream};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};
use wasmtime_wasi::{FsPerms, OpenMode};

pub use self::originals::{KeepsOriginals, Original};
pub use self::quota::Written;

use self::change::{How, Opened};
use self::mount::Mount;
use self::originals::Originals;
use self::quota::Quota;
use self::refusal::{Refused, Why};
use self::stream::{Of, Reading, Writing};
use crate::call::{Call, Touch};
use crate::state::PluginState;

/// The folder that the call sees, if its grant has one.
pub(crate) type Files = Option<Arc<Mount>>;

/// Opens what the call's rules grant. A call that is held to reading has rules without writing.
pub(crate) fn open(call: &Call) -> Result<Files, String> {
    let setup = &call.setup;
    let (Some(_), Some(workspace)) = (access(call), setup.workspace.as_deref()) else {
        return Ok(None);
    };
    let quota = Quota::new(&setup.limits, setup.written.clone());
    let mut mount = Mount::open(workspace, &setup.protected, quota)?;
    mount.originals = setup.services.originals.clone().map(|keeper| Originals {
        keeper,
        call: call.context.call.clone(),
        told: Mutex::default(),
    });
    Ok(Some(Arc::new(mount)))
}

/// Reads a file of `folder` for the host itself, as a plugin would be let: a regular file, links
/// only within the folder, and no more than its first `most` bytes.
///
/// # Errors
/// There is no such file, or it is none of those.
pub fn read_below(folder: &Path, path: &str, most: u64) -> std::io::Result<Vec<u8>> {
    let quota = Quota::new(&Limits::default(), Written::default());
    let mount = Mount::open(folder, &[], quota).map_err(std::io::Error::other)?;
    let start = Arc::new(mount.folder.try_clone()?);
    let how = How {
        read: true,
        follow: true,
        ..How::default()
    };
    match change::open(&mount, &start, path, how) {
        Ok(Opened::File(file)) => {
            let mut bytes = Vec::new();
            file.take(most).read_to_end(&mut bytes)?;
            Ok(bytes)
        }
        Ok(Opened::Folder(_)) => Err(std::io::ErrorKind::IsADirectory.into()),
        Err(Refused::Io(error)) => Err(error),
        Err(Refused::Denied(why)) => Err(std::io::Error::other(why.denial("fs.read", path).detail)),
        Err(Refused::Spent(spent)) => Err(std::io::Error::other(spent.to_string())),
    }
}

/// Makes a file of `folder` what it was, for the host itself: `bytes`, or nothing where there was none. Links lead nowhere
/// else, and only regular files are written.
///
/// # Errors
/// It cannot be written or removed.
pub fn restore_below(folder: &Path, path: &str, bytes: Option<&[u8]>) -> std::io::Result<()> {
    let quota = Quota::new(&Limits::default(), Written::default());
    let mount = Mount::open(folder, &[], quota).map_err(std::io::Error::other)?;
    let start = Arc::new(mount.folder.try_clone()?);
    change::restore(&mount, &start, path, bytes).map_err(|refused| match refused {
        Refused::Io(error) => error,
        Refused::Denied(why) => std::io::Error::other(why.denial("fs.write", path).detail),
        Refused::Spent(spent) => std::io::Error::other(spent.to_string()),
    })
}

/// The rules in force at this moment.
fn rules(call: &Call) -> Arc<Effective> {
    call.effective()
}

fn access(call: &Call) -> Option<Access> {
    rules(call).fs.access(WORKSPACE_MOUNT)
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Read,
    Write,
}

impl Asked {
    fn capability(self) -> &'static str {
        match self {
            Self::Read => "fs.read",
            Self::Write => "fs.write",
        }
    }
}

/// Asks the grant. `path` is made only for a denial.
fn allow(call: &Call, asked: Asked, path: impl FnOnce() -> String) -> Result<(), ErrorCode> {
    let rules = rules(call);
    let write = asked == Asked::Write;
    if rules.fs.allows(WORKSPACE_MOUNT, write) {
        return Ok(());
    }
    let path = path();
    if let Err(denial) = rules.fs.check_path(WORKSPACE_MOUNT, write, &path) {
        deny(call, &path, denial);
    }
    Err(ErrorCode::NotPermitted)
}

/// Remembers and writes down what was not done, unless it was the system that could not.
fn remember(call: &Call, asked: Asked, path: &str, refused: &Refused) {
    match refused {
        Refused::Io(_) => {}
        Refused::Spent(spent) => {
            let denial = spent.denial();
            call.limited(denial.capability, || denial.detail.clone());
            // The guest has its error number already; so below.
            let _told = call.deny(denial);
        }
        Refused::Denied(why) => deny(call, path, why.denial(asked.capability(), path)),
    }
}

fn deny(call: &Call, path: &str, denial: Denial) {
    let _told = call.refuse(denial, format!("{WORKSPACE_MOUNT}/{}", shorten(path)));
}

/// A guest's path, with the folder it starts from in front.
fn shown(mount: &Mount, start: &File, path: &str) -> String {
    let real = |file: &File| std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let below = real(start).and_then(|start| {
        let below = start
            .strip_prefix(real(&mount.folder)?)
            .map(|below| below.to_owned());
        below.map_err(std::io::Error::other)
    });
    // Without `/proc` the path is told as the guest wrote it.
    let below = below.unwrap_or_default();
    match path {
        "" => below.to_string_lossy().into_owned(),
        path => below.join(path).to_string_lossy().into_owned(),
    }
}

pub(crate) struct View<'a> {
    pub(crate) call: &'a Arc<Call>,
    pub(crate) mount: &'a Files,
    pub(crate) table: &'a mut ResourceTable,
    pub(crate) foreign: bool,
    pub(crate) misses_folder: &'a mut bool,
}

struct Folders;

impl HasData for Folders {
    type Data<'a> = View<'a>;
}

/// Takes the place of wasmtime-wasi's own interfaces, whole.
pub(crate) fn link(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    types::add_to_linker::<_, Folders>(linker, PluginState::files)?;
    preopens::add_to_linker::<_, Folders>(linker, PluginState::files)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// wasmtime-wasi's implementation, on the same table.
macro_rules! wasi {
    ($view:expr) => {
        &mut WasiFilesystemCtxView {
            ctx: &mut WasiFilesystemCtx::default(),
            table: $view.table,
        }
    };
}

impl View<'_> {
    /// Only a call that has a folder has descriptors of files.
    fn mount(&self) -> FsResult<Arc<Mount>> {
        self.mount.clone().ok_or(ErrorCode::BadDescriptor.into())
    }

    fn folder(&self, fd: &Resource<Descriptor>) -> FsResult<Arc<File>> {
        match self.table.get(fd)? {
            Descriptor::Dir(folder) => Ok(Arc::clone(&folder.dir)),
            Descriptor::File(_) => Err(ErrorCode::NotDirectory.into()),
        }
    }

    fn file(&self, fd: &Resource<Descriptor>) -> FsResult<Arc<File>> {
        match self.table.get(fd)? {
            Descriptor::File(file) => Ok(Arc::clone(&file.file)),
            Descriptor::Dir(_) => Err(ErrorCode::BadDescriptor.into()),
        }
    }

    fn opened(&self, fd: &Resource<Descriptor>) -> FsResult<Arc<File>> {
        match self.table.get(fd)? {
            Descriptor::File(file) => Ok(Arc::clone(&file.file)),
            Descriptor::Dir(folder) => Ok(Arc::clone(&folder.dir)),
        }
    }

    /// Whether what `fd` holds may be read or written.
    fn allow(&self, asked: Asked, fd: &Resource<Descriptor>) -> FsResult<()> {
        let (mount, file) = (self.mount()?, self.opened(fd)?);
        Ok(allow(self.call, asked, || shown(&mount, &file, ""))?)
    }

    /// Whether `path` below `fd` may be looked at.
    fn allow_below(&self, fd: &Resource<Descriptor>, path: &str) -> FsResult<()> {
        let (mount, folder) = (self.mount()?, self.folder(fd)?);
        Ok(allow(self.call, Asked::Read, || {
            shown(&mount, &folder, path)
        })?)
    }

    fn refuse(&self, asked: Asked, start: &File, path: &str, refused: Refused) -> FsError {
        if !matches!(refused, Refused::Io(_))
            && let Some(mount) = self.mount
        {
            remember(self.call, asked, &shown(mount, start, path), &refused);
        }
        refused.code().into()
    }

    /// What wasmtime-wasi says of a path that leads out, it says of nothing else.
    fn looked_at<T>(
        &self,
        fd: &Resource<Descriptor>,
        path: &str,
        done: FsResult<T>,
    ) -> FsResult<T> {
        done.map_err(|error| match error.downcast_ref() {
            Some(ErrorCode::NotPermitted) => match self.folder(fd) {
                Ok(folder) => self.refuse(Asked::Read, &folder, path, Why::Outside.into()),
                Err(error) => error,
            },
            _ => error,
        })
    }

    /// Tells whoever watches what was done with a file.
    fn tell(&self, touch: Touch, fd: &Resource<Descriptor>, path: &str) -> FsResult<()> {
        let (mount, start) = (self.mount()?, self.folder(fd)?);
        let path = || shown(&mount, &start, path);
        self.call.observer().file(touch, &path);
        Ok(())
    }

    /// Does `work` on a thread that may wait for a disk.
    async fn change<T: Send + 'static>(
        &mut self,
        asked: Asked,
        fd: &Resource<Descriptor>,
        path: &str,
        work: impl FnOnce(&Mount, &Arc<File>) -> Result<T, Refused> + Send + 'static,
    ) -> FsResult<T> {
        let (mount, folder) = (self.mount()?, self.folder(fd)?);
        allow(self.call, asked, || shown(&mount, &folder, path))?;
        let start = Arc::clone(&folder);
        let done = wasmtime_wasi::runtime::spawn_blocking(move || work(&mount, &start)).await;
        done.map_err(|refused| self.refuse(asked, &folder, path, refused))
    }

    /// The same with a second path.
    async fn change_two(
        &mut self,
        (fd, path): (&Resource<Descriptor>, String),
        (new_fd, new_path): (&Resource<Descriptor>, String),
        work: impl FnOnce(&Mount, (&Arc<File>, &str), (&Arc<File>, &str)) -> Result<(), Refused>
        + Send
        + 'static,
    ) -> FsResult<()> {
        let new_start = self.folder(new_fd)?;
        let old = path.clone();
        let both = move |mount: &Mount, start: &Arc<File>| {
            work(mount, (start, &old), (&new_start, &new_path))
        };
        self.change(Asked::Write, fd, &path, both).await
    }

    /// Counts what is about to be written to an open file: `bytes` at `offset`, and the hole before.
    fn charge(&self, fd: &Resource<Descriptor>, offset: u64, bytes: u64) -> FsResult<()> {
        self.allow(Asked::Write, fd)?;
        let (mount, file) = (self.mount()?, self.file(fd)?);
        let count = || {
            let hole = change::growth(&*file, offset)?;
            Ok(mount.quota.charge(hole.saturating_add(bytes))?)
        };
        count().map_err(|refused| self.refuse(Asked::Write, &file, "", refused))
    }

    fn of(&self, fd: &Resource<Descriptor>) -> FsResult<Of> {
        Ok(Of {
            call: Arc::clone(self.call),
            mount: self.mount()?,
            file: self.file(fd)?,
        })
    }

    fn writing(
        &mut self,
        of: Of,
        stream: Resource<DynOutputStream>,
    ) -> FsResult<Resource<DynOutputStream>> {
        let inner = self.table.delete(stream)?;
        let stream: DynOutputStream = Box::new(Writing { of, inner });
        Ok(self.table.push(stream)?)
    }
}

impl preopens::Host for View<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let (Some(mount), Some(access)) = (self.mount, access(self.call)) else {
            *self.misses_folder = true;
            return Ok(Vec::new());
        };
        let (asked, permissions, mode) = match access {
            Access::Read => (Asked::Read, FsPerms::ReadOnly, OpenMode::READ),
            Access::ReadWrite => (Asked::Write, FsPerms::ReadWrite, OpenMode::all()),
        };
        if mount.first_look() {
            let rule = rules(self.call).fs.describe();
            self.call
                .allowed(asked.capability(), WORKSPACE_MOUNT.to_owned(), rule);
        }
        let mut folders = Vec::new();
        for name in self.names() {
            let folder = Dir::new(mount.folder.try_clone()?, permissions, mode, false);
            folders.push((self.table.push(Descriptor::Dir(folder))?, name));
        }
        Ok(folders)
    }
}

impl View<'_> {
    /// The names of the folder. A component of plain functions takes paths as a model writes them,
    /// who knows the workspace by its real path and works in it.
    fn names(&self) -> Vec<String> {
        let mut names = vec![WORKSPACE_MOUNT.to_owned()];
        if self.foreign {
            names.push(".".to_owned());
            let real = self.call.setup.workspace.as_ref();
            names.extend(real.map(|path| path.display().to_string()));
        }
        names
    }
}

impl types::Host for View<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        let error = self.table.get(&error)?.downcast_ref::<std::io::Error>();
        Ok(error.map(|error| match error.raw_os_error() {
            Some(number) if number == rustix::io::Errno::DQUOT.raw_os_error() => ErrorCode::Quota,
            _ => error.into(),
        }))
    }
}

impl HostDescriptor for View<'_> {
    async fn advise(
        &mut self,
        fd: Resource<Descriptor>,
        offset: types::Filesize,
        length: types::Filesize,
        advice: types::Advice,
    ) -> FsResult<()> {
        self.allow(Asked::Read, &fd)?;
        HostDescriptor::advise(wasi!(self), fd, offset, length, advice).await
    }

    async fn sync_data(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        self.allow(Asked::Read, &fd)?;
        HostDescriptor::sync_data(wasi!(self), fd).await
    }

    async fn sync(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        self.allow(Asked::Read, &fd)?;
        HostDescriptor::sync(wasi!(self), fd).await
    }

    async fn get_flags(&mut self, fd: Resource<Descriptor>) -> FsResult<types::DescriptorFlags> {
        self.allow(Asked::Read, &fd)?;
        HostDescriptor::get_flags(wasi!(self), fd).await
    }

    async fn get_type(&mut self, fd: Resource<Descriptor>) -> FsResult<types::DescriptorType> {
        self.allow(Asked::Read, &fd)?;
        HostDescriptor::get_type(wasi!(self), fd).await
    }

    async fn set_size(&mut self, fd: Resource<Descriptor>, size: types::Filesize) -> FsResult<()> {
        self.charge(&fd, size, 0)?;
        HostDescriptor::set_size(wasi!(self), fd, size).await
    }

    async fn set_times(
        &mut self,
        fd: Resource<Descriptor>,
        accessed: types::NewTimestamp,
        modified: types::NewTimestamp,
    ) -> FsResult<()> {
        self.allow(Asked::Write, &fd)?;
        let mount = self.mount()?;
        let (file, refused) = match self.table.get(&fd)? {
            Descriptor::Dir(folder) => (Arc::clone(&folder.dir), mount.guard_folder(&folder.dir)),
            // What may be written was looked at when it was opened.
            Descriptor::File(file) => (
                Arc::clone(&file.file),
                match file.open_mode.contains(OpenMode::WRITE) {
                    true => Ok(()),
                    false => Err(Why::OpenedToRead.into()),
                },
            ),
        };
        refused.map_err(|refused| self.refuse(Asked::Write, &file, "", refused))?;
        HostDescriptor::set_times(wasi!(self), fd, accessed, modified).await
    }

    async fn read(
        &mut self,
        fd: Resource<Descriptor>,
        length: types::Filesize,
        offset: types::Filesize,
    ) -> FsResult<(Vec<u8>, bool)> {
        self.allow(Asked::Read, &fd)?;
        HostDescriptor::read(wasi!(self), fd, length, offset).await
    }

    async fn write(
        &mut self,
        fd: Resource<Descriptor>,
        buffer: Vec<u8>,
        offset: types::Filesize,
    ) -> FsResult<types::Filesize> {
        self.charge(&fd, offset, buffer.len() as u64)?;
        HostDescriptor::write(wasi!(self), fd, buffer, offset).await
    }

    async fn read_directory(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> FsResult<Resource<types::DirectoryEntryStream>> {
        self.allow(Asked::Read, &fd)?;
        HostDescriptor::read_directory(wasi!(self), fd).await
    }

    async fn create_directory_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
    ) -> FsResult<()> {
        let new = path.clone();
        let make = move |mount: &Mount, start: &_| change::create_folder(mount, start, &new);
        self.change(Asked::Write, &fd, &path, make).await
    }

    async fn stat(&mut self, fd: Resource<Descriptor>) -> FsResult<types::DescriptorStat> {
        self.allow(Asked::Read, &fd)?;
        HostDescriptor::stat(wasi!(self), fd).await
    }

    async fn stat_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
    ) -> FsResult<types::DescriptorStat> {
        self.allow_below(&fd, &path)?;
        let own = Resource::new_borrow(fd.rep());
        let done = HostDescriptor::stat_at(wasi!(self), own, flags, path.clone()).await;
        self.looked_at(&fd, &path, done)
    }

    async fn set_times_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
        accessed: types::NewTimestamp,
        modified: types::NewTimestamp,
    ) -> FsResult<()> {
        let times = Timestamps {
            last_access: timespec(accessed)?,
            last_modification: timespec(modified)?,
        };
        let follow = flags.contains(types::PathFlags::SYMLINK_FOLLOW);
        let own = path.clone();
        let set =
            move |mount: &Mount, start: &_| change::set_times(mount, start, &own, follow, &times);
        self.change(Asked::Write, &fd, &path, set).await
    }

    async fn link_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
        new_fd: Resource<Descriptor>,
        new_path: String,
    ) -> FsResult<()> {
        if flags.contains(types::PathFlags::SYMLINK_FOLLOW) {
            return Err(ErrorCode::Invalid.into());
        }
        self.change_two((&fd, path), (&new_fd, new_path), change::link)
            .await
    }

    async fn open_at(
        &mut self,
        fd: Resource<Descriptor>,
        path_flags: types::PathFlags,
        path: String,
        open: types::OpenFlags,
        flags: types::DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        let how = how(path_flags, open, flags)?;
        let asked = if how.write { Asked::Write } else { Asked::Read };
        let own = path.clone();
        let open = move |mount: &Mount, start: &_| change::open(mount, start, &own, how);
        let opened = self.change(asked, &fd, &path, open).await?;
        let permissions = match access(self.call) {
            Some(Access::ReadWrite) => FsPerms::ReadWrite,
            _ => FsPerms::ReadOnly,
        };
        let mut mode = OpenMode::empty();
        mode.set(OpenMode::READ, how.read);
        mode.set(OpenMode::WRITE, how.write);
        let descriptor = match opened {
            Opened::File(file) => {
                let touch = if how.write {
                    Touch::Written
                } else {
                    Touch::Read
                };
                self.tell(touch, &fd, &path)?;
                Descriptor::File(OpenFile::new(file, permissions, mode, false))
            }
            Opened::Folder(folder) => Descriptor::Dir(Dir::new(folder, permissions, mode, false)),
        };
        Ok(self.table.push(descriptor)?)
    }

    fn drop(&mut self, fd: Resource<Descriptor>) -> wasmtime::Result<()> {
        HostDescriptor::drop(wasi!(self), fd)
    }

    async fn readlink_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<String> {
        self.allow_below(&fd, &path)?;
        let own = Resource::new_borrow(fd.rep());
        let done = HostDescriptor::readlink_at(wasi!(self), own, path.clone()).await;
        self.looked_at(&fd, &path, done)
    }

    async fn remove_directory_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
    ) -> FsResult<()> {
        let own = path.clone();
        let remove = move |mount: &Mount, start: &_| change::remove(mount, start, &own, true);
        self.change(Asked::Write, &fd, &path, remove).await
    }

    async fn rename_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
        new_fd: Resource<Descriptor>,
        new_path: String,
    ) -> FsResult<()> {
        let (old, new) = (path.clone(), new_path.clone());
        self.change_two((&fd, path), (&new_fd, new_path), change::rename)
            .await?;
        self.tell(Touch::Removed, &fd, &old)?;
        self.tell(Touch::Written, &new_fd, &new)
    }

    async fn symlink_at(
        &mut self,
        fd: Resource<Descriptor>,
        target: String,
        path: String,
    ) -> FsResult<()> {
        let own = path.clone();
        let link = move |mount: &Mount, start: &_| change::symlink(mount, &target, start, &own);
        self.change(Asked::Write, &fd, &path, link).await
    }

    async fn unlink_file_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        let own = path.clone();
        let remove = move |mount: &Mount, start: &_| change::remove(mount, start, &own, false);
        self.change(Asked::Write, &fd, &path, remove).await?;
        self.tell(Touch::Removed, &fd, &path)
    }

    fn read_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: types::Filesize,
    ) -> FsResult<Resource<DynInputStream>> {
        self.allow(Asked::Read, &fd)?;
        // A folder gets its own error from there.
        let of = self.of(&fd);
        let stream = HostDescriptor::read_via_stream(wasi!(self), fd, offset)?;
        let (of, inner) = (of?, self.table.delete(stream)?);
        let stream: DynInputStream = Box::new(Reading { of, inner });
        Ok(self.table.push(stream)?)
    }

    fn write_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: types::Filesize,
    ) -> FsResult<Resource<DynOutputStream>> {
        self.charge(&fd, offset, 0)?;
        let of = self.of(&fd)?;
        let stream = HostDescriptor::write_via_stream(wasi!(self), fd, offset)?;
        self.writing(of, stream)
    }

    fn append_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> FsResult<Resource<DynOutputStream>> {
        self.allow(Asked::Write, &fd)?;
        let of = self.of(&fd)?;
        let stream = HostDescriptor::append_via_stream(wasi!(self), fd)?;
        self.writing(of, stream)
    }

    async fn is_same_object(
        &mut self,
        one: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        HostDescriptor::is_same_object(wasi!(self), one, other).await
    }

    async fn metadata_hash(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> FsResult<types::MetadataHashValue> {
        self.allow(Asked::Read, &fd)?;
        HostDescriptor::metadata_hash(wasi!(self), fd).await
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
    ) -> FsResult<types::MetadataHashValue> {
        self.allow_below(&fd, &path)?;
        let own = Resource::new_borrow(fd.rep());
        let done = HostDescriptor::metadata_hash_at(wasi!(self), own, flags, path.clone()).await;
        self.looked_at(&fd, &path, done)
    }
}

impl HostDirectoryEntryStream for View<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<types::DirectoryEntryStream>,
    ) -> FsResult<Option<types::DirectoryEntry>> {
        HostDirectoryEntryStream::read_directory_entry(wasi!(self), stream).await
    }

    fn drop(&mut self, stream: Resource<types::DirectoryEntryStream>) -> wasmtime::Result<()> {
        HostDirectoryEntryStream::drop(wasi!(self), stream)
    }
}

/// The flags of `open-at`, as wasmtime-wasi understands them.
fn how(
    path: types::PathFlags,
    open: types::OpenFlags,
    flags: types::DescriptorFlags,
) -> Result<How, ErrorCode> {
    use types::{DescriptorFlags as Flag, OpenFlags as Open};
    let synced = Flag::FILE_INTEGRITY_SYNC | Flag::DATA_INTEGRITY_SYNC | Flag::REQUESTED_WRITE_SYNC;
    if flags.intersects(synced) {
        return Err(ErrorCode::Unsupported);
    }
    let makes = Open::CREATE | Open::EXCLUSIVE | Open::TRUNCATE;
    if open.contains(Open::DIRECTORY) && open.intersects(makes) {
        return Err(ErrorCode::Invalid);
    }
    let write = flags.contains(Flag::WRITE);
    Ok(How {
        // What is not opened for writing is opened for reading.
        read: flags.contains(Flag::READ) || !write,
        write: write || open.intersects(Open::CREATE | Open::TRUNCATE),
        create: open.contains(Open::CREATE),
        exclusive: open.contains(Open::EXCLUSIVE),
        truncate: open.contains(Open::TRUNCATE),
        folder: open.contains(Open::DIRECTORY),
        follow: path.contains(types::PathFlags::SYMLINK_FOLLOW),
    })
}

fn timespec(time: types::NewTimestamp) -> Result<Timespec, ErrorCode> {
    let (tv_sec, tv_nsec) = match time {
        types::NewTimestamp::NoChange => (0, UTIME_OMIT),
        types::NewTimestamp::Now => (0, UTIME_NOW),
        types::NewTimestamp::Timestamp(time) => {
            if time.nanoseconds >= 1_000_000_000 {
                return Err(ErrorCode::Invalid);
            }
            let seconds = time.seconds.try_into().map_err(|_| ErrorCode::Overflow)?;
            (seconds, time.nanoseconds.into())
        }
    };
    Ok(Timespec { tv_sec, tv_nsec })
}
