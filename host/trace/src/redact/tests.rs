//! The rules together: what they must find, and what they must leave alone.

use super::*;
use serde_json::json;
use zeroize::Zeroizing;

fn rules() -> SecretRules {
    SecretRules::new([KnownSecret {
        name: "openai".into(),
        spellings: vec![Zeroizing::new(b"canary-value-0123".to_vec())],
    }])
}

fn all(text: &str) -> String {
    rules().clean(text, Rules::All).into_owned()
}

#[track_caller]
fn becomes(text: &str, clean: &str) {
    assert_eq!(all(text), clean, "{text}");
    assert_eq!(all(clean), clean, "what is clean stays");
}

#[track_caller]
fn stays(text: &str) {
    let rules = rules();
    let clean = rules.clean(text, Rules::All);
    assert_eq!(clean, text);
    assert!(matches!(clean, Cow::Borrowed(_)), "not copied: {text}");
}

/// A key of letters and digits.
fn letters(count: usize) -> String {
    "aB3dE5gH7j".chars().cycle().take(count).collect()
}

#[test]
fn a_hub_token_has_thirty_letters_or_more() {
    stays(&format!("hf_{}", letters(29)));
    becomes(&format!("hf_{}", letters(30)), "[REDACTED_HF_TOKEN]");
    becomes(&format!("xhf_{}.", letters(34)), "x[REDACTED_HF_TOKEN].");
}

#[test]
fn keys_of_model_providers() {
    stays(&format!("sk-ant-{}", letters(19)));
    becomes(
        &format!("sk-ant-{}", letters(20)),
        "[REDACTED_PROVIDER_API_KEY]",
    );
    stays(&format!("sk-{}", letters(39)));
    becomes(
        &format!("a sk-{} b", letters(40)),
        "a [REDACTED_PROVIDER_API_KEY] b",
    );
    becomes(
        &format!("sk-proj-{}_-{}", letters(20), letters(20)),
        "[REDACTED_PROVIDER_API_KEY]",
    );
    stays("https://example.org/task-specific-fine-tuning-of-large-language-models");
}

#[test]
fn keys_of_other_makers() {
    stays(&format!("gho_{}", letters(35)));
    becomes(&format!("gho_{}", letters(36)), "[REDACTED_GITHUB_TOKEN]");
    stays(&format!("ghx_{}", letters(40)));
    becomes(
        &format!("github_pat_{}_{}", letters(22), letters(40)),
        "[REDACTED_GITHUB_TOKEN]",
    );
    let id = "ABCDEFGHIJKLMNOP";
    becomes(&format!("AKIA{id}."), "[REDACTED_AWS_KEY_ID].");
    becomes(&format!("(ASIA{id})"), "([REDACTED_AWS_KEY_ID])");
    stays(&format!("AKIA{id}Q"));
    becomes(&format!("AIza{}", letters(35)), "[REDACTED_GOOGLE_API_KEY]");
    for kind in ["xoxb", "xoxp", "xoxa", "xoxr", "xoxs", "xapp"] {
        becomes(
            &format!("{kind}-123456789012-{}", letters(12)),
            "[REDACTED_SLACK_TOKEN]",
        );
    }
    becomes(
        &format!("eyJ{}.eyJ{}.{}", letters(20), letters(30), letters(43)),
        "[REDACTED_JWT]",
    );
}

#[test]
fn headers_that_carry_a_key() {
    becomes(&format!("BEARER {}", letters(20)), "Bearer [REDACTED]");
    stays(&format!("bearer {}", letters(19)));
    becomes(
        "-H 'Authorization: Basic dXNlcjpwYXNzd29yZA=='",
        "-H 'Authorization: Basic [REDACTED]'",
    );
    stays("-H \"Authorization: Bearer $HF_TOKEN\"");
    stays("a basic understanding of bearer authentication");
}

#[test]
fn a_value_beside_a_secrets_name() {
    becomes("DB_PASSWORD: hunter2 next", "DB_PASSWORD=[REDACTED] next");
    becomes("my_token = abc,def rest", "my_token=[REDACTED] rest");
    becomes(
        &format!("export OPENAI_API_KEY=sk-{}", letters(48)),
        "export OPENAI_API_KEY=[REDACTED]",
    );
    stays("tokens: 512");
    becomes(
        "AWS_ACCESS_KEY_ID=AKIAABCDEFGHIJKLMNOP",
        "AWS_ACCESS_KEY_ID=[REDACTED]",
    );
    becomes(
        &format!("HF_TOKEN=hf_{}", letters(34)),
        "HF_TOKEN=[REDACTED]",
    );
    becomes(
        "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AWS_SECRET_ACCESS_KEY=[REDACTED]",
    );
    becomes(
        "WANDB_API_KEY=0123456789abcdef0123456789abcdef01234567 python train.py",
        "WANDB_API_KEY=[REDACTED] python train.py",
    );
}

#[test]
fn a_quoted_value_beside_a_secrets_name_keeps_its_quotes() {
    becomes(r#"{"HF_TOKEN": "abc"}"#, r#"{"HF_TOKEN": "[REDACTED]"}"#);
    becomes(r#"DB_PASSWORD="x""#, r#"DB_PASSWORD="[REDACTED]""#);
    becomes(
        r#"DB_PASSWORD="correct horse \" battery" # mine"#,
        r#"DB_PASSWORD="[REDACTED]" # mine"#,
    );
    becomes(
        r#"'{\"api_key\": \"abc\", \"n\": 1}'"#,
        r#"'{\"api_key\": \"[REDACTED]\", \"n\": 1}'"#,
    );
    becomes(
        r#"os.environ["HF_TOKEN"] = "abc""#,
        r#"os.environ["HF_TOKEN"] = "[REDACTED]""#,
    );
    becomes("clientSecret: 'abc',", "clientSecret: '[REDACTED]',");
    becomes(
        r#"db_password: str | None = "abc""#,
        r#"db_password: str | None = "[REDACTED]""#,
    );
    becomes("{\"password\": \"cut off", "{\"password\": \"[REDACTED]");
}

#[test]
fn a_settings_file_holds_words_that_are_secret() {
    becomes(
        "db:\n  user: me\n  password: letmein\n",
        "db:\n  user: me\n  password=[REDACTED]\n",
    );
    becomes(
        "user=me password=letmein host=db",
        "user=me password=[REDACTED] host=db",
    );
    becomes("POSTGRES_PASSWORD=postgres", "POSTGRES_PASSWORD=[REDACTED]");
}

#[test]
fn prose_is_not_damaged() {
    for text in [
        "the secret: lies in the data",
        "Password: required, at least 8 characters",
        "the token: a piece of a word",
        "- `HF_TOKEN`: token of the Hub, needed for gated models",
        "Set OPENAI_API_KEY: see https://example.org",
        "secret = none of your business",
        "Get your token: https://huggingface.co/settings/tokens",
        "API key invalid; password incorrect. Token expired",
    ] {
        stays(text);
    }
}

#[test]
fn python_is_not_damaged() {
    stays(
        r#"
import os
from getpass import getpass

tokenizer = AutoTokenizer.from_pretrained(name, token=os.environ["HF_TOKEN"])
tokenizer.pad_token = tokenizer.eos_token
tokenizer.add_special_tokens({"pad_token": "[PAD]", "bos_token": "<s>", "sep_token": "SEP"})
token = os.getenv("HF_TOKEN", None)
hf_token = args.hf_token or os.environ.get("HF_TOKEN")
api_key: str | None = None
api_key = config["api_key"]
password = getpass("Password: ")
client = Client(api_key=api_key, secret=self._secret, password=password)
headers = {"Authorization": f"Bearer {token}", "X-Api-Key": api_key}
next_token = logits[:, -1].argmax(dim=-1)
for token in tokens: print("token:", token)
if token == "abc": secret = True
def login(username: str, password: str, token: Optional[str] = None) -> Token:
max_token = 512
url = f"postgres://{user}:{password}@{host}/db"
API_KEY = "<your key>"
HF_TOKEN = "YOUR_TOKEN_HERE"
OTHER_TOKEN = "hf_..."
parser.add_argument("--token", default=None, help="token: the one of the Hub")
secret_name = "my-secret"
access_key_id = session.get_credentials().access_key
"#,
    );
}

#[test]
fn typescript_is_not_damaged() {
    stays(
        r#"
const token = process.env.HF_TOKEN;
const apiKey = process.env.API_KEY ?? "";
interface Options { accessToken?: string; password: string; apiKey: string | undefined }
const client = new Client({ apiKey: config.apiKey, token: await getToken(), secret });
fetch(url, { headers: { Authorization: `Bearer ${token}` } });
export const schema = z.object({ password: z.string().min(8), token: z.string() });
type Token = { kind: "token"; text: string };
const next = tokens.map((token) => token.text);
this.password = password;
if (token !== undefined && secret === other) { return token!.text; }
"#,
    );
}

#[test]
fn yaml_and_shell_are_not_damaged() {
    stays(
        r#"
env:
  HF_TOKEN: ${{ secrets.HF_TOKEN }}
  API_KEY: ${API_KEY:-}
  DB_PASSWORD: !secret db
  secretKeyRef:
    name: my-secret
    key: token
special_token: <pad>
token: null
"#,
    );
    stays(
        r#"
export HF_TOKEN="$(cat ~/token)"
HF_TOKEN=$HF_TOKEN python train.py --token "$HF_TOKEN" --hub-token=${HF_TOKEN}
if [ -z "$API_KEY" ]; then echo "API_KEY: not set"; fi
API_KEY= ./run
read -rs PASSWORD
docker run -e HF_TOKEN -e "PASSWORD=$PASSWORD" image
curl -H "Authorization: Bearer ${HF_TOKEN}" https://huggingface.co/api/whoami-v2
"#,
    );
}

#[test]
fn rust_and_go_are_not_damaged() {
    stays(
        r#"
struct Login { token: Option<String>, password: SecretString, api_key: &'static str, secret: [u8; 32] }
let token = lexer.next_token()?;
Token::Ident(name) => secret = &self.secret,
let login = Login { token: token.clone(), password, api_key: API_KEY, secret: *secret };
"#,
    );
    stays(
        "token := os.Getenv(\"HF_TOKEN\")\nclient := New(Config{Token: token, Password: cfg.Password})\n",
    );
}

#[test]
fn what_tokenizers_say_is_not_damaged() {
    stays(
        r#"{"bos_token": "<|begin_of_text|>", "eos_token": "</s>", "unk_token": "UNK", "mask_token": "[MASK]", "pad_token": null}"#,
    );
    stays(
        r#"{"token": "Ġthe", "logprob": -0.31}, {"token": " world", "logprob": -1}, {"token": "2024", "n": 1}"#,
    );
    stays("step 10 loss 0.31 avg_token=512 tokens/s=1024 next_token: 17");
}

#[test]
fn fields_are_scrubbed_by_their_names() {
    let mut value = json!({
        "HF_TOKEN": "abc",
        "headers": {"Authorization": "Bearer x", "Cookie": "a=b", "Accept": "text/html"},
        "env": [["WANDB_API_KEY", "abc"], ["MODE", "abc"]],
        "secrets": [{"name": "DB_PASSWORD", "value": "abc"}, {"name": "MODE", "value": "abc"}],
        "script": "os.environ[\"HF_TOKEN\"] = \"abc\"\nprint(os.environ[\"HF_TOKEN\"])",
        "token": null, "password": {"type": "string"}, "n": 3,
    });
    assert!(rules().value(&mut value, Rules::All));
    assert_eq!(
        value,
        json!({
            "HF_TOKEN": "[REDACTED]",
            "headers": {"Authorization": "[REDACTED]", "Cookie": "[REDACTED]", "Accept": "text/html"},
            "env": [["WANDB_API_KEY", "[REDACTED]"], ["MODE", "abc"]],
            "secrets": [{"name": "DB_PASSWORD", "value": "[REDACTED]"}, {"name": "MODE", "value": "abc"}],
            "script": "os.environ[\"HF_TOKEN\"] = \"[REDACTED]\"\nprint(os.environ[\"HF_TOKEN\"])",
            "token": null, "password": {"type": "string"}, "n": 3,
        })
    );
    let clean = value.clone();
    assert!(!rules().value(&mut value, Rules::All));
    assert_eq!(value, clean);
}

#[test]
fn a_secret_in_a_fields_name_is_taken_out_and_the_fields_stay_apart() {
    let (one, two) = (format!("hf_{}", letters(30)), format!("hf_{}", letters(31)));
    let mut value = json!({ one: 1, two: {"canary-value-0123": 2}, "plain": 3 });
    assert!(rules().value(&mut value, Rules::All));
    assert_eq!(
        value,
        json!({"[REDACTED_HF_TOKEN]": 1, "[REDACTED_HF_TOKEN]#2": {"[REDACTED:openai]": 2}, "plain": 3})
    );
}

#[test]
fn what_the_host_knows_is_taken_out_by_every_rule() {
    for level in [Rules::Known, Rules::Marked, Rules::All] {
        assert_eq!(
            rules().clean("xcanary-value-0123x", level),
            "x[REDACTED:openai]x"
        );
    }
}

#[test]
fn what_a_person_judges_keeps_all_but_opaque_words() {
    let key = format!("hf_{}", letters(30));
    let command = format!(
        "TOKEN=a;curl|sh {key} https://u:p;id@h bearer {}",
        letters(20)
    );
    let asked = command.replace(&key, "[REDACTED_HF_TOKEN]");
    assert_eq!(rules().clean(&command, Rules::Marked), asked);
}

#[test]
fn a_private_key_is_noticed_line_by_line() {
    let rules = rules();
    let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
    let lines = [
        "-----BEGIN RSA PRIVATE KEY-----",
        line,
        "",
        line,
        "-----END RSA PRIVATE KEY-----",
        "after it",
    ];
    let clean = lines.map(|text| {
        let mut text = text.to_owned();
        rules.line("c1.0", &mut text);
        text
    });
    assert_eq!(&clean[..5], ["[REDACTED_PRIVATE_KEY]"; 5]);
    assert_eq!(clean[5], "after it");
    let mut other = line.to_owned();
    assert!(!rules.line("c1.1", &mut other));
}

fn in_pieces(pieces: &[&str]) -> String {
    let mut fragments = rules().fragments();
    let mut shown: String = pieces.iter().map(|piece| fragments.push(piece)).collect();
    shown.push_str(&fragments.finish());
    shown
}

#[test]
fn a_secret_in_pieces_is_replaced_wherever_it_is_split() {
    let text = format!(
        "é canary-value-0123, canary-value-012 hf_{} hf hf",
        letters(30)
    );
    let clean = "é [REDACTED:openai], canary-value-012 [REDACTED_HF_TOKEN] hf hf";
    let borders: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    for at in &borders {
        for to in borders.iter().filter(|to| *to >= at) {
            assert_eq!(
                in_pieces(&[&text[..*at], &text[*at..*to], &text[*to..]]),
                clean
            );
        }
    }
    let letters: Vec<String> = text.chars().map(String::from).collect();
    assert_eq!(
        in_pieces(&letters.iter().map(String::as_str).collect::<Vec<_>>()),
        clean
    );
}

#[test]
fn pieces_without_a_beginning_of_a_secret_are_not_held_back() {
    let mut fragments = rules().fragments();
    assert_eq!(fragments.push("The model "), "The model ");
    assert_eq!(fragments.push("is a c"), "is a ");
    assert_eq!(fragments.push("at."), "cat.");
}

/// The bound is many times what a slow machine needs without optimisation: it is for a time that grows with the square.
#[test]
fn one_long_line_of_names_takes_a_moment() {
    for unit in [
        "token=a,",
        "\"token\": \"",
        "password: \"",
        "https://a:",
        "-----BEGIN PRIVATE KEY-----",
        "eyJaaaaaaaaaa.",
        "_api_key",
    ] {
        let text = unit.repeat((256 << 10) / unit.len());
        let began = std::time::Instant::now();
        all(&text);
        assert!(
            began.elapsed().as_secs() < 10,
            "{unit}: {:?}",
            began.elapsed()
        );
    }
}
