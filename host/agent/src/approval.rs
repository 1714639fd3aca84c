//! Who may do what: by mode, by remembered rules, by asking a person.
//!
//! Approval attaches to effects, not to tool names. A call that only reads is never asked about, because the host
//! holds it to reading. Writing files and sending requests is asked before the call; running a program and
//! submitting a job at the moment it happens, with what it really is.

mod rule;

pub use rule::{Rule, RuleError};

use crate::event::{Event, PermissionRequest};
use crate::ports::{Approver, JournalError};
use crate::session::Session;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Stands between version and digest in the name of a plugin whose id nobody vouches for.
pub const LOCAL_MARK: char = '#';

/// What is about to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Files of the workspace change.
    Edit,
    /// A native program runs.
    Process,
    /// A job is submitted or ended.
    Job,
    /// A request that may change something elsewhere leaves.
    Network,
    /// The session costs more than was agreed.
    Budget,
}

impl Effect {
    /// What a call of a tool is about to do; completes "wants".
    pub(crate) fn of_a_call(self, tool: &str) -> String {
        match self {
            Self::Edit => format!("to change files of the workspace with `{tool}`"),
            Self::Network => format!("to send requests with `{tool}`"),
            Self::Process => format!("to run programs with `{tool}`"),
            Self::Job => format!("to submit jobs with `{tool}`"),
            Self::Budget => format!("to spend more with `{tool}`"),
        }
    }

    /// As it is written in rules.
    pub fn name(self) -> &'static str {
        match self {
            Self::Edit => "edit",
            Self::Process => "process",
            Self::Job => "job",
            Self::Network => "network",
            Self::Budget => "budget",
        }
    }
}

/// How much happens without asking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Only reading; everything else is denied.
    Plan,
    /// Every effect is asked about.
    #[default]
    Ask,
    /// Edits of the workspace are free, the rest is asked about.
    AutoEdit,
    /// Nothing is asked about.
    Auto,
}

/// A person's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// This once.
    Allow,
    /// Not this.
    Deny,
    /// This and its like for the rest of the session.
    AllowSession,
    /// This and its like from now on, in this workspace.
    AllowProject,
    /// This and its like from now on.
    AllowAlways,
}

/// A person's answer with what they said.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Yes or no.
    pub decision: Decision,
    /// Words to the model.
    pub feedback: Option<String>,
    /// What should happen instead: arguments, a command or a job's specification, shaped like
    /// [`PermissionRequest::detail`].
    pub edited: Option<Value>,
    /// What of its like is remembered; all of it where there is none. See [`PermissionRequest::subject`].
    pub pattern: Option<String>,
}

/// Rules from outside the session.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// What is denied, whatever the mode and whoever is there.
    pub deny: Vec<Rule>,
    /// What is allowed without a question.
    pub allow: Vec<Rule>,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Go on, with `edited` in place of the detail where a person changed it.
    Allowed {
        /// Shaped like [`PermissionRequest::detail`].
        edited: Option<Value>,
    },
    /// Do not; the text says why, for the model.
    Denied(String),
}

/// Decides, asks and writes down.
pub struct Gate {
    mode: Mode,
    rules: Rules,
    approver: Option<Arc<dyn Approver>>,
    session: Arc<Session>,
    /// Questions of each call.
    numbers: Mutex<BTreeMap<String, u64>>,
    /// Changes when a person went on without answering.
    abandoned: watch::Sender<u64>,
}

impl Gate {
    /// `rules` are those of flags, files and earlier sessions.
    pub fn new(
        mode: Mode,
        rules: Rules,
        approver: Option<Arc<dyn Approver>>,
        session: Arc<Session>,
    ) -> Self {
        Self {
            mode,
            rules,
            approver,
            session,
            numbers: Mutex::default(),
            abandoned: watch::Sender::new(0),
        }
    }

    /// A person said something else: what waits for their answer is not done.
    pub fn abandon(&self) {
        self.abandoned.send_modify(|times| *times += 1);
    }

    /// So many questions were asked about a call.
    pub(crate) fn renumber(&self, call: &str, asked: u64) {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.insert(call.to_owned(), asked);
    }

    /// Another process counts anew.
    pub(crate) fn restart(&self) {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.clear();
    }

    /// Decides about `request`, whose `id` this fills in. Waits for a person where one has to decide.
    pub async fn permit(&self, mut request: PermissionRequest) -> Result<Verdict, JournalError> {
        match self.by_rule(&request) {
            Ruled::Allowed => return Ok(Verdict::Allowed { edited: None }),
            Ruled::Denied(text) => return Ok(Verdict::Denied(text)),
            Ruled::Asked => {}
        }
        let number = self.number(&request.call);
        request.id = format!("{}-p{number}", request.call);
        // From before the question is seen: who reads it may go on at once.
        let mut abandoned = self.abandoned.subscribe();
        self.session.record(Event::PermissionRequested {
            request: request.clone(),
        })?;
        let ask = async {
            match &self.approver {
                Some(approver) => approver.ask(&request).await,
                None => None,
            }
        };
        let answer = tokio::select! {
            biased;
            _ = abandoned.changed() => return self.went_on(&request),
            answer = ask => answer,
        };
        match answer {
            Some(answer) => self.resolve(&request, answer),
            None => self.nobody(&request),
        }
    }

    /// Whether a person can be asked.
    pub fn can_ask(&self) -> bool {
        self.approver.is_some() && self.mode != Mode::Plan
    }

    /// The questions of a call are numbered, so that one that is asked again after a restart is the same one.
    fn number(&self, call: &str) -> u64 {
        // Nothing that is done under the lock can panic half-way.
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let number = numbers.entry(call.to_owned()).or_default();
        *number += 1;
        *number
    }

    fn by_rule(&self, request: &PermissionRequest) -> Ruled {
        let allowed = self.session.read(|state| {
            let means = |rule: &Rule, allows| rule.means(request, &state.workspace, allows);
            if let Some(rule) = self.rules.deny.iter().find(|rule| means(rule, false)) {
                return Err(format!(
                    "the request {} is denied by the rule `{rule}`",
                    request.summary
                ));
            }
            let mut rules = self.rules.allow.iter().chain(&state.remembered);
            Ok(rules.any(|rule| means(rule, true)))
        });
        let allowed = match allowed {
            Err(text) => return Ruled::Denied(text),
            Ok(allowed) => allowed,
        };
        let free = match (self.mode, request.effect) {
            (Mode::Plan, _) => {
                return Ruled::Denied(format!(
                    "permission mode `plan` only reads; the request {} needs another mode (--permission-mode ask)",
                    request.summary
                ));
            }
            // Nothing but a person decides about more money, or about what nobody can put a price on.
            _ if request.blocked.is_some() => false,
            (Mode::Auto, _) => true,
            (Mode::AutoEdit, Effect::Edit) => !request.destructive,
            _ => allowed,
        };
        if free || (allowed && request.blocked.is_none()) {
            Ruled::Allowed
        } else {
            Ruled::Asked
        }
    }

    fn resolve(
        &self,
        request: &PermissionRequest,
        answer: Answer,
    ) -> Result<Verdict, JournalError> {
        let remembered = self.remembered(request, &answer);
        let resolved = Event::PermissionResolved {
            id: request.id.clone(),
            decision: answer.decision,
            by: "user".into(),
            feedback: answer.feedback.clone(),
            remembered: remembered.clone(),
            edited: answer.edited.clone(),
        };
        self.session.record(resolved)?;
        let kept = matches!(
            answer.decision,
            Decision::AllowAlways | Decision::AllowProject
        );
        if let (true, Some(rule), Some(approver)) = (kept, &remembered, &self.approver)
            && let Err(problem) = approver.remember(rule)
        {
            let text = format!("the answer holds for this session only: {problem}");
            self.session.record(Event::Notice {
                code: "approval_not_kept".into(),
                text,
            })?;
        }
        Ok(match answer.decision {
            Decision::Deny => Verdict::Denied(denied_text(request, answer.feedback.as_deref())),
            _ => Verdict::Allowed {
                edited: answer.edited,
            },
        })
    }

    /// What is remembered of an answer. Money is agreed to once.
    fn remembered(&self, request: &PermissionRequest, answer: &Answer) -> Option<Rule> {
        if request.effect == Effect::Budget {
            return None;
        }
        let mut rule = Rule::like(request, answer.pattern.clone());
        match answer.decision {
            Decision::Allow | Decision::Deny => return None,
            Decision::AllowSession | Decision::AllowAlways => {}
            Decision::AllowProject => {
                rule.workspace = Some(self.session.read(|state| state.workspace.clone()));
            }
        }
        Some(rule)
    }

    fn went_on(&self, request: &PermissionRequest) -> Result<Verdict, JournalError> {
        self.session.record(Event::PermissionResolved {
            id: request.id.clone(),
            decision: Decision::Deny,
            by: "input".into(),
            feedback: None,
            remembered: None,
            edited: None,
        })?;
        Ok(Verdict::Denied(format!(
            "the request {} was abandoned: the user went on without answering it",
            request.summary
        )))
    }

    fn nobody(&self, request: &PermissionRequest) -> Result<Verdict, JournalError> {
        let resolved = Event::PermissionResolved {
            id: request.id.clone(),
            decision: Decision::Deny,
            by: "nobody".into(),
            feedback: None,
            remembered: None,
            edited: None,
        };
        self.session.record(resolved)?;
        let how = match &request.blocked {
            Some(why) => format!("{why}; the user can answer at a terminal"),
            None => "the user can allow it with --allow or --permission-mode auto".to_owned(),
        };
        Ok(Verdict::Denied(format!(
            "the request {} needs a person's approval and nobody is there to ask; {how}, or on standard input with \
             --input-format stream-json",
            request.summary
        )))
    }
}

/// What rules and mode say of a request.
enum Ruled {
    Allowed,
    Denied(String),
    Asked,
}

fn denied_text(request: &PermissionRequest, feedback: Option<&str>) -> String {
    match feedback.map(clean_feedback).filter(|text| !text.is_empty()) {
        Some(feedback) => format!(
            "the user denied the request {}: {feedback}",
            request.summary
        ),
        None => format!("the user denied the request {}", request.summary),
    }
}

/// Control characters other than newline and tab would reach the model and the terminal.
fn clean_feedback(text: &str) -> String {
    let kept = text
        .chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'));
    kept.collect::<String>().trim().to_owned()
}
