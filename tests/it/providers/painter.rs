//! The guest of this name, which answers with a picture.

use serde_json::json;

use super::{
    Bench, Provider,
    bench::{configure, text},
};
use crate::support::{
    fake::{Asked, Reply, Script},
    guests::{Installed, install},
};

/// The model gets the picture as one.
pub(super) async fn sees(provider: &'static Provider) {
    let script = Script::new(|asked: &Asked<'_>| match asked.assistant_messages() {
        0 => Reply::call("paint", json!({})),
        _ => Reply::text(format!("I see {} of them.", asked.images())),
    });
    let bench = Bench::new(provider, script).await;
    install(&bench.home, &[Installed::guest("painter")]).await;
    let manifest = bench.home.read("ml-intern.toml");
    let manifest = manifest + provider.manifest;
    configure(&bench.home, &manifest, bench.fake()).await;
    let ran = bench.done(&["paint"]).await;
    assert_eq!(ran.answer(), "I see 1 of them.");
    let body = text(bench.fake().chats().last().unwrap());
    assert!(body.contains("a red pixel"), "{body}");
    // How every PNG begins, in base64.
    assert!(body.contains("iVBORw0KGgo"), "{body}");
}
