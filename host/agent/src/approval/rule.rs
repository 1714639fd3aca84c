//! Rules: which requests are allowed or denied without a question.

use super::{Effect, LOCAL_MARK};
use crate::event::PermissionRequest;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::str::FromStr;

/// What makes a command more than one for a shell. A pattern matches it only where it has it itself.
const SHELL: [&str; 9] = [";", "|", "&", "`", "$", "(", ">", "<", "\n"];

/// Requests that are like each other. Every part that is there has to fit; `*` stands for any text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The plugin's id without its version; with version and digest where it is a local one.
    pub plugin: String,
    /// Name of the tool.
    pub tool: String,
    /// The effect; any where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// The tool's operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// What is done: a command line, a path, a job's name. See [`PermissionRequest::subject`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Fields of the detail, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(String, String)>,
    /// Also what cannot be brought back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub destructive: bool,
    /// Only in this workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
}

impl Rule {
    /// The same tool, operation and effect; with `pattern`, only what fits that.
    pub(super) fn like(request: &PermissionRequest, pattern: Option<String>) -> Self {
        Self {
            plugin: owner(request).to_owned(),
            tool: request.tool.clone(),
            effect: Some(request.effect),
            operation: request.operation.clone(),
            pattern,
            fields: Vec::new(),
            destructive: request.destructive,
            workspace: None,
        }
    }

    /// Whether it means `request` in this workspace. A rule that allows has to name what is destructive.
    pub(super) fn means(&self, request: &PermissionRequest, workspace: &str, allows: bool) -> bool {
        let field = |(name, pattern): &(String, String)| {
            let value = field(&request.detail, name);
            value.is_some_and(|value| fits(pattern, &value))
        };
        let command = request.effect == Effect::Process && allows;
        (self.destructive || !request.destructive || !allows)
            && self
                .workspace
                .as_deref()
                .is_none_or(|only| only == workspace)
            && self.effect.is_none_or(|effect| effect == request.effect)
            && fits(&self.plugin, owner(request))
            && fits(&self.tool, &request.tool)
            && self.operation.as_ref().is_none_or(|wanted| {
                request
                    .operation
                    .as_ref()
                    .is_some_and(|own| fits(wanted, own))
            })
            && self.pattern.as_ref().is_none_or(|pattern| {
                let subject = request.subject();
                fits(pattern, &subject) && !(command && hides_more(pattern, &subject))
            })
            && self.fields.iter().all(field)
    }
}

/// Whether the shell would do more than the pattern shows.
fn hides_more(pattern: &str, command: &str) -> bool {
    SHELL
        .iter()
        .any(|mark| command.contains(mark) && !pattern.contains(mark))
}

/// The plugin's id without its version, unless nobody vouches for it.
fn owner(request: &PermissionRequest) -> &str {
    match request.plugin.split_once('@') {
        Some((id, version)) if !version.contains(LOCAL_MARK) => id,
        _ => &request.plugin,
    }
}

impl PermissionRequest {
    /// What is done, in one text: the command line (what a shell is given to run, where a shell is run), the path, the
    /// job's name; else the whole detail as JSON.
    pub fn subject(&self) -> String {
        let text = |name: &str| self.detail.get(name).and_then(Value::as_str);
        match self.effect {
            Effect::Process => command_line(&self.detail),
            Effect::Edit => text("path").map(str::to_owned),
            Effect::Job => text("name").map(str::to_owned),
            Effect::Network | Effect::Budget => None,
        }
        .unwrap_or_else(|| self.detail.to_string())
    }
}

fn command_line(detail: &Value) -> Option<String> {
    let program = detail.get("program")?.as_str()?;
    let arguments = detail.get("arguments")?.as_array()?;
    let arguments: Vec<_> = arguments.iter().filter_map(Value::as_str).collect();
    let shell = matches!(program, "sh" | "bash" | "dash" | "zsh");
    match arguments.as_slice() {
        ["-c", script] if shell => Some((*script).to_owned()),
        _ => Some([&[program], arguments.as_slice()].concat().join(" ")),
    }
}

/// A field of the detail as text; dots lead into objects.
fn field(detail: &Value, name: &str) -> Option<String> {
    let value = name
        .split('.')
        .try_fold(detail, |value, part| value.get(part))?;
    Some(match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

/// Whether `text` is what `pattern` says, where `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// A text that is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no rule: {1}; write [EFFECT:]TOOL[.OPERATION][(PATTERN)], for example `process:bash(git *)`, `edit:write(docs/*)` \
     or `job:job_run(flavor=t4-*)`"
)]
pub struct RuleError(String, String);

/// `[EFFECT:]TOOL[.OPERATION][(PATTERN[, FIELD=PATTERN]…)][@PLUGIN][!]`; `!` for what cannot be brought back as well.
impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(whole: &str) -> Result<Self, RuleError> {
        let wrong = |why: &str| RuleError(whole.to_owned(), why.to_owned());
        let text = whole.trim();
        let (text, destructive) = match text.strip_suffix('!') {
            Some(text) => (text, true),
            None => (text, false),
        };
        let (head, rest) = match text.split_once('(') {
            Some((head, rest)) => {
                let (inner, after) = rest
                    .rsplit_once(')')
                    .ok_or_else(|| wrong("a `)` is missing"))?;
                (head, Some((inner, after)))
            }
            None => (text, None),
        };
        let (head, plugin) = match rest {
            None => split_plugin(head),
            Some((_, "")) => (head, "*"),
            Some((_, after)) => {
                let plugin = after
                    .strip_prefix('@')
                    .ok_or_else(|| wrong("only @PLUGIN may follow the `)`"))?;
                (head, plugin)
            }
        };
        let (effect, name) = match head.split_once(':') {
            Some((effect, name)) => {
                let parsed = serde_json::from_value(Value::String(effect.to_owned()));
                let effect: Effect =
                    parsed.map_err(|_| wrong("the effects are edit, process, job and network"))?;
                (Some(effect), name)
            }
            None => (None, head),
        };
        let (tool, operation) = match name.split_once('.') {
            Some((tool, operation)) => (tool, Some(operation.to_owned())),
            None => (name, None),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-*".contains(c);
        if tool.is_empty() || !tool.chars().all(plain) || plugin.is_empty() {
            return Err(wrong("the tool's name is missing or none"));
        }
        let (pattern, fields) = patterns(rest.map_or("", |(inner, _)| inner));
        Ok(Self {
            plugin: plugin.to_owned(),
            tool: tool.to_owned(),
            effect,
            operation,
            pattern,
            fields,
            destructive,
            workspace: None,
        })
    }
}

fn split_plugin(head: &str) -> (&str, &str) {
    head.split_once('@').unwrap_or((head, "*"))
}

/// The text between the brackets: a pattern, or fields with theirs.
fn patterns(inner: &str) -> (Option<String>, Vec<(String, String)>) {
    let name = |c: char| c.is_ascii_alphanumeric() || "_.".contains(c);
    let field = |part: &str| {
        let (key, pattern) = part.trim().split_once('=')?;
        (!key.is_empty() && key.chars().all(name)).then(|| (key.to_owned(), pattern.to_owned()))
    };
    if inner.is_empty() {
        return (None, Vec::new());
    }
    match inner.split(',').map(field).collect::<Option<Vec<_>>>() {
        Some(fields) => (None, fields),
        None => (Some(inner.to_owned()), Vec::new()),
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(effect) = self.effect {
            write!(f, "{}:", effect.name())?;
        }
        f.write_str(&self.tool)?;
        if let Some(operation) = &self.operation {
            write!(f, ".{operation}")?;
        }
        let fields = self
            .fields
            .iter()
            .map(|(name, pattern)| format!("{name}={pattern}"));
        let inner: Vec<_> = self.pattern.iter().cloned().chain(fields).collect();
        if !inner.is_empty() {
            write!(f, "({})", inner.join(", "))?;
        }
        if self.plugin != "*" {
            write!(f, "@{}", self.plugin)?;
        }
        f.write_str(if self.destructive { "!" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(effect: Effect, detail: Value) -> PermissionRequest {
        PermissionRequest {
            id: "p".into(),
            call: "c".into(),
            tool: "bash".into(),
            plugin: "us/shell@1.0.0".into(),
            effect,
            summary: String::new(),
            detail,
            operation: Some("run".into()),
            destructive: false,
            blocked: None,
            price_usd: None,
            grants: Vec::new(),
        }
    }

    fn shell(script: &str) -> PermissionRequest {
        request(
            Effect::Process,
            json!({"program": "sh", "arguments": ["-c", script]}),
        )
    }

    #[track_caller]
    fn allows(rule: &str, request: &PermissionRequest) -> bool {
        rule.parse::<Rule>().unwrap().means(request, "/w", true)
    }

    #[test]
    fn a_pattern_says_which_commands() {
        assert!(allows("process:bash(git *)", &shell("git status")));
        assert!(allows("bash(git *)", &shell("git status")));
        assert!(allows("*", &shell("git status")));
        for other in [
            "edit:bash(git *)",
            "bash(git)",
            "sh(git *)",
            "bash(* git *)",
            "bash.other",
            "bash@other/shell",
        ] {
            assert!(!allows(other, &shell("git status")), "{other}");
        }
        assert!(allows("bash.run@us/*", &shell("git status")));
        let direct = request(
            Effect::Process,
            json!({"program": "git", "arguments": ["log", "-n", "1"]}),
        );
        assert!(allows("bash(git log*)", &direct));
    }

    #[test]
    fn a_pattern_allows_no_second_command_behind_the_first() {
        for hidden in [
            "git log; rm -rf /",
            "git log && rm x",
            "git log | sh",
            "git log $(rm x)",
            "git log `rm x`",
            "git log > /etc/passwd",
            "git log\nrm x",
        ] {
            assert!(!allows("bash(git *)", &shell(hidden)), "{hidden}");
        }
        assert!(allows("bash(git log | head*)", &shell("git log | head -3")));
        // Denying is the other way round: what hides the command is denied as well.
        let rule: Rule = "bash(*rm *)".parse().unwrap();
        assert!(rule.means(&shell("true; rm x"), "/w", false));
    }

    #[test]
    fn fields_of_a_job_are_named() {
        let job = request(
            Effect::Job,
            json!({"name": "train", "flavor": "t4-small", "timeout_seconds": 60, "env": {"A": "b"}}),
        );
        assert!(allows("job:bash(flavor=t4-*)", &job));
        assert!(allows(
            "bash(flavor=t4-*, timeout_seconds=60, env.A=b)",
            &job
        ));
        assert!(!allows("bash(flavor=a100*)", &job));
        assert!(!allows("bash(nothing=*)", &job));
        assert!(allows("job:*(tra*)", &job));
    }

    #[test]
    fn what_cannot_be_brought_back_is_allowed_by_name_only() {
        let mut edit = request(Effect::Edit, json!({"path": "docs/a.md"}));
        assert!(allows("edit:*(docs/*)", &edit));
        edit.destructive = true;
        assert!(!allows("edit:*(docs/*)", &edit));
        assert!(allows("edit:*(docs/*)!", &edit));
        let deny: Rule = "edit:*(docs/*)".parse().unwrap();
        assert!(deny.means(&edit, "/w", false));
    }

    #[test]
    fn a_rule_of_one_workspace_means_nothing_in_another() {
        let mut rule: Rule = "bash".parse().unwrap();
        rule.workspace = Some("/w".into());
        assert!(rule.means(&shell("x"), "/w", true));
        assert!(!rule.means(&shell("x"), "/elsewhere", true));
    }

    #[test]
    fn rules_are_shown_as_they_are_written() {
        for text in [
            "process:bash(git *)",
            "bash",
            "*",
            "job:job_run(flavor=t4-*, name=a)",
            "edit:write.append(docs/*)@us/files!",
        ] {
            assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "(x)",
            "dance:bash",
            "bash(x",
            "bash(x)y",
            "b ash",
            "bash@",
        ] {
            let error = wrong.parse::<Rule>().unwrap_err().to_string();
            assert!(error.contains("for example"), "{error}");
        }
    }

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, text, fit) in [
            ("", "", true),
            ("*", "", true),
            ("a*", "a", true),
            ("*a", "ba", true),
            ("a*a", "a", false),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
            ("**", "x", true),
            ("ab", "abc", false),
        ] {
            assert_eq!(fits(pattern, text), fit, "{pattern} {text}");
        }
    }
}
