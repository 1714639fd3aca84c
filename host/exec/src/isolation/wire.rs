//! What passes between the host and the processes that it starts in namespaces: messages of one
//! size over a pair of sockets, the first ones with descriptors.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, Result};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Descriptors of one message: two namespaces and a listener.
const MAX_DESCRIPTORS: usize = 3;
const SPACE: usize = rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS));
const BYTES: usize = 16;

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message {
    /// Descriptors: the user namespace, the network namespace, and the listener if one was asked
    /// for.
    Room,
    /// The first process of a new process namespace has this id; its descriptor comes along.
    Forked(i32),
    /// The program runs.
    Started,
    /// The program ended with this wait status; its background children may go on.
    Exited(i32),
    /// Something could not be done. `step` counts within the stage.
    Failed { stage: Stage, step: i32, errno: i32 },
}

macro_rules! stages {
    ($($name:ident => $text:literal,)*) => {
        /// What is done between `fork` and `exec`, in words that complete "could not".
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Stage { $($name,)* }

        impl Stage {
            const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stage of this number; the last one for a number that is none.
            pub(super) fn of(number: u8) -> Self {
                let known = Self::ALL.get(usize::from(number));
                known.copied().unwrap_or(Self::Execute)
            }

            pub(super) fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

stages! {
    Users => "name the user in a user namespace",
    Loopback => "set up the network namespace",
    Namespaces => "enter the namespaces",
    Processes => "make mount, process, IPC and host-name namespaces",
    Root => "prepare a tree of files",
    Mount => "mount",
    Pivot => "change to the tree of files",
    Capabilities => "drop capabilities",
    Landlock => "apply Landlock",
    Filter => "apply the system call filter",
    Fork => "start a process",
    Streams => "connect the standard streams",
    Limits => "set resource limits",
    Directory => "change to the working directory",
    Execute => "execute the program",
}

impl Message {
    fn encode(self) -> [u8; BYTES] {
        let fields = match self {
            Self::Room => [1, 0, 0, 0],
            Self::Forked(id) => [2, id, 0, 0],
            Self::Started => [3, 0, 0, 0],
            Self::Exited(status) => [4, status, 0, 0],
            Self::Failed { stage, step, errno } => [5, stage as i32, step, errno],
        };
        let mut bytes = [0; BYTES];
        for (part, field) in bytes.chunks_exact_mut(4).zip(fields) {
            part.copy_from_slice(&field.to_ne_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = [0; 4];
        let parts = bytes.get(..BYTES)?.chunks_exact(4);
        for (field, part) in fields.iter_mut().zip(parts) {
            *field = i32::from_ne_bytes(part.try_into().ok()?);
        }
        match fields {
            [1, ..] => Some(Self::Room),
            [2, id, ..] => Some(Self::Forked(id)),
            [3, ..] => Some(Self::Started),
            [4, status, ..] => Some(Self::Exited(status)),
            [5, stage, step, errno] => Some(Self::Failed {
                stage: *Stage::ALL.get(usize::try_from(stage).ok()?)?,
                step,
                errno,
            }),
            _ => None,
        }
    }

    /// Async-signal-safe.
    pub(super) fn send(
        self,
        channel: BorrowedFd<'_>,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<()> {
        let mut space = [MaybeUninit::uninit(); SPACE];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(Errno::MSGSIZE);
        }
        let bytes = self.encode();
        sendmsg(
            channel,
            &[IoSlice::new(&bytes)],
            &mut control,
            SendFlags::NOSIGNAL,
        )?;
        Ok(())
    }

    /// None when the other side is gone.
    pub(super) fn receive(channel: impl AsFd) -> Result<Option<(Self, Vec<OwnedFd>)>> {
        let mut space = [MaybeUninit::uninit(); SPACE];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [0; BYTES];
        let received = recvmsg(
            channel,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        if received.bytes == 0 {
            return Ok(None);
        }
        let mut descriptors = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        let message = Self::decode(&bytes[..received.bytes]).ok_or(Errno::BADMSG)?;
        Ok(Some((message, descriptors)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_descriptors_arrive_as_they_were_sent() {
        let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
        let all = [
            Message::Room,
            Message::Forked(7),
            Message::Started,
            Message::Exited(-1),
            Message::Failed {
                stage: Stage::Execute,
                step: 3,
                errno: 2,
            },
        ];
        for message in all {
            message.send(near.as_fd(), &[near.as_fd()]).unwrap();
            let (received, descriptors) = Message::receive(&far).unwrap().unwrap();
            assert_eq!((received, descriptors.len()), (message, 1));
        }
        assert_eq!(Message::decode(&[9; BYTES]), None);
        drop(near);
        assert!(Message::receive(&far).unwrap().is_none());
    }
}
