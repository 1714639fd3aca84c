//! The namespaces that all programs of one caller share.

use std::any::Any;
use std::ffi::{CStr, CString};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::child::{RoomSetup, TreeSetup};
use super::layout::{self, Step, Tree};
use super::sys::{self, Fork};
use super::view::View;
use super::wire::{Message, Stage};
use crate::ExecError;

/// Where a program finds its way out to the network: a port of its own loopback address. Nothing
/// else listens in a new network namespace, so it can always be the same.
const PORT: u16 = 3128;

/// A user and a network namespace. Programs in one room reach each other by the loopback address,
/// also when one command started a server and another one uses it; nobody else is reached, but
/// through the listener that is given out when the room is made.
pub struct Room {
    user: OwnedFd,
    network: OwnedFd,
    gateway: Option<Gateway>,
    /// The tree of files of the programs that ran last: most see the same.
    tree: tokio::sync::Mutex<Option<(View, Arc<RoomTree>)>>,
}

/// A tree of files, built once for many runs.
#[derive(Debug)]
pub(super) struct RoomTree {
    pub(super) namespace: OwnedFd,
    pub(super) tree: Tree,
    pub(super) rights: Vec<(CString, u64)>,
}

/// The way out of a room.
struct Gateway {
    direct: Vec<String>,
    /// Ends what serves the listener.
    _served: Box<dyn Any + Send + Sync>,
}

/// What a room is made with.
pub struct Network {
    /// Called with a listener on the room's loopback address, that speaks to its programs as an
    /// HTTP proxy. What it returns is dropped when the room ends.
    pub serve: Box<dyn FnOnce(TcpListener) -> Box<dyn Any + Send + Sync> + Send>,
    /// Names of the loopback address by which programs reach one another; a name that is left
    /// out goes to the proxy.
    pub direct: Vec<String>,
}

impl Room {
    /// Makes a room; without a network its programs only reach each other.
    ///
    /// # Errors
    /// [`ExecError::Isolation`] where the system refuses namespaces.
    pub async fn open(network: Option<Network>) -> Result<Self, ExecError> {
        let channel = begin()?;
        let (user, namespace, listener) = match receive(&channel).await? {
            Some((Message::Room, descriptors)) => <[OwnedFd; 3]>::try_from(descriptors)
                .map_err(|_| broken("a new room is incomplete"))?
                .into(),
            Some((message, _)) => return Err(failure(message, |_, _| None)),
            None => return Err(broken("making namespaces ended without a word")),
        };
        let gateway = match network {
            None => None,
            Some(network) => {
                let listener = TcpListener::from(listener);
                let io = |source| ExecError::Io {
                    action: "use the listener of a room",
                    source,
                };
                listener.set_nonblocking(true).map_err(io)?;
                Some(Gateway {
                    _served: (network.serve)(listener),
                    direct: network.direct,
                })
            }
        };
        Ok(Self {
            user,
            network: namespace,
            gateway,
            tree: tokio::sync::Mutex::default(),
        })
    }

    pub(super) fn namespaces(&self) -> [&OwnedFd; 2] {
        [&self.user, &self.network]
    }

    /// The tree for this view; `memory` bounds `/tmp` where that is in memory.
    pub(super) async fn tree(&self, view: &View, memory: u64) -> Result<Arc<RoomTree>, ExecError> {
        // What is protected is added by each run.
        let view = View {
            protected: Vec::new(),
            ..view.clone()
        };
        let mut built = self.tree.lock().await;
        if let Some((known, tree)) = &*built
            && *known == view
        {
            return Ok(tree.clone());
        }
        let tree = Arc::new(self.build(&view, memory).await?);
        *built = Some((view, tree.clone()));
        Ok(tree)
    }

    async fn build(&self, view: &View, memory: u64) -> Result<RoomTree, ExecError> {
        let (tree, steps) = layout::plan(view, memory)?;
        let channel = begin_tree(&self.user, &steps)?;
        match receive(&channel).await? {
            Some((Message::Room, mut descriptors)) => Ok(RoomTree {
                namespace: descriptors
                    .pop()
                    .ok_or_else(|| broken("a new tree is incomplete"))?,
                rights: tree.rights(),
                tree,
            }),
            Some((message, _)) => Err(failure(message, |stage, step| {
                step_name(&steps, &[], stage, step)
            })),
            None => Err(broken("building the tree of files ended without a word")),
        }
    }

    /// Variables by which programs find the proxy.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let Some(gateway) = &self.gateway else {
            return Vec::new();
        };
        let proxy = format!("http://127.0.0.1:{PORT}");
        let direct = gateway.direct.join(",");
        let both = |name: &str, value: &str| {
            [name.to_lowercase(), name.to_uppercase()].map(|name| (name, value.to_owned()))
        };
        ["http_proxy", "https_proxy", "all_proxy"]
            .into_iter()
            .flat_map(|name| both(name, &proxy))
            .chain(both("no_proxy", &direct))
            .collect()
    }
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room")
            .field("gateway", &self.gateway.is_some())
            .finish_non_exhaustive()
    }
}

/// Starts the process that makes the namespaces.
fn begin() -> Result<Channel, ExecError> {
    let (near, far) = pair()?;
    let user = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    let map = |id: u32| CString::new(format!("{id} {id} 1")).expect("digits and blanks");
    let setup = RoomSetup {
        channel: far.as_raw_fd(),
        user_map: map(user),
        group_map: map(group),
        port: PORT,
    };
    let mask = sys::block_signals();
    let forked = fork_room(&setup);
    sys::restore_signals(&mask);
    let handle = forked.map_err(|errno| {
        ExecError::Isolation(format!("namespaces are refused: {}", describe(errno)))
    })?;
    Channel::new(near, handle)
}

/// Starts the process that builds a tree of files.
fn begin_tree(user: &OwnedFd, steps: &[Step]) -> Result<Channel, ExecError> {
    let (near, far) = pair()?;
    let mut setup = TreeSetup {
        channel: far.as_raw_fd(),
        user: user.as_raw_fd(),
        steps,
        base: base(),
        mounts: steps.iter().map(|_| None).collect(),
    };
    let mask = sys::block_signals();
    let forked = fork_tree(&mut setup);
    sys::restore_signals(&mask);
    let handle = forked.map_err(|errno| {
        ExecError::Isolation(format!("could not start a process: {}", describe(errno)))
    })?;
    Channel::new(near, handle)
}

#[expect(unsafe_code, reason = "see the safety comment")]
fn fork_tree(setup: &mut TreeSetup<'_>) -> rustix::io::Result<OwnedFd> {
    // SAFETY: `TreeSetup::run` only makes system calls on prepared memory, and does not return.
    match unsafe { sys::fork(0) }? {
        Fork::Child => setup.run(),
        Fork::Parent { handle, .. } => Ok(handle),
    }
}

/// A folder that is everywhere, to mount the new tree on for a moment.
fn base() -> &'static CStr {
    if Path::new("/tmp").is_dir() {
        c"/tmp"
    } else {
        c"/usr"
    }
}

/// What a mount or a rule was about.
pub(super) fn step_name(
    steps: &[Step],
    rights: &[(CString, u64)],
    stage: Stage,
    step: usize,
) -> Option<String> {
    match stage {
        Stage::Mount => {}
        Stage::Landlock => {
            let (path, _) = rights.get(step)?;
            return Some(path.to_string_lossy().into_owned());
        }
        _ => return None,
    }
    let name = match steps.get(step)? {
        Step::Folder(place) | Step::File(place) | Step::Link { place, .. } => {
            format!(
                "{}/{}",
                place.folder.to_string_lossy(),
                place.name.to_string_lossy()
            )
        }
        Step::Tree { source, .. } => return Some(source.to_string_lossy().into_owned()),
        Step::Memory { path, .. }
        | Step::Proc { path, .. }
        | Step::Terminals(path)
        | Step::Seal(path) => path.to_string_lossy().into_owned(),
    };
    Some(format!("/{}", name.trim_start_matches('/')))
}

#[expect(unsafe_code, reason = "see the safety comment")]
fn fork_room(setup: &RoomSetup) -> rustix::io::Result<OwnedFd> {
    let flags = libc::CLONE_NEWUSER | libc::CLONE_NEWNET;
    // SAFETY: `RoomSetup::run` only makes system calls on prepared memory, and does not return.
    match unsafe { sys::fork(flags) }? {
        Fork::Child => setup.run(),
        Fork::Parent { handle, .. } => Ok(handle),
    }
}

/// A pair of sockets. Each message fits one packet of the kernel's, so none arrives in parts.
pub(super) fn pair() -> Result<(OwnedFd, OwnedFd), ExecError> {
    let stream = SocketType::STREAM;
    let made = rustix::net::socketpair(AddressFamily::UNIX, stream, SocketFlags::CLOEXEC, None);
    made.map_err(|errno| ExecError::Io {
        action: "make a pair of sockets",
        source: errno.into(),
    })
}

/// The host's end of a pair, and the short-lived process that was forked with the other.
pub(super) struct Channel {
    socket: UnixStream,
    child: ShortLived,
}

/// A process that is collected when it is dropped.
struct ShortLived(OwnedFd);

impl Channel {
    pub(super) fn new(socket: OwnedFd, child: OwnedFd) -> Result<Self, ExecError> {
        let io = |source| ExecError::Io {
            action: "listen to an isolated process",
            source,
        };
        let socket = std::os::unix::net::UnixStream::from(socket);
        socket.set_nonblocking(true).map_err(io)?;
        Ok(Self {
            socket: UnixStream::from_std(socket).map_err(io)?,
            child: ShortLived(child),
        })
    }

    /// The socket, once the short-lived process has done its part.
    pub(super) fn into_socket(self) -> UnixStream {
        drop(self.child);
        self.socket
    }
}

impl Drop for ShortLived {
    fn drop(&mut self) {
        collect(&self.0);
    }
}

/// Collects a process that has ended or is about to. One that is not is killed: it makes a few
/// system calls, and waits for nobody.
fn collect(child: &OwnedFd) {
    use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
    let ended = |options| {
        waitid(
            WaitId::PidFd(child.as_fd()),
            WaitIdOptions::EXITED | options,
        )
    };
    if matches!(ended(WaitIdOptions::NOHANG), Ok(None)) {
        let mut poll = [rustix::event::PollFd::new(
            child,
            rustix::event::PollFlags::IN,
        )];
        let patience = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 200_000_000,
        };
        let over = rustix::event::poll(&mut poll, Some(&patience));
        if !matches!(over, Ok(1)) {
            let _gone_is_as_good = pidfd_send_signal(child, Signal::KILL);
        }
        let _collected_elsewhere = ended(WaitIdOptions::empty());
    }
}

pub(super) async fn receive(
    channel: &Channel,
) -> Result<Option<(Message, Vec<OwnedFd>)>, ExecError> {
    receive_on(&channel.socket).await
}

/// None when the other side is gone.
pub(super) async fn receive_on(
    socket: &UnixStream,
) -> Result<Option<(Message, Vec<OwnedFd>)>, ExecError> {
    let io = |source| ExecError::Io {
        action: "listen to an isolated process",
        source,
    };
    loop {
        socket.readable().await.map_err(io)?;
        match socket.try_io(Interest::READABLE, || Ok(Message::receive(socket)?)) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            // It ended with something of ours unread.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                return Ok(None);
            }
            result => return result.map_err(io),
        }
    }
}

pub(super) fn broken(what: &str) -> ExecError {
    ExecError::Isolation(what.to_owned())
}

pub(super) fn describe(errno: rustix::io::Errno) -> std::io::Error {
    errno.into()
}

/// The error of a stage that failed; `step` names what one of its steps was about.
pub(super) fn failure(
    message: Message,
    step: impl Fn(Stage, usize) -> Option<String>,
) -> ExecError {
    let Message::Failed {
        stage,
        step: number,
        errno,
    } = message
    else {
        return broken("an isolated process said something unexpected");
    };
    let source = std::io::Error::from_raw_os_error(errno);
    let about = usize::try_from(number)
        .ok()
        .and_then(|number| step(stage, number))
        .map(|name| format!(" `{name}`"))
        .unwrap_or_default();
    ExecError::Isolation(format!("could not {}{about}: {source}", stage.text()))
}
