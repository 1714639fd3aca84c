//! What this machine lets us do, found by doing it.

use std::sync::Arc;

use super::contain::{Contained, Inside};
use super::{Isolation, Room, Support, View, landlock};
use crate::cgroup::Group;
use crate::{ExecError, Limits};

pub(super) async fn find() -> Support {
    let version = landlock::version();
    let groups = Group::is_possible();
    let mut missing = Vec::new();
    let level = match full().await {
        Ok(()) => Isolation::Full,
        Err(error) => {
            missing.push(format!("no namespaces: {}; {}", explain(&error), remedy()));
            if version >= landlock::WITH_TRUNCATION {
                Isolation::Landlock
            } else {
                Isolation::None
            }
        }
    };
    missing.extend(without_landlock(version, level));
    if !groups {
        missing.push(
            "no control group that this user may divide, so memory is bounded for each process and not for all together; start the host with `systemd-run --user --scope -p Delegate=yes`"
                .to_owned(),
        );
    }
    Support {
        level,
        missing,
        groups,
    }
}

/// Everything that a program goes through, without the program.
async fn full() -> Result<(), ExecError> {
    let room = Arc::new(Room::open(None).await?);
    let inside = Inside {
        view: &View::default(),
        limits: &Limits::default(),
        rlimits: Vec::new(),
        room,
        program: None,
    };
    let mut contained = Contained::start(inside).await?;
    let status = contained.wait().await.map_err(|source| ExecError::Io {
        action: "wait for a trial program",
        source,
    })?;
    if status.success() {
        Ok(())
    } else {
        Err(ExecError::Isolation(format!(
            "a trial program ended with {status}"
        )))
    }
}

fn without_landlock(version: i32, level: Isolation) -> Option<String> {
    let text = match version {
        0 => {
            "no Landlock, which Linux has since 5.13: add `landlock` to the kernel parameter `lsm=`"
                .to_owned()
        }
        version if version < landlock::WITH_TRUNCATION => format!(
            "Landlock of version {version} does not watch files being shortened; Linux 6.2 and later do"
        ),
        version if version < landlock::WITH_SCOPES && level == Isolation::Landlock => format!(
            "Landlock of version {version} does not hold back signals, so a program can end other processes of this user; Linux 6.12 and later do"
        ),
        _ => return None,
    };
    Some(text)
}

/// What usually stands in the way of namespaces, and how to remove it.
fn remedy() -> String {
    let setting = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/")));
        text.ok().map(|text| text.trim().to_owned())
    };
    let is = |name: &str, value: &str| setting(name).as_deref() == Some(value);
    let text = if is("kernel.apparmor_restrict_unprivileged_userns", "1") {
        "AppArmor refuses them to ordinary programs: `sysctl kernel.apparmor_restrict_unprivileged_userns=0`, or a profile with `userns` for this program"
    } else if is("kernel.unprivileged_userns_clone", "0") {
        "allow them with `sysctl kernel.unprivileged_userns_clone=1`"
    } else if is("user.max_user_namespaces", "0") {
        "allow them with `sysctl user.max_user_namespaces=10000`"
    } else if std::path::Path::new("/.dockerenv").exists() {
        "in a container, start it with `--security-opt seccomp=unconfined --security-opt systempaths=unconfined`"
    } else {
        "the kernel or a security policy refuses them to this user"
    };
    text.to_owned()
}

fn explain(error: &ExecError) -> String {
    match error {
        ExecError::Isolation(text) => text.clone(),
        other => other.to_string(),
    }
}
