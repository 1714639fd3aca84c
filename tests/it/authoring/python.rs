//! New plugins in Python, the example, and mistakes that their authors make.

use super::{
    a_new_notifier_tells, a_new_provider_asks_a_service, a_new_tool_is_called, built, plugin,
    support::{an_example_counts, fails, old},
};
use crate::support::ml_intern::Home;

#[tokio::test]
async fn a_new_tool_in_python_is_called() {
    a_new_tool_is_called("python").await;
}

#[tokio::test]
async fn a_new_notifier_in_python_tells() {
    a_new_notifier_tells("python").await;
}

#[tokio::test]
async fn a_new_provider_in_python_answers() {
    a_new_provider_asks_a_service("python").await;
}

#[tokio::test]
async fn the_example_in_python_counts() {
    an_example_counts("python").await;
}

#[tokio::test]
async fn mistakes_in_python_are_told_where_they_are() {
    let home = Home::new();
    built(&home, "python", "tool").await;
    let file = "my-tool/plugin.py";
    let source = home.read(file);
    let set = "from ml_intern import tool\n\n@tool\ndef a(b: set) -> str:\n    \"\"\"A.\"\"\"\n";
    for (source, told) in [
        (format!("{source}\nx = = 1\n"), &["plugin.py", "line"][..]),
        (format!("{source}\nimport nowhere\n"), &["nowhere"]),
        (set.to_owned(), &["no JSON Schema", "set"]),
        ("x = 1\n".to_owned(), &["@tool"]),
    ] {
        home.write(file, source);
        fails(&home, 1, told).await;
    }
}

#[tokio::test]
async fn an_old_python_is_told_what_is_wanted() {
    let home = Home::new();
    plugin(&home, &["new", "my-tool", "--lang", "python"])
        .await
        .assert_code(0);
    old(&home, &["python3", "python"], "Python 3.8.1");
    let told = [
        "Python 3.10",
        "there is Python 3.8.1",
        "apt-get install python3",
    ];
    fails(&home, 2, &told).await;
}

#[tokio::test]
async fn a_plugin_without_its_sdk_says_how_it_comes_back() {
    let home = Home::new();
    plugin(&home, &["new", "my-tool", "--lang", "python"])
        .await
        .assert_code(0);
    std::fs::remove_dir_all(home.workspace().join("my-tool/sdk")).unwrap();
    fails(&home, 2, &["--renew-sdk"]).await;
}
