//! The distribution registry, which most registries of images are made of, on a loopback port. Debian has it as
//! `docker-registry`; `scripts/test` installs it.

use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use base64::Engine as _;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::{guests, http::send, ml_intern::Home};

/// Longest start; it takes 0.1 s on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Starts until one finds its port still free.
const ATTEMPTS: usize = 5;

/// Who may use a registry that asks.
pub(crate) const USER: &str = "publisher";
/// The password.
pub(crate) const PASSWORD: &str = "secret-of-the-registry";
/// The same as `htpasswd -B` writes it, with few rounds.
const HTPASSWD: &str = "publisher:$2b$04$zuog.60dTlSg1CSUhKk2jOtpGimRE/cVlFt2TPLKvwdWTi7rVcuci\n";

/// The running registry; killed when dropped.
pub(crate) struct Registry {
    /// Host and port, as an image's name begins.
    pub(crate) host: String,
    /// The certificate that a client has to trust.
    pub(crate) certificate: PathBuf,
    _server: Child,
    _folder: TempDir,
}

/// How a registry is set up.
#[derive(Clone, Copy, Default)]
pub(crate) struct Setup {
    /// It wants a name and a password.
    pub(crate) login: bool,
    /// It speaks TLS.
    pub(crate) tls: bool,
}

impl Registry {
    /// One that is open to everybody, without TLS.
    pub(crate) async fn open() -> Self {
        Self::start(Setup::default()).await
    }

    pub(crate) async fn start(setup: Setup) -> Self {
        let folder = TempDir::with_prefix("ml-intern-registry-").unwrap();
        std::fs::write(folder.path().join("htpasswd"), HTPASSWD).unwrap();
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = folder.path().join("certificate.pem");
        std::fs::write(&certificate, certified.cert.pem()).unwrap();
        let key = certified.signing_key.serialize_pem();
        std::fs::write(folder.path().join("key.pem"), key).unwrap();
        for _ in 0..ATTEMPTS {
            let port = free_port();
            let mut server = spawn(folder.path(), port, setup);
            // The certificate is one for the name.
            let host = match setup.tls {
                true => format!("localhost:{port}"),
                false => format!("127.0.0.1:{port}"),
            };
            if listens(&mut server, port).await {
                return Self {
                    host,
                    certificate,
                    _server: server,
                    _folder: folder,
                };
            }
        }
        let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
        panic!("the registry did not start\n{log}");
    }

    /// `oci://HOST/REPOSITORY`.
    pub(crate) fn image(&self, repository: &str) -> String {
        format!("oci://{}/{repository}", self.host)
    }

    /// What the registry answers to a GET.
    pub(crate) async fn get(&self, path: &str, accept: &str) -> super::http::Answer {
        let url = format!("http://{}/v2/{path}", self.host);
        send("GET", &url, &[("accept", accept)], "").await
    }

    /// Writes the login file that `docker login` leaves.
    pub(crate) fn log_in(&self, home: &Home) {
        let joined = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{PASSWORD}"));
        let text = format!(
            "{{\"auths\":{{\"{}\":{{\"auth\":\"{joined}\"}}}}}}",
            self.host
        );
        let folder = home.path().join(".docker");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("config.json"), text).unwrap();
    }
}

/// A plugin that answers, as version `version` of `acme/answers`.
pub(crate) fn answers(version: &str) -> Vec<u8> {
    named("acme/answers", version, "Answers")
}

/// The guest `good` under this name.
pub(crate) fn named(id: &str, version: &str, description: &str) -> Vec<u8> {
    with_lines(id, version, description, "")
}

/// The same, with more lines in its `plugin.toml`.
pub(crate) fn with_lines(id: &str, version: &str, description: &str, lines: &str) -> Vec<u8> {
    let manifest = manifest(id, version, description, lines);
    guests::with_manifest(guests::guest("good"), &manifest)
}

/// Its `plugin.toml`.
pub(crate) fn manifest(id: &str, version: &str, description: &str, lines: &str) -> String {
    format!(
        "[plugin]\nid = {id:?}\nversion = {version:?}\ndescription = {description:?}\nlicense = \"Apache-2.0\"\nabi = \"0.2\"\n{lines}"
    )
}

impl Home {
    /// Publishes bytes, and returns the pinned address.
    pub(crate) async fn publish(&self, component: &[u8], target: &str) -> String {
        self.write("published.wasm", component);
        let publish = ["plugin", "publish", "published.wasm", target, "--yes"];
        let done = self.ml_intern(publish).run().await;
        done.assert_code(0);
        let line = done.stdout.lines().next().unwrap_or_default().to_owned();
        line.trim_start_matches("published ").to_owned()
    }

    /// `plugin add SOURCE --yes`.
    pub(crate) async fn add(&self, source: &str) -> super::ml_intern::Finished {
        self.ml_intern(["plugin", "add", source, "--yes"])
            .run()
            .await
    }

    /// The components in the store, by name.
    pub(crate) fn stored(&self) -> Vec<String> {
        super::elsewhere::stored(self)
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn spawn(folder: &Path, port: u16, setup: Setup) -> Child {
    let place = |name: &str| folder.join(name).display().to_string();
    let mut config = format!(
        "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{port}\n",
        place("data")
    );
    if setup.tls {
        let (certificate, key) = (place("certificate.pem"), place("key.pem"));
        config += &format!("  tls:\n    certificate: {certificate}\n    key: {key}\n");
    }
    if setup.login {
        let path = place("htpasswd");
        config += &format!("auth:\n  htpasswd:\n    realm: the-registry\n    path: {path}\n");
    }
    let file = folder.join("config.yaml");
    std::fs::write(&file, config).unwrap();
    let log = File::create(folder.join("log")).unwrap();
    Command::new("docker-registry")
        .arg("serve")
        .arg(file)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .expect(
            "docker-registry is there: scripts/debian 'command -v docker-registry' docker-registry",
        )
}

/// Waits until the port takes connections; false where the program ends instead.
async fn listens(server: &mut Child, port: u16) -> bool {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if server.try_wait().unwrap().is_some() {
            return false;
        }
        if tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_ok()
        {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}
