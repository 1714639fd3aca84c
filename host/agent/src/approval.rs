//! Who may do what: by mode, by remembered rules, by asking a person.
//!
//! Approval attaches to effects, not to tool names. A call that only reads is never asked about, because the host
//! holds it to reading. Writing files and sending requests is asked before the call; running a program and
//! submitting a job at the moment it happens, with what it really is.

use crate::event::{Event, PermissionRequest};
use crate::ports::{Approver, JournalError};
use crate::session::Session;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
}

impl Effect {
    /// What a call of a tool is about to do; completes "wants".
    pub(crate) fn of_a_call(self, tool: &str) -> String {
        match self {
            Self::Edit => format!("to change files of the workspace with `{tool}`"),
            Self::Network => format!("to send requests with `{tool}`"),
            Self::Process => format!("to run programs with `{tool}`"),
            Self::Job => format!("to submit jobs with `{tool}`"),
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
    /// This and its like from now on.
    AllowAlways,
}

/// "Its like": the same effect of the same tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The plugin's id without its version; with version and digest where it is a local one.
    pub plugin: String,
    /// Name of the tool.
    pub tool: String,
    /// The effect.
    pub effect: Effect,
}

impl Rule {
    fn of(request: &PermissionRequest) -> Self {
        let plugin = match request.plugin.split_once('@') {
            Some((id, version)) if !version.contains(LOCAL_MARK) => id.to_owned(),
            _ => request.plugin.clone(),
        };
        Self {
            plugin,
            tool: request.tool.clone(),
            effect: request.effect,
        }
    }
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
    always: Vec<Rule>,
    approver: Option<Arc<dyn Approver>>,
    session: Arc<Session>,
    numbers: AtomicU64,
    /// Changes when a person went on without answering.
    abandoned: watch::Sender<u64>,
}

impl Gate {
    /// `always` are rules kept from earlier sessions.
    pub fn new(
        mode: Mode,
        always: Vec<Rule>,
        approver: Option<Arc<dyn Approver>>,
        session: Arc<Session>,
    ) -> Self {
        Self {
            mode,
            always,
            approver,
            session,
            numbers: AtomicU64::new(1),
            abandoned: watch::Sender::new(0),
        }
    }

    /// A person said something else: what waits for their answer is not done.
    pub fn abandon(&self) {
        self.abandoned.send_modify(|times| *times += 1);
    }

    /// Decides about `request`, whose `id` this fills in. Waits for a person where one has to decide.
    pub async fn permit(&self, mut request: PermissionRequest) -> Result<Verdict, JournalError> {
        match self.by_rule(&request) {
            Some(true) => return Ok(Verdict::Allowed { edited: None }),
            Some(false) => {
                return Ok(Verdict::Denied(format!(
                    "permission mode `plan` only reads; the request {} needs another mode (--permission-mode ask)",
                    request.summary
                )));
            }
            None => {}
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
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

    /// `Some(allowed)` where no person is needed.
    fn by_rule(&self, request: &PermissionRequest) -> Option<bool> {
        match (self.mode, request.effect) {
            (Mode::Plan, _) => return Some(false),
            (Mode::Auto, _) | (Mode::AutoEdit, Effect::Edit) => return Some(true),
            _ => {}
        }
        let rule = Rule::of(request);
        let kept = self.always.contains(&rule)
            || self.session.read(|state| state.remembered.contains(&rule));
        kept.then_some(true)
    }

    fn resolve(
        &self,
        request: &PermissionRequest,
        answer: Answer,
    ) -> Result<Verdict, JournalError> {
        let remembered = match answer.decision {
            Decision::AllowSession | Decision::AllowAlways => Some(Rule::of(request)),
            Decision::Allow | Decision::Deny => None,
        };
        let resolved = Event::PermissionResolved {
            id: request.id.clone(),
            decision: answer.decision,
            by: "user".into(),
            feedback: answer.feedback.clone(),
            remembered: remembered.clone(),
        };
        self.session.record(resolved)?;
        if let (Decision::AllowAlways, Some(rule), Some(approver)) =
            (answer.decision, &remembered, &self.approver)
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

    fn went_on(&self, request: &PermissionRequest) -> Result<Verdict, JournalError> {
        self.session.record(Event::PermissionResolved {
            id: request.id.clone(),
            decision: Decision::Deny,
            by: "input".into(),
            feedback: None,
            remembered: None,
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
        };
        self.session.record(resolved)?;
        Ok(Verdict::Denied(format!(
            "the request {} needs a person's approval and nobody is there to ask; the user can allow it with --permission-mode auto, \
             or answer on standard input with --input-format stream-json",
            request.summary
        )))
    }
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
