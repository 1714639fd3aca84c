//! The commit that a folder is at, as `git` says it.

use ml_intern_registry::Checkout;
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;

/// A repository that takes longer to look at is published without its commit.
const PATIENCE: Duration = Duration::from_secs(10);

/// None where the folder is in no repository, or there is no `git`.
pub(super) async fn of(folder: &Path) -> Option<Checkout> {
    let commit = git(folder, &["rev-parse", "HEAD"]).await?;
    let status = git(folder, &["status", "--porcelain", "--untracked-files=no"]).await;
    let remote = git(folder, &["remote", "get-url", "origin"]).await;
    Some(Checkout {
        repository: remote.as_deref().and_then(without_login),
        is_changed: status.is_none_or(|lines| !lines.is_empty()),
        commit,
    })
}

async fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    // A repository's own configuration may name a program for git to start.
    command.args(["-c", "core.fsmonitor=false", "-C"]);
    command.arg(folder).args(arguments).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output.ok()?.ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// An address that may be shown to everybody: people put tokens into those of their remotes.
fn without_login(address: &str) -> Option<String> {
    let Some((scheme, rest)) = address.split_once("://") else {
        // `git@host:path`, where the name is the service's own and no secret; a path of this machine stays here.
        return address.starts_with("git@").then(|| address.to_owned());
    };
    if scheme == "file" {
        return None;
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    Some(format!("{scheme}://{host}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::without_login;

    #[test]
    fn an_address_is_published_without_a_login_and_a_path_not_at_all() {
        for (address, shown) in [
            (
                "https://me:token@example.org/a/b.git",
                Some("https://example.org/a/b.git"),
            ),
            ("https://example.org/a?key=1", Some("https://example.org/a")),
            ("git@example.org:a/b.git", Some("git@example.org:a/b.git")),
            ("/srv/a.git", None),
            ("file:///srv/a.git", None),
        ] {
            assert_eq!(without_login(address).as_deref(), shown, "{address}");
        }
    }
}
