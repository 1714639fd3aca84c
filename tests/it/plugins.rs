use crate::support::{
    guests::{Installed, guest, install, outcomes, run},
    ml_intern::Home,
};

mod broken;
mod change;
pub(crate) mod foreign;
mod grants;
mod lock;
mod manage;
pub(crate) mod many;
pub(crate) mod naughty;
pub(crate) mod target;
mod values;

/// The module with tests for each guest that these tests load.
pub(crate) mod guests {
    pub(crate) use super::{foreign as plain, many, naughty};
}

/// A home whose workspace holds the guest `naughty`, granted what the lines in TOML say, locked.
pub(crate) async fn home(grant: &str) -> Home {
    let home = Home::new();
    install(&home, &[Installed::guest("naughty").grant(grant)]).await;
    home
}

fn manifest(grant: &str) -> String {
    let entry = Installed::guest("naughty").grant(grant).entry();
    format!("[agent]\npermission-mode = \"auto\"\n\n{entry}")
}
