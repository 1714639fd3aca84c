//! The network of native programs: one room for the programs of each plugin, with the proxy that
//! knows the plugin's grant.

use ml_intern_exec::{ExecError, Network, Room};
use ml_intern_manifest::{Denial, NetworkRule, NetworkRules};
use ml_intern_runtime::{AuditRecord, Caller, Gate, Proxy};
use std::any::Any;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The rooms of a session, by the entry of the run manifest that each belongs to.
#[derive(Default)]
pub(crate) struct Rooms(tokio::sync::Mutex<BTreeMap<String, Shared>>);

/// A room, and who is asked about its network.
type Shared = (Arc<Room>, Arc<CallGate>);

impl Rooms {
    /// The room of this caller's plugin; its programs reach each other, from one call to the next.
    pub(crate) async fn of(&self, caller: &Caller) -> Result<Arc<Room>, ExecError> {
        let effective = caller.policy.effective();
        let rules = effective.process.network();
        let mut rooms = self.0.lock().await;
        if let Some((room, gate)) = rooms.get(rules.section()) {
            gate.follow(caller);
            return Ok(room.clone());
        }
        let gate = Arc::new(CallGate(Mutex::new(caller.clone())));
        let served = gate.clone() as Arc<dyn Gate>;
        let network = Network {
            serve: Box::new(move |listener| serve(listener, served)),
            direct: rules.own_names(),
        };
        let room = Arc::new(Room::open(Some(network)).await?);
        let section = rules.section().to_owned();
        rooms.insert(section, (room.clone(), gate));
        Ok(room)
    }
}

/// Without a proxy programs reach nobody, which is what they are told.
fn serve(listener: TcpListener, gate: Arc<dyn Gate>) -> Box<dyn Any + Send + Sync> {
    match Proxy::serve(listener, gate) {
        Ok(proxy) => Box::new(proxy),
        Err(error) => {
            crate::ui::warn(&format!("programs have no network: {error}"));
            Box::new(())
        }
    }
}

/// Decides by the grant in force, and tells whoever watches the plugin's latest call: programs in
/// the background are nobody else's.
struct CallGate(Mutex<Caller>);

impl CallGate {
    fn follow(&self, caller: &Caller) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = caller.clone();
    }

    fn caller(&self) -> Caller {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Gate for CallGate {
    fn check(&self, host: &str, port: u16) -> Result<NetworkRule, Denial> {
        let effective = self.caller().policy.effective();
        effective.process.network().check(host, port)
    }

    fn advice(&self, place: &str) -> String {
        let effective = self.caller().policy.effective();
        effective.process.network().advice(place)
    }

    fn audit(&self, record: &AuditRecord) {
        self.caller().observer.audit(record);
    }
}

/// What a job asked of its network, in its folder.
pub(crate) const OF_JOB: &str = "network.jsonl";

/// Serves the network of a job, in the process that supervises it.
pub(crate) fn serve_job(
    rules: &str,
    listener: TcpListener,
    folder: &Path,
) -> Box<dyn Any + Send + Sync> {
    match NetworkRules::from_text(rules) {
        Ok(rules) => {
            let file = folder.join(OF_JOB);
            serve(listener, Arc::new(JobGate { rules, file }))
        }
        Err(error) => {
            crate::ui::warn(&format!("the job has no network: {error}"));
            Box::new(())
        }
    }
}

/// Decides by what was granted when the job was submitted, and writes into the job's folder.
struct JobGate {
    rules: NetworkRules,
    file: PathBuf,
}

impl Gate for JobGate {
    fn check(&self, host: &str, port: u16) -> Result<NetworkRule, Denial> {
        self.rules.check(host, port)
    }

    fn advice(&self, place: &str) -> String {
        self.rules.advice(place)
    }

    fn audit(&self, record: &AuditRecord) {
        let audit = super::audit::audit("", "", record);
        let written = serde_json::to_string(&audit).map(|line| {
            let mut file = std::fs::File::options()
                .append(true)
                .create(true)
                .mode(0o600)
                .open(&self.file)?;
            writeln!(file, "{line}")
        });
        if !matches!(written, Ok(Ok(()))) {
            crate::ui::warn("a connection of the job could not be written down");
        }
    }
}
