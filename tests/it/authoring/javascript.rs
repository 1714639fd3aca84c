//! New plugins in JavaScript and TypeScript, the example, and mistakes that their authors make.

use super::{
    a_new_notifier_tells, a_new_provider_asks_a_service, a_new_tool_is_called, built, plugin,
    support::{an_example_counts, fails, old},
};
use crate::support::ml_intern::Home;

#[tokio::test]
async fn a_new_tool_in_javascript_is_called() {
    a_new_tool_is_called("js").await;
}

#[tokio::test]
async fn a_new_notifier_in_javascript_tells() {
    a_new_notifier_tells("js").await;
}

#[tokio::test]
async fn a_new_provider_in_javascript_answers() {
    a_new_provider_asks_a_service("js").await;
}

#[tokio::test]
async fn a_new_tool_in_typescript_is_called() {
    a_new_tool_is_called("ts").await;
}

/// They are those in JavaScript with types, which are what this checks.
#[tokio::test]
async fn the_other_kinds_in_typescript_are_built() {
    for kind in ["notifier", "provider"] {
        let home = Home::new();
        let told = built(&home, "ts", kind).await.stdout;
        assert!(told.contains(kind), "{told}");
        assert!(told.contains("the network"), "{told}");
        assert!(!told.contains("native programs"), "{told}");
    }
}

#[tokio::test]
async fn what_a_tool_gets_is_inferred_from_its_schema() {
    let home = Home::new();
    built(&home, "ts", "tool").await;
    let types = include_str!("../../../sdk/js/tests/types.ts");
    home.write("my-tool/plugin.ts", types);
    plugin(&home, &["build", "my-tool"]).await.assert_code(0);
}

#[tokio::test]
async fn the_example_in_javascript_counts() {
    an_example_counts("js").await;
}

#[tokio::test]
async fn mistakes_in_typescript_are_told_where_they_are() {
    let home = Home::new();
    built(&home, "ts", "tool").await;
    let file = "my-tool/plugin.ts";
    let source = home.read(file);
    let argument = source.replace("count(readText(path)", "count(readText(min_length)");
    let inferred = source.replace("readText(path), minLength", "path.length, path");
    let package = r#"{ "dependencies": { "left": "1" } }"#;
    for (source, told) in [
        (format!("{source}\nconst x = ;\n"), &["plugin.ts"][..]),
        (argument, &["plugin.ts", "min_length"]),
        (inferred, &["plugin.ts", "'number'", "'string'"]),
        (
            source.replace("export const tools", "const tools"),
            &["export const tools"],
        ),
    ] {
        home.write(file, source);
        fails(&home, 1, told).await;
    }
    home.write(file, source);
    home.write("my-tool/package.json", package);
    fails(&home, 1, &["`left`", "npm install"]).await;
}

#[tokio::test]
async fn an_old_node_is_told_what_is_wanted() {
    let home = Home::new();
    plugin(&home, &["new", "my-tool", "--lang", "js"])
        .await
        .assert_code(0);
    old(&home, &["node"], "v18.19.0");
    fails(&home, 2, &["Node.js 20", "there is v18.19.0", "nodejs.org"]).await;
}
