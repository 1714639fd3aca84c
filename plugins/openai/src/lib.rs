//! Chat completions of OpenAI, and of every server that speaks its protocol: vLLM, SGLang,
//! llama.cpp, Ollama, LM Studio, text-generation-inference, and routers.
//!
//! The plugin turns a request into a body ([`request`]), the answer into a response ([`sse`],
//! [`stream`], [`response`]) and failures into errors ([`errors`]). It knows no key: the host adds
//! the credential, keeps the connection and decides about further attempts.

mod chunk;
mod errors;
mod json;
mod models;
mod request;
mod response;
mod retry_after;
mod settings;
mod sse;
mod stream;

use ml_intern_plugin::{Control, Error, Model, Provider, Request, Response, config, http, sink};
use settings::Settings;
use sse::{Event, TooLong};
use std::time::{Duration, SystemTime};
use stream::{Emit, Flow, Reply};

/// Longest wait for a response to begin, and between two pieces of it: models reason for minutes.
const PATIENCE: Duration = Duration::from_secs(600);

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(30);

/// Bytes of an answer that is no stream, and of a list of models.
const MAX_BODY: usize = 16 << 20;

/// Bytes of an answer that reports an error.
const MAX_ERROR: usize = 64 << 10;

/// Bytes after the end of a stream that are read for the connection's sake.
const MAX_REST: usize = 64 << 10;

/// The provider.
pub struct OpenAi;

impl Provider for OpenAi {
    fn models() -> Result<Vec<Model>, Error> {
        let settings = Settings::read(config::get)?;
        let answer = send(
            http::Request::get(format!("{}/models", settings.base_url)),
            &settings,
            "",
        )?;
        models::parse(&answer.bytes(MAX_BODY)?, &settings)
    }

    fn complete(request: Request) -> Result<Response, Error> {
        let settings = Settings::read(config::get)?;
        let body = request::body(&request, &settings)?;
        let post = http::Request::post(format!("{}/chat/completions", settings.base_url))
            .header("content-type", "application/json")
            .header(
                "accept",
                if request.stream {
                    "text/event-stream"
                } else {
                    "application/json"
                },
            )
            .body(body);
        let answer = send(post, &settings, &request.model)?;
        refuse_web_page(&answer, &settings)?;
        let reply = Reply::new(&request.model, request.messages.len());
        let mut emit = |delta: sink::Delta| match request.stream {
            true => sink::emit(&delta),
            false => Control::Proceed,
        };
        // Some servers do not stream, whatever they are asked.
        let whole = answer
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("application/json"));
        if whole || !request.stream {
            return response::parse(
                reply,
                &answer.bytes(MAX_BODY)?,
                settings.price.as_ref(),
                &mut emit,
            );
        }
        read_stream(reply, answer, &settings, &mut emit)
    }

    fn count_tokens(_: Request) -> Result<Option<u32>, Error> {
        // The protocol has no such operation.
        Ok(None)
    }
}

/// Sends a request; an answer that is no success is an error.
fn send(request: http::Request, settings: &Settings, model: &str) -> Result<http::Response, Error> {
    let request = request
        .connect_timeout(CONNECT)
        .first_byte_timeout(PATIENCE)
        .between_bytes_timeout(PATIENCE);
    let answer = request.send().map_err(|error| match Error::from(error) {
        Error::Upstream(mut upstream) => {
            upstream.message = format!(
                "`{}` cannot be reached: {}",
                settings.base_url, upstream.message
            );
            Error::Upstream(upstream)
        }
        other => other,
    })?;
    let status = answer.status();
    if (200..300).contains(&status) {
        return Ok(answer);
    }
    let wait = retry_after::milliseconds(
        answer.header("retry-after-ms"),
        answer.header("retry-after"),
        SystemTime::now(),
    );
    let body = beginning(answer);
    Err(errors::of_answer(
        status,
        wait,
        &body,
        model,
        &settings.base_url,
    ))
}

/// A portal that wants a login, or a base URL that is a site's and not its API's, answers every
/// request with success and a page.
fn refuse_web_page(answer: &http::Response, settings: &Settings) -> Result<(), Error> {
    match answer.header("content-type") {
        Some(kind) if kind.starts_with("text/html") => Err(errors::broken(&format!(
            "`{}` answered with a web page (text/html); config `base-url` must end where the server's API begins, often with `/v1`",
            settings.base_url
        ))),
        _ => Ok(()),
    }
}

/// The first [`MAX_ERROR`] bytes of a body: a report that breaks off is better than none.
fn beginning(mut answer: http::Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.read_chunk() {
        body.extend_from_slice(&chunk);
        if body.len() >= MAX_ERROR {
            body.truncate(MAX_ERROR);
            break;
        }
    }
    body
}

fn read_stream(
    mut reply: Reply<'_>,
    mut answer: http::Response,
    settings: &Settings,
    emit: &mut Emit<'_>,
) -> Result<Response, Error> {
    let price = settings.price.as_ref();
    let mut events = sse::Events::default();
    let mut flow = Flow::More;
    while flow == Flow::More {
        let chunk = match answer.read_chunk() {
            Ok(Some(chunk)) => chunk,
            Ok(None) => {
                flow = take(events.finish(), &mut reply, emit)?.unwrap_or(Flow::Done);
                break;
            }
            // All that can be missing now is the usage: not worth the same reply once more.
            Err(_) if reply.has_finished() => break,
            Err(error) => return Err(error.into()),
        };
        events.feed(&chunk);
        while flow == Flow::More {
            match take(events.next(), &mut reply, emit)? {
                Some(next) => flow = next,
                None => break,
            }
        }
    }
    // A connection whose response was read to its end serves the next call. After `stop` the
    // host wants none of the rest: it drops the connection, and the server notices.
    if flow == Flow::Done {
        drain(answer);
    }
    reply.finish(price)
}

/// Takes an event, if there is one.
fn take(
    event: Result<Option<Event<'_>>, TooLong>,
    reply: &mut Reply<'_>,
    emit: &mut Emit<'_>,
) -> Result<Option<Flow>, Error> {
    match event {
        Ok(event) => event.map(|event| reply.event(&event, emit)).transpose(),
        Err(TooLong) => Err(Error::Limit(
            "the server sent an event of more than 4 MiB".to_owned(),
        )),
    }
}

fn drain(mut answer: http::Response) {
    let mut rest = 0;
    while rest < MAX_REST {
        match answer.read_chunk() {
            Ok(Some(chunk)) => rest += chunk.len(),
            // The reply is complete: how its connection ends is not its concern.
            Ok(None) | Err(_) => return,
        }
    }
}

ml_intern_plugin::export_provider!(OpenAi);
