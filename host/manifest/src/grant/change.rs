//! Widening and narrowing a grant, and what of a grant still holds after the user changed it.

use std::sync::Arc;

use crate::grant::{Access, Effective, FsGrant, Grant, HttpGrant};

impl Grant {
    /// Adds what `more` allows.
    pub fn add(&mut self, more: Grant) {
        extend(&mut self.http, more.http);
        for fs in more.fs {
            match self.fs.iter_mut().find(|own| own.mount == fs.mount) {
                Some(own) => own.access = own.access.max(fs.access),
                None => self.fs.push(fs),
            }
        }
        match (&mut self.process, more.process) {
            (Some(own), Some(more)) => own.add(more),
            (own, more) => *own = own.take().or(more),
        }
        match (&mut self.jobs, more.jobs) {
            (Some(own), Some(more)) => own.add(more),
            (own, more) => *own = own.take().or(more),
        }
        match (&mut self.agent, more.agent) {
            (Some(own), Some(more)) => {
                own.complete |= more.complete;
                extend(&mut own.tools, more.tools);
            }
            (own, more) => *own = own.take().or(more),
        }
        extend(&mut self.credentials, more.credentials);
    }

    /// Takes away what `less` names, and says whether anything was there to take. A place without
    /// methods and paths takes every rule of that place; reading takes writing along.
    pub fn take(&mut self, less: &Grant) -> bool {
        let before = self.clone();
        self.http
            .retain(|own| !less.http.iter().any(|taken| covers(taken, own)));
        self.fs = std::mem::take(&mut self.fs)
            .into_iter()
            .filter_map(|own| narrowed(own, &less.fs))
            .collect();
        if let (Some(own), Some(less)) = (&mut self.process, &less.process) {
            own.take(less);
        }
        self.process = self
            .process
            .take()
            .filter(|own| !own.programs.is_empty() || !own.network.is_empty());
        if let (Some(own), Some(less)) = (&mut self.jobs, &less.jobs) {
            own.take(less);
        }
        self.jobs = self
            .jobs
            .take()
            .filter(|own| !own.flavors.is_empty() || !own.network.is_empty());
        if let (Some(own), Some(less)) = (&mut self.agent, &less.agent) {
            own.complete &= !less.complete;
            own.tools.retain(|tool| !less.tools.contains(tool));
        }
        self.credentials
            .retain(|name| !less.credentials.contains(name));
        *self != before
    }
}

pub(super) fn extend<T: PartialEq>(own: &mut Vec<T>, more: Vec<T>) {
    for item in more {
        if !own.contains(&item) {
            own.push(item);
        }
    }
}

fn covers(taken: &HttpGrant, own: &HttpGrant) -> bool {
    taken.target == own.target
        && (taken.methods.is_none() || taken.methods == own.methods)
        && (taken.paths.is_none() || taken.paths == own.paths)
}

fn narrowed(own: FsGrant, less: &[FsGrant]) -> Option<FsGrant> {
    match less.iter().find(|less| less.mount == own.mount) {
        Some(less) if less.access == Access::Read => None,
        Some(_) => Some(FsGrant {
            access: Access::Read,
            ..own
        }),
        None => Some(own),
    }
}

impl Effective {
    /// What both allow: the grant of a running session after the user changed the manifest. What
    /// the change adds waits for the next session, so a rule of the network that was rewritten, not
    /// only removed, holds no longer.
    #[must_use]
    pub fn and(&self, other: &Effective) -> Self {
        Self {
            http: Arc::new(self.http.and(&other.http)),
            fs: Arc::new(self.fs.and(&other.fs)),
            process: Arc::new(self.process.and(&other.process)),
            jobs: Arc::new(self.jobs.and(&other.jobs)),
            agent: Arc::new(self.agent.and(&other.agent)),
            credentials: Arc::new(self.credentials.and(&other.credentials)),
            config: Arc::clone(&self.config),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{PluginManifest, RunManifest};

    fn grant(text: &str) -> Grant {
        let text = format!("[plugins.a.grant]\n{text}\n");
        let run = RunManifest::parse("x", &text).unwrap();
        run.plugins[0].grant.clone().unwrap()
    }

    const ALL: &str = "http = [{ host = \"a.org\" }, { host = \"b.org\", methods = [\"GET\"] }]\n\
        fs = [{ mount = \"/workspace\", access = \"read-write\" }]\n\
        process = { programs = [\"git\", \"env\"] }\njobs = { flavors = [\"cpu-*\"], max-usd = 5 }\n\
        agent = { complete = true, tools = [\"bash\"] }\ncredentials = [\"hf\"]";

    #[test]
    fn what_is_added_can_be_taken_away_piece_by_piece() {
        let mut all = Grant::default();
        for line in ALL.lines() {
            all.add(grant(line));
            all.add(grant(line));
        }
        assert_eq!(all, grant(ALL));
        assert!(all.take(&grant("http = [{ host = \"b.org\" }]")));
        assert!(all.take(&grant("process = { programs = [\"git\"] }")));
        assert!(all.take(&grant(
            "fs = [{ mount = \"/workspace\", access = \"read-write\" }]"
        )));
        assert_eq!(all.http.len(), 1);
        assert_eq!(all.process.as_ref().unwrap().programs, ["env"]);
        assert_eq!(all.fs[0].access, Access::Read);
        assert!(!all.take(&grant("http = [{ host = \"b.org\" }]")));
        all.take(&grant(ALL));
        all.take(&grant(
            "fs = [{ mount = \"/workspace\", access = \"read\" }]",
        ));
        assert!(all.http.is_empty() && all.fs.is_empty() && all.process.is_none());
        assert!(all.jobs.is_none() && all.credentials.is_empty());
    }

    #[test]
    fn a_running_session_gains_nothing_from_a_changed_grant() {
        let plugin = "[plugin]\nid = \"t/t\"\nversion = \"0.1.0\"\ndescription = \"x\"\nlicense = \"MIT\"\nabi = \"0.2\"\n\
            [[request.http]]\nhost = \"a.org\"\n[[request.http]]\nhost = \"b.org\"\n[[request.fs]]\nmount = \"/workspace\"\naccess = \"read-write\"\n\
            [request.process]\nprograms = [\"git\", \"env\"]\n[request.jobs]\nflavors = [\"cpu-*\"]\nmax-usd = 9\n\
            [request.agent]\ncomplete = true\ntools = [\"bash\"]\n[[request.credential]]\nname = \"hf\"\nhosts = [\"a.org\"]\n";
        let plugin = PluginManifest::parse("plugin.toml", plugin).unwrap();
        let effective = |text: &str| {
            let none = BTreeMap::new();
            Effective::compute("plugins.t", &plugin.request, &grant(text), &none).unwrap()
        };
        let before = effective("http = [{ host = \"a.org\" }]\nprocess = { programs = [\"git\"] }");
        let both = before.and(&effective(ALL));
        assert_eq!(both.describe(), before.describe());
        let none = before.and(&effective("http = [{ host = \"b.org\" }]"));
        assert_eq!(none.describe(), Vec::<String>::new());
        let full = effective(ALL);
        assert_eq!(full.and(&full).describe(), full.describe());
        assert_eq!(full.and(&before).describe(), before.describe());
    }
}
