//! Ways out: by the SDK's client, by raw requests that it would not make, by sockets. A refusal
//! that the host typed as one is returned as one.

mod raw;
mod sockets;

use ml_intern_plugin::{Context, Descriptor, Error, Output, Tool, arguments, http};
use serde_json::json;

struct Hostile;
ml_intern_plugin::export_tool!(Hostile);

/// What any of the tools may be told.
#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Told {
    method: Option<String>,
    url: String,
    headers: Vec<(String, String)>,
    body: String,
    /// Where the body is written in pieces of this many bytes.
    pieces: Option<usize>,
    /// Follow redirects, as HTTP libraries do.
    follow: bool,
    /// How often.
    times: Option<u32>,
    /// KiB.
    amount: usize,
    /// Headers of the answer are told as well.
    all: bool,
    /// Backwards, so that neither the model nor the host sees it in the arguments: what goes in
    /// place of each `{}` in `url`, `body` and values of `headers`.
    hidden: String,
}

impl Told {
    fn revealed(mut self) -> Self {
        let hidden: String = self.hidden.chars().rev().collect();
        let values = self.headers.iter_mut().map(|(_, value)| value);
        for text in values.chain([&mut self.url, &mut self.body]) {
            *text = text.replace("{}", &hidden);
        }
        self
    }

    fn method(&self) -> &str {
        self.method.as_deref().unwrap_or("GET")
    }
}

type Run = fn(Told) -> Result<Output, Error>;

const TOOLS: &[(&str, &str, Run)] = &[
    ("request", "sends requests by the SDK", send),
    ("raw", "sends a request by the raw bindings", raw::send),
    (
        "write_on",
        "writes a body of `amount` KiB, whatever comes back, `times` times, and counts the typed refusals",
        raw::write_on,
    ),
    ("at_once", "keeps `times` answers open", raw::at_once),
    (
        "headers",
        "makes each header by itself and tells which are refused",
        raw::headers,
    ),
    ("sockets", "tries TCP, UDP and name look-up", sockets::all),
];

impl Tool for Hostile {
    fn describe() -> Result<Vec<Descriptor>, Error> {
        let tools = TOOLS.iter();
        Ok(tools
            .map(|(name, description, _)| {
                Descriptor::new(*name, *description, &json!({ "type": "object" }))
            })
            .collect())
    }

    fn call(name: String, raw: String, _context: Context) -> Result<Output, Error> {
        match TOOLS.iter().find(|(own, _, _)| *own == name) {
            Some((_, _, run)) => run(arguments::<Told>(&raw)?.revealed()),
            None => Err(Error::unknown_tool(&name)),
        }
    }
}

fn send(told: Told) -> Result<Output, Error> {
    let mut url = told.url.clone();
    let mut text = String::new();
    for _ in 0..told.times.unwrap_or(1) {
        for _ in 0..20 {
            let mut request = http::Request::new(told.method(), &url);
            for (name, value) in &told.headers {
                request = request.header(name, value.as_bytes());
            }
            let response = request.body(told.body.as_bytes()).send()?;
            let next = response.header("location").map(str::to_owned);
            text = told_of(response, told.all)?;
            match next {
                Some(next) if told.follow => url = next,
                _ => break,
            }
        }
    }
    Ok(Output::text(text))
}

fn told_of(response: http::Response, all: bool) -> Result<String, Error> {
    let mut text = format!("{} ", response.status());
    if all {
        for (name, value) in response.headers() {
            text += &format!("{name}: {}\n", String::from_utf8_lossy(value));
        }
    }
    let body = response.text(2 << 20)?;
    let shown: String = body.chars().take(2000).collect();
    Ok(format!("{text}{shown} ({} bytes)", body.len()))
}
