//! Push with ours and pull with theirs, and the other way round.

use std::process::Stdio;

use tokio::process::Command;
use wasm_pkg_client::{Client, Config, PackageRef};

use crate::support::{
    ml_intern::Home,
    registry::{Registry, answers, named},
    venv::python,
};

/// The configuration of the wasm package tools in which the namespace `acme` lies in this registry.
fn configuration(registry: &Registry) -> String {
    let host = &registry.host;
    format!(
        "[namespace_registries]\nacme = {{ registry = \"{host}\", metadata = {{ preferredProtocol = \"oci\", \
         oci = {{ registry = \"{host}\" }} }} }}\n\n[registry.\"{host}\".oci]\nprotocol = \"http\"\n"
    )
}

fn configured(home: &Home, registry: &Registry) {
    let folder = home.path().join(".config/wasm-pkg");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.toml"), configuration(registry)).unwrap();
}

async fn fetched(client: &Client, package: &PackageRef, version: &str) -> Vec<u8> {
    use futures_util::TryStreamExt as _;
    let release = client
        .get_release(package, &version.parse().unwrap())
        .await
        .unwrap();
    let stream = client.stream_content(package, &release).await.unwrap();
    let pieces: Vec<bytes::Bytes> = stream.try_collect().await.unwrap();
    pieces.concat()
}

#[tokio::test]
async fn the_package_tools_read_what_we_push_byte_for_byte() {
    let registry = Registry::open().await;
    let component = answers("1.2.0");
    Home::new()
        .publish(&component, &registry.image("acme/answers"))
        .await;
    let config = Config::from_toml(&configuration(&registry)).unwrap();
    let client = Client::new(config);
    let package: PackageRef = "acme:answers".parse().unwrap();
    let versions = client.list_all_versions(&package).await.unwrap();
    let versions: Vec<String> = versions.iter().map(|one| one.version.to_string()).collect();
    assert_eq!(versions, ["1.2.0"]);
    assert_eq!(fetched(&client, &package, "1.2.0").await, component);
}

#[tokio::test]
async fn what_the_package_tools_push_is_added_by_the_packages_name() {
    let registry = Registry::open().await;
    for version in ["1.2.0", "1.10.0", "2.0.0-rc.1"] {
        pushed_by_wkg(&registry, "acme/answers", version).await;
    }
    let home = Home::new();
    configured(&home, &registry);
    // The newest that is no pre-release.
    home.add("acme:answers").await.assert_code(0);
    let lock: toml::Table = home.read("ml-intern.lock").parse().unwrap();
    assert_eq!(
        lock["plugins"]["answers"]["version"].as_str(),
        Some("1.10.0")
    );
    assert_eq!(
        lock["plugins"]["answers"]["source"].as_str(),
        Some("acme:answers")
    );
    let stored = home
        .path()
        .join(".local/share/ml-intern/plugins")
        .join(&home.stored()[0]);
    assert_eq!(std::fs::read(stored).unwrap(), answers("1.10.0"));

    let other = Home::new();
    configured(&other, &registry);
    other.add("acme:answers@1.2.0").await.assert_code(0);
    let lock: toml::Table = other.read("ml-intern.lock").parse().unwrap();
    assert_eq!(
        lock["plugins"]["answers"]["version"].as_str(),
        Some("1.2.0")
    );
    let none = other.add("acme:nothing").await;
    none.assert_code(7);
    assert!(
        none.stderr.contains("acme:nothing") || none.stderr.contains("acme/nothing"),
        "{}",
        none.stderr
    );
    let nowhere = Home::new().add("acme:answers").await;
    nowhere.assert_code(7);
    assert!(
        nowhere.stderr.contains("namespace_registries"),
        "{}",
        nowhere.stderr
    );
}

/// As `wkg oci push` does, which is made of these crates. (`wkg publish` 0.16 takes no component whose WIT has no
/// version, which is every one that a compiler makes.)
async fn pushed_by_wkg(registry: &Registry, repository: &str, version: &str) {
    let config = oci_client::client::ClientConfig {
        protocol: oci_client::client::ClientProtocol::Http,
        ..Default::default()
    };
    let client = oci_wasm::WasmClient::new(oci_client::Client::new(config));
    let made = oci_wasm::WasmConfig::from_raw_component(answers(version), None);
    let (config, layer) = made.unwrap();
    let image = format!("{}/{repository}:{version}", registry.host)
        .parse()
        .unwrap();
    let nobody = oci_client::secrets::RegistryAuth::Anonymous;
    let pushed = client.push(&image, &nobody, layer, config, None).await;
    pushed.unwrap();
}

/// `oras` in Python: pushes what it is given, with annotations and media types of its own.
#[tokio::test]
async fn what_oras_pushes_is_added_and_what_we_push_oras_pulls() {
    let registry = Registry::open().await;
    let home = Home::new();
    let component = named("acme/answers", "3.0.0", "Answers");
    home.write("pushed.wasm", &component);
    let host = registry.host.clone();
    let script = format!(
        "import oras.client\nc = oras.client.OrasClient(hostname={host:?}, insecure=True, tls_verify=False)\n\
         c.push(target='{host}/acme/by-oras:3', files=['pushed.wasm:application/wasm'], disable_path_validation=True)\n"
    );
    oras(&home, &script).await;
    home.add(&registry.image("acme/by-oras:3"))
        .await
        .assert_code(0);

    home.publish(&component, &registry.image("acme/by-us:3"))
        .await;
    let script = format!(
        "import oras.client\nc = oras.client.OrasClient(hostname={host:?}, insecure=True, tls_verify=False)\n\
         m = c.get_manifest(c.get_container('{host}/acme/by-us:3'))\n\
         b = c.get_blob(c.get_container('{host}/acme/by-us:3'), m['layers'][0]['digest'])\n\
         open('pulled.wasm', 'wb').write(b.content)\n"
    );
    oras(&home, &script).await;
    assert_eq!(
        std::fs::read(home.workspace().join("pulled.wasm")).unwrap(),
        component
    );
}

async fn oras(home: &Home, script: &str) {
    let output = Command::new(python("vendor-clients", "scripts/vendor-clients"))
        .args(["-c", script])
        .current_dir(home.workspace())
        .env_clear()
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(std::time::Duration::from_secs(60), output).await;
    let output = output.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
