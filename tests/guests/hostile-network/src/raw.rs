//! Requests as the interface allows them, without the manners of a client.

use ml_intern_plugin::{Error, Output, http};
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingResponse, Method, OutgoingBody,
    OutgoingRequest, Scheme,
};

use crate::Told;

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "CONNECT" => Method::Connect,
        "TRACE" => Method::Trace,
        "OPTIONS" => Method::Options,
        other => Method::Other(other.to_owned()),
    }
}

/// A refusal before anything is sent: the interface itself does not take it.
fn refused(part: &str) -> Error {
    Error::denied("http", format!("the interface refuses the {part}"))
}

fn typed(code: ErrorCode) -> Error {
    http::Error::from(code).into()
}

fn request(told: &Told) -> Result<OutgoingRequest, Error> {
    let fields = Fields::new();
    for (name, value) in &told.headers {
        fields
            .append(name, value.as_bytes())
            .map_err(|error| refused(&format!("header {name:?}: {error}")))?;
    }
    let (scheme, rest) = told.url.split_once("://").unwrap_or(("https", &told.url));
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    let request = OutgoingRequest::new(fields);
    request
        .set_method(&method(told.method()))
        .map_err(|()| refused("method"))?;
    request
        .set_scheme(Some(&scheme))
        .map_err(|()| refused("scheme"))?;
    request
        .set_authority(Some(authority))
        .map_err(|()| refused("host"))?;
    request
        .set_path_with_query(Some(path))
        .map_err(|()| refused("path"))?;
    Ok(request)
}

fn wait(future: &FutureIncomingResponse) -> Result<IncomingResponse, ErrorCode> {
    loop {
        match future.get() {
            Some(answer) => return answer.expect("it is taken once"),
            None => future.subscribe().block(),
        }
    }
}

fn text(response: &IncomingResponse) -> Result<String, Error> {
    let body = response.consume().expect("it is taken once");
    let stream = body.stream().expect("it is taken once");
    let mut all = Vec::new();
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(chunk) => all.extend(chunk),
            Err(wasip2::io::streams::StreamError::Closed) => break,
            Err(wasip2::io::streams::StreamError::LastOperationFailed(error)) => {
                return Err(match wasip2::http::types::http_error_code(&error) {
                    Some(code) => typed(code),
                    None => Error::Internal(error.to_debug_string()),
                });
            }
        }
    }
    Ok(format!(
        "{} {}",
        response.status(),
        String::from_utf8_lossy(&all)
    ))
}

/// Sends a request; its body is written in pieces and finished whatever was declared of it.
pub(crate) fn send(told: Told) -> Result<Output, Error> {
    let request = request(&told)?;
    let body = match told.body.is_empty() {
        true => None,
        false => Some(request.body().map_err(|()| refused("body"))?),
    };
    let future = handle(request, None).map_err(typed)?;
    if let Some(body) = body {
        let stream = body.write().expect("it is taken once");
        for piece in told.body.as_bytes().chunks(told.pieces.unwrap_or(4096)) {
            if stream.blocking_write_and_flush(piece).is_err() {
                break;
            }
        }
        drop(stream);
        // What is wrong with the length is told by the response.
        let _told_below = OutgoingBody::finish(body, None);
    }
    let response = wait(&future).map_err(typed)?;
    Ok(Output::text(text(&response)?))
}

/// Starts a request and writes its body to the end before it looks at the answer.
pub(crate) fn write_on(told: Told) -> Result<Output, Error> {
    let piece = [b'x'; 4096];
    let (mut refused, mut broken, mut other) = (0, 0, Vec::new());
    for _ in 0..told.times.unwrap_or(1) {
        let request = request(&told)?;
        let body = request.body().map_err(|()| self::refused("body"))?;
        let future = handle(request, None).map_err(typed)?;
        let stream = body.write().expect("it is taken once");
        let begin = told.body.as_bytes();
        let pieces = (0..told.amount / 4).map(|_| &piece[..]);
        for piece in std::iter::once(begin).chain(pieces) {
            if !piece.is_empty() && stream.blocking_write_and_flush(piece).is_err() {
                broken += 1;
                break;
            }
        }
        drop(stream);
        let _told_below = OutgoingBody::finish(body, None);
        match wait(&future) {
            Err(ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited) => refused += 1,
            Err(code) => other.push(format!("{code:?}")),
            Ok(response) => other.push(response.status().to_string()),
        }
    }
    Ok(Output::text(format!(
        "{refused} refused, {broken} broken, others: {other:?}"
    )))
}

/// Opens answers and reads none of them.
pub(crate) fn at_once(told: Told) -> Result<Output, Error> {
    let mut open = Vec::new();
    for _ in 0..told.times.unwrap_or(1) {
        let future = handle(request(&told)?, None).map_err(typed)?;
        open.push(wait(&future).map_err(typed)?);
    }
    Ok(Output::text(format!("{} open", open.len())))
}

pub(crate) fn headers(told: Told) -> Result<Output, Error> {
    let told = told.headers.iter().map(|(name, value)| {
        let fields = Fields::new();
        let answer = match fields.append(name, value.as_bytes()) {
            Ok(()) => "taken".to_owned(),
            Err(error) => format!("{error:?}"),
        };
        format!("{name:?}: {answer}")
    });
    Ok(Output::text(told.collect::<Vec<_>>().join("\n")))
}
