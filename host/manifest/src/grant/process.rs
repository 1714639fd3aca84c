//! Which native programs and which jobs one plugin may start.

use crate::error::Denial;
use crate::grant::effective::{Held, toml_string};
use crate::grant::network::{Kind, NetworkRules};
use crate::grant::{Grant, MAX_USD, Request, is_program};
use crate::pattern::FlavorPattern;
use crate::plugin_ref::shorten;

/// The programs in force for one plugin.
#[derive(Debug, Clone)]
pub struct ProcessRules {
    programs: Vec<String>,
    requested: Vec<String>,
    network: NetworkRules,
    held: Held,
}

impl ProcessRules {
    pub(super) fn compute(request: &Request, grant: &Grant, held: Held) -> Self {
        let requested = request
            .process
            .as_ref()
            .map(|process| process.programs.clone())
            .unwrap_or_default();
        let granted = grant
            .process
            .as_ref()
            .map_or(&[][..], |process| &process.programs);
        let programs = requested
            .iter()
            .filter(|program| granted.contains(program))
            .cloned()
            .collect();
        let network = NetworkRules::new(
            request
                .process
                .as_ref()
                .map_or_else(Vec::new, |process| process.network.clone()),
            grant
                .process
                .as_ref()
                .map_or_else(Vec::new, |process| process.network.clone()),
            Kind::Process,
            held.clone(),
        );
        Self {
            programs,
            requested,
            network,
            held,
        }
    }

    /// What the programs may reach.
    pub fn network(&self) -> &NetworkRules {
        &self.network
    }

    /// Whether this program may run: the exact name, never a path.
    pub fn allows(&self, program: &str) -> bool {
        !self.held.read_only && self.programs.iter().any(|own| own == program)
    }

    /// As [`Self::allows`], with the reason why not.
    pub fn check(&self, program: &str) -> Result<(), Denial> {
        if self.allows(program) {
            return Ok(());
        }
        let asked = format!("running `{}`", shorten(program));
        if self.programs.iter().any(|own| own == program) {
            return Err(self.held.denial("process", &asked));
        }
        let rule = format!("process = {{ programs = [{}] }}", toml_string(program));
        let detail = if self.requested.iter().any(|own| own == program) {
            format!(
                "{asked} is not granted; allow it in ml-intern.toml with: {}",
                self.held.grant_line(&rule)
            )
        } else if !is_program(program) {
            format!("{asked} cannot be granted; programs are named without folder, such as `git`")
        } else {
            format!(
                "{asked} is not among what the plugin asks for; its author can ask in plugin.toml with: request.{rule}"
            )
        };
        Err(Denial {
            capability: "process",
            detail,
        })
    }

    /// The programs that may run, in the order of the plugin manifest.
    pub fn programs(&self) -> &[String] {
        if self.held.read_only {
            &[]
        } else {
            &self.programs
        }
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.programs
            .retain(|program| other.programs.contains(program));
        both.network = self.network.and(&other.network);
        both
    }

    pub(super) fn hold_read_only(&mut self) {
        self.held.read_only = true;
    }

    /// What is allowed, in words; none when no program is.
    pub fn describe(&self) -> Option<String> {
        let programs = self.programs();
        (!programs.is_empty()).then(|| format!("runs programs: {}", programs.join(", ")))
    }

    /// What the programs may reach, in words; none when it is nothing.
    pub(super) fn describe_network(&self) -> Option<String> {
        self.describe().and_then(|_| self.network.describe())
    }
}

/// The jobs in force for one plugin.
#[derive(Debug, Clone)]
pub struct JobsRules {
    requested: Vec<FlavorPattern>,
    granted: Vec<FlavorPattern>,
    requested_usd: f64,
    max_usd: f64,
    network: NetworkRules,
    held: Held,
}

impl JobsRules {
    pub(super) fn compute(request: &Request, grant: &Grant, held: Held) -> Self {
        let wanted = request.jobs.as_ref();
        let allowed = grant.jobs.as_ref();
        let requested_usd = wanted.map_or(0.0, |jobs| jobs.max_usd);
        Self {
            requested: wanted.map(|jobs| jobs.flavors.clone()).unwrap_or_default(),
            granted: allowed.map(|jobs| jobs.flavors.clone()).unwrap_or_default(),
            requested_usd,
            max_usd: requested_usd.min(allowed.map_or(0.0, |jobs| jobs.max_usd)),
            network: NetworkRules::new(
                wanted.map_or_else(Vec::new, |jobs| jobs.network.clone()),
                allowed.map_or_else(Vec::new, |jobs| jobs.network.clone()),
                Kind::Jobs,
                held.clone(),
            ),
            held,
        }
    }

    /// What the jobs may reach.
    pub fn network(&self) -> &NetworkRules {
        &self.network
    }

    /// Whether anything of the jobs interface may be used.
    pub fn is_granted(&self) -> bool {
        !self.requested.is_empty() && !self.granted.is_empty()
    }

    /// Whether jobs may be listed, read and waited for.
    pub fn check_use(&self) -> Result<(), Denial> {
        if self.is_granted() {
            Ok(())
        } else {
            Err(self.deny("the use of jobs", "*"))
        }
    }

    /// Whether jobs may be cancelled, suspended or resumed.
    pub fn check_change(&self) -> Result<(), Denial> {
        self.check_use()?;
        if self.held.read_only {
            Err(self.held.denial("jobs", "changing a job"))
        } else {
            Ok(())
        }
    }

    /// Whether a job may be submitted to this flavor.
    pub fn check_flavor(&self, flavor: &str) -> Result<(), Denial> {
        let asked = format!("a job on the flavor `{}`", shorten(flavor));
        if !self.matches(flavor) {
            return Err(self.deny(&asked, flavor));
        }
        if self.held.read_only {
            Err(self.held.denial("jobs", &asked))
        } else {
            Ok(())
        }
    }

    /// As [`Self::check_flavor`], yes or no.
    pub fn allows_flavor(&self, flavor: &str) -> bool {
        !self.held.read_only && self.matches(flavor)
    }

    /// Whether the jobs of a session may cost `total_usd` together.
    pub fn check_cost(&self, total_usd: f64) -> Result<(), Denial> {
        // Written so that a price that is not a number is refused.
        if total_usd <= self.max_usd {
            return Ok(());
        }
        let asked = format!("jobs for {total_usd:.2} USD together");
        let mut needed = (total_usd * 100.0).ceil() / 100.0;
        // A sum just above a whole cent may have been rounded down to it.
        if needed < total_usd {
            needed += 0.01;
        }
        let granted = if self.granted.is_empty() {
            &self.requested
        } else {
            &self.granted
        };
        let detail = if !total_usd.is_finite() {
            format!("{asked} cannot be granted; choose a flavor whose price is known")
        } else if needed > MAX_USD {
            format!("{asked} cannot be granted; the most that can be is {MAX_USD} USD")
        } else if total_usd <= self.requested_usd {
            format!(
                "{asked} are more than the {} USD granted; allow it in ml-intern.toml with: {}",
                self.max_usd,
                self.line(granted, needed)
            )
        } else {
            format!(
                "{asked} are more than the {} USD that the plugin asks for; its author can ask in plugin.toml with: request.jobs.max-usd = {needed}",
                self.requested_usd
            )
        };
        Err(Denial {
            capability: "jobs",
            detail,
        })
    }

    /// US dollars that all jobs of a session may cost together.
    pub fn max_usd(&self) -> f64 {
        self.max_usd
    }

    fn matches(&self, flavor: &str) -> bool {
        let any =
            |patterns: &[FlavorPattern]| patterns.iter().any(|pattern| pattern.matches(flavor));
        any(&self.requested) && any(&self.granted)
    }

    fn deny(&self, asked: &str, flavor: &str) -> Denial {
        let flavor_ok = flavor == "*" && !self.requested.is_empty()
            || self.requested.iter().any(|pattern| pattern.matches(flavor));
        let detail = if flavor_ok {
            let mut flavors = self.granted.clone();
            match flavor.parse() {
                Ok(pattern) if flavor != "*" => flavors.push(pattern),
                _ => flavors.clone_from(&self.requested),
            }
            let usd = if self.granted.is_empty() {
                self.requested_usd
            } else {
                self.max_usd
            };
            format!(
                "{asked} is not granted; allow it in ml-intern.toml with: {}",
                self.line(&flavors, usd)
            )
        } else if flavor.parse::<FlavorPattern>().is_err() {
            format!("{asked} cannot be granted; flavors have names such as `a10g-small`")
        } else {
            let rule = format!(
                "jobs = {{ flavors = [{}], max-usd = {} }}",
                toml_string(flavor),
                self.requested_usd
            );
            format!(
                "{asked} is not among what the plugin asks for; its author can ask in plugin.toml with: request.{rule}"
            )
        };
        Denial {
            capability: "jobs",
            detail,
        }
    }

    fn line(&self, flavors: &[FlavorPattern], usd: f64) -> String {
        let flavors: Vec<String> = flavors
            .iter()
            .map(|flavor| toml_string(flavor.as_str()))
            .collect();
        self.held.grant_line(&format!(
            "jobs = {{ flavors = [{}], max-usd = {usd} }}",
            flavors.join(", ")
        ))
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.granted.retain(|flavor| other.granted.contains(flavor));
        both.max_usd = both.max_usd.min(other.max_usd);
        both.network = self.network.and(&other.network);
        both
    }

    pub(super) fn hold_read_only(&mut self) {
        self.held.read_only = true;
    }

    /// What the jobs may reach, in words; none when it is nothing.
    pub(super) fn describe_network(&self) -> Option<String> {
        self.describe().and_then(|_| self.network.describe())
    }

    /// What is allowed, in words; none when no job is.
    pub fn describe(&self) -> Option<String> {
        if !self.is_granted() || self.held.read_only {
            return None;
        }
        let words = |patterns: &[FlavorPattern]| {
            patterns
                .iter()
                .map(FlavorPattern::as_str)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let mut flavors = words(&self.requested);
        if self.granted != self.requested {
            flavors.push_str(&format!(" within {}", words(&self.granted)));
        }
        Some(format!(
            "submits jobs (flavors {flavors}, at most {} USD)",
            self.max_usd
        ))
    }
}
