//! A stranger's provider gets the user's key for the place that the user approved.

use super::{COLUMNS, bench::Bench};
use crate::support::fake::Reply;

#[tokio::test]
async fn a_place_that_nobody_approved_is_not_asked_for_its_models() {
    let example = COLUMNS
        .iter()
        .copied()
        .find(|provider| provider.name == "the example")
        .unwrap();
    let bench = Bench::steps(example, [Reply::text("never")]).await;
    let list = async || {
        let args = ["models", "list", "--provider", "acme"];
        bench.home.ml_intern(args).run().await
    };
    let listed = list().await;
    listed.assert_code(0);
    assert!(
        listed.stdout.contains("acme/fake-model"),
        "{}",
        listed.stdout
    );

    let manifest = example.manifest.replace("{base-url}", "http://127.0.0.1:1");
    bench.home.write("ml-intern.toml", manifest);
    let refused = list().await;
    refused.assert_code(7);
    let change = "grant added: reaches http://127.0.0.1:1";
    assert!(refused.stderr.contains(change), "{}", refused.stderr);
}
