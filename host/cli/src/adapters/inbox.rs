//! Standard input: what a person types, or the lines of JSON of a program in their place. Each line is the answer to
//! a question, or an operation.

mod operation;

pub(crate) use operation::{COMMANDS, Operation};

use super::rules::keep;
use crate::ui;
use async_trait::async_trait;
use ml_intern_agent::approval::{Answer, Decision, Rule};
use ml_intern_agent::event::PermissionRequest;
use ml_intern_agent::ports::{Approver, Observer};
use ml_intern_agent::{Event, Stamp};
use operation::Line;
use std::collections::{HashMap, VecDeque};
use std::io::BufRead;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// Bytes of one line of input; an edited script may be long.
const LINE_BYTES: usize = 4 << 20;
/// Lines that wait for the end of what is done now.
const WAITING: usize = 256;

/// What lines mean.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// A person at the terminal: words, `/commands`, and answers to what was asked last.
    Typed,
    /// `{"type": …}`.
    Json,
}

/// Reads standard input, and answers questions from it.
pub(crate) struct Inbox {
    desk: Arc<Mutex<Desk>>,
    operations: tokio::sync::Mutex<mpsc::Receiver<Operation>>,
    rules: PathBuf,
}

/// Questions and answers that wait for each other.
#[derive(Default)]
struct Desk {
    /// Oldest first; the person at the terminal sees one at a time.
    questions: VecDeque<(String, oneshot::Sender<Answer>)>,
    /// Where the answers to them come out, until somebody waits there.
    answers: HashMap<String, oneshot::Receiver<Answer>>,
    /// Answers that came before their question.
    early: HashMap<String, Answer>,
    closed: bool,
}

impl Desk {
    /// Somebody is about to be asked: what comes from now on may be the answer.
    fn expect(&mut self, id: &str) {
        if self.closed || self.early.contains_key(id) || self.answers.contains_key(id) {
            return;
        }
        let (sender, receiver) = oneshot::channel();
        self.questions.push_back((id.to_owned(), sender));
        self.answers.insert(id.to_owned(), receiver);
    }
}

impl Inbox {
    pub(crate) fn open(format: Format, rules: PathBuf) -> std::io::Result<Self> {
        let desk = Arc::new(Mutex::new(Desk::default()));
        let (sender, operations) = mpsc::channel(WAITING);
        let own = desk.clone();
        // A thread of its own: a read cannot be cancelled, and must not hold the program up.
        std::thread::Builder::new()
            .name("stdin".into())
            .spawn(move || {
                lines(|line| receive(&own, format, line, &sender));
                let mut desk = lock(&own);
                desk.closed = true;
                desk.questions.clear();
            })?;
        Ok(Self {
            desk,
            operations: tokio::sync::Mutex::new(operations),
            rules,
        })
    }

    /// The next operation; `None` once standard input has ended.
    pub(crate) async fn next(&self) -> Option<Operation> {
        self.operations.lock().await.recv().await
    }
}

/// Reads until the end of input, or until nobody listens any more.
fn lines(mut receive: impl FnMut(&str) -> bool) {
    let mut stdin = std::io::stdin().lock();
    loop {
        let mut line = Vec::new();
        let read = std::io::Read::take(&mut stdin, LINE_BYTES as u64).read_until(b'\n', &mut line);
        match read {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
        if !receive(&String::from_utf8_lossy(&line)) {
            return;
        }
    }
}

/// Whether anybody listens.
fn receive(
    desk: &Mutex<Desk>,
    format: Format,
    line: &str,
    operations: &mpsc::Sender<Operation>,
) -> bool {
    let parsed = match format {
        Format::Typed => match lock(desk).questions.pop_front() {
            Some((_, question)) => {
                // The call may have been cancelled meanwhile.
                let _cancelled = question.send(typed(line.trim()));
                return true;
            }
            None => operation::typed(line),
        },
        Format::Json => operation::json(line),
    };
    match parsed {
        Ok(Line::Nothing) => true,
        Ok(Line::Answer { id, answer }) => {
            answered(&mut lock(desk), id, answer);
            true
        }
        Ok(Line::Operation(operation)) => match operations.try_send(operation) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(_)) => {
                ui::warn(&format!(
                    "{WAITING} lines wait already; this one was left out: send it again later"
                ));
                true
            }
        },
        Err(problem) => {
            ui::warn(&problem);
            true
        }
    }
}

fn answered(desk: &mut Desk, id: String, answer: Answer) {
    match desk.questions.iter().position(|(asked, _)| *asked == id) {
        Some(at) => {
            if let Some((_, question)) = desk.questions.remove(at) {
                // As above.
                let _cancelled = question.send(answer);
            }
        }
        None if desk.early.len() < WAITING => drop(desk.early.insert(id, answer)),
        None => ui::warn("too many answers wait for a question; this one was left out"),
    }
}

fn lock(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    // Nothing that is done under the lock can panic half-way.
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `y`, `n`, or `s`, `f` and `a` with what is meant behind it: `s git *`. Anything else is a no with words.
fn typed(line: &str) -> Answer {
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let lasting = match word.to_ascii_lowercase().as_str() {
        "s" | "session" => Some(Decision::AllowSession),
        "f" | "folder" => Some(Decision::AllowProject),
        "a" | "always" => Some(Decision::AllowAlways),
        _ => None,
    };
    // `a` may begin a sentence: what follows is a pattern only where it has a star.
    let pattern = Some(rest.trim()).filter(|rest| !rest.is_empty());
    let lasting = lasting.filter(|_| pattern.is_none_or(|pattern| pattern.contains('*')));
    let decision = lasting.unwrap_or(match line.to_ascii_lowercase().as_str() {
        "y" | "yes" => Decision::Allow,
        _ => Decision::Deny,
    });
    let no = matches!(line.to_ascii_lowercase().as_str(), "" | "n" | "no");
    Answer {
        decision,
        feedback: (decision == Decision::Deny && !no).then(|| line.to_owned()),
        edited: None,
        pattern: pattern.filter(|_| lasting.is_some()).map(str::to_owned),
    }
}

/// A question that nobody waits for any more is none.
struct Asked<'a> {
    desk: &'a Mutex<Desk>,
    id: &'a str,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        lock(self.desk).questions.retain(|(id, _)| id != self.id);
    }
}

#[async_trait]
impl Approver for Inbox {
    async fn ask(&self, request: &PermissionRequest) -> Option<Answer> {
        let answer = {
            let mut desk = lock(&self.desk);
            if let Some(answer) = desk.early.remove(&request.id) {
                return Some(answer);
            }
            desk.expect(&request.id);
            desk.answers.remove(&request.id)?
        };
        let _until_answered = Asked {
            desk: &self.desk,
            id: &request.id,
        };
        answer.await.ok()
    }

    fn remember(&self, rule: &Rule) -> Result<(), String> {
        keep(&self.rules, rule)
    }
}

impl Observer for Inbox {
    /// The question is drawn after this: no answer to it comes before it is waited for.
    fn event(&self, _stamp: Stamp, event: &Event) {
        if let Event::PermissionRequested { request } = event {
            lock(&self.desk).expect(&request.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_neither_yes_nor_no_is_a_no_with_words() {
        assert_eq!(typed("y").decision, Decision::Allow);
        assert_eq!(typed("ALWAYS").decision, Decision::AllowAlways);
        assert_eq!(typed("").feedback, None);
        let answer = typed("use less memory");
        assert_eq!(
            (answer.decision, answer.feedback.as_deref()),
            (Decision::Deny, Some("use less memory"))
        );
        let answer = typed("a smaller model, please");
        assert_eq!(answer.decision, Decision::Deny);
    }

    #[test]
    fn what_is_allowed_for_longer_may_be_less_than_all_of_it() {
        let answer = typed("s git *");
        assert_eq!(
            (answer.decision, answer.pattern.as_deref()),
            (Decision::AllowSession, Some("git *"))
        );
        assert_eq!(typed("f").decision, Decision::AllowProject);
        assert_eq!(typed("f").pattern, None);
    }

    #[test]
    fn an_answer_waits_for_its_question_and_nonsense_is_ignored() {
        let desk = Mutex::new(Desk::default());
        let (sender, _operations) = mpsc::channel(1);
        for line in [
            r#"{"type":"permission.answer","id":"a","decision":"allow"}"#,
            r#"{"type":"permission.answer","id":"b","decision":"perhaps"}"#,
            "[[[[",
            "",
        ] {
            assert!(receive(&desk, Format::Json, line, &sender), "{line}");
        }
        let desk = desk.into_inner().unwrap();
        assert_eq!(desk.early.len(), 1);
        assert_eq!(desk.early["a"].decision, Decision::Allow);
    }

    #[test]
    fn a_typed_line_answers_the_oldest_question_and_is_words_without_one() {
        let desk = Mutex::new(Desk::default());
        let (sender, mut operations) = mpsc::channel(4);
        let ask = |id: &str| {
            lock(&desk).expect(id);
            lock(&desk).answers.remove(id).unwrap()
        };
        let (mut first, mut second) = (ask("p1"), ask("p2"));
        for line in ["y\n", "no\n", "look at the data\n"] {
            assert!(receive(&desk, Format::Typed, line, &sender));
        }
        assert_eq!(first.try_recv().unwrap().decision, Decision::Allow);
        assert_eq!(second.try_recv().unwrap().decision, Decision::Deny);
        let words = Operation::Words("look at the data".into());
        assert_eq!(operations.try_recv(), Ok(words));
    }
}
