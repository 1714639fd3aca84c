"""Requests over `wasi:http`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from componentize_py_types import Err, Ok
from wit_world.imports import http_types as wasi
from wit_world.imports import outgoing_handler, streams

from ..errors import Denied, Error, Internal, InvalidInput, Limit, Timeout, Upstream
from ..http import Request

#: Bytes of one piece of a body.
PIECE = 65536


@contextlib.contextmanager
def send(request: Request) -> Iterator[tuple[int, dict[str, str], Iterator[bytes]]]:
    """Status, headers and body of the answer."""
    try:
        future = start(outgoing(request), request.body)
    except Err as failure:
        raise http_error(failure.value) from None
    with future.subscribe() as ready:
        ready.block()
    answered = future.get()
    answered = answered.value if isinstance(answered, Ok) else answered
    if not isinstance(answered, Ok):
        raise http_error(answered.value)
    # Dropped from the inside to the outside, as the host wants it.
    with answered.value as response:
        with response.headers() as fields:
            headers = joined(fields.entries())
        with response.consume() as body, body.stream() as stream:
            yield response.status(), headers, pieces(stream)


def outgoing(request: Request) -> wasi.OutgoingRequest:
    parts = urlsplit(request.url)
    known = getattr(wasi, f"Method_{request.method.capitalize()}", None)
    try:
        fields = wasi.Fields.from_list([(name, value.encode()) for name, value in request.headers.items()])
        sent = wasi.OutgoingRequest(fields)
        sent.set_method(known() if known else wasi.Method_Other(request.method))
        sent.set_scheme(wasi.Scheme_Https() if parts.scheme == "https" else wasi.Scheme_Http())
        sent.set_authority(parts.netloc)
        sent.set_path_with_query((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
    except Err:
        raise InvalidInput(f"`{request.method} {request.url}` or one of its headers cannot be sent") from None
    return sent


def start(request: wasi.OutgoingRequest, body: bytes) -> wasi.FutureIncomingResponse:
    if not body:
        return outgoing_handler.handle(request, None)
    sink = request.body()
    # A stream belongs to its body: the host faults a call that drops them in the other order.
    with sink.write() as stream:
        future = outgoing_handler.handle(request, None)
        try:
            # `wasi:io` takes 4096 bytes at once.
            for at in range(0, len(body), 4096):
                stream.blocking_write_and_flush(body[at : at + 4096])
        except Err:
            # The other side stopped listening: the answer says why, and may well be a success.
            return future
    with contextlib.suppress(Err):
        wasi.OutgoingBody.finish(sink, None)
    return future


def joined(entries: list[tuple[str, bytes]]) -> dict[str, str]:
    """Headers by name; those that come again are joined, as HTTP has it."""
    headers: dict[str, str] = {}
    for name, value in entries:
        name, text = name.lower(), value.decode(errors="replace")
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers


def pieces(stream: Any) -> Iterator[bytes]:
    """The body as it comes."""
    while True:
        try:
            piece = stream.blocking_read(PIECE)
        except Err as failure:
            if isinstance(failure.value, streams.StreamError_Closed):
                return
            with failure.value.value as error:
                told = body_error(error)
            raise told from None
        yield piece


def body_error(error: Any) -> Error:
    code = wasi.http_error_code(error)
    return Upstream(f"the answer broke off: {error.to_debug_string()}") if code is None else http_error(code)


DENIED = (
    "the request is outside this plugin's grant; `[[request.http]]` in its manifest must list the host, "
    "method and path, and the user must grant it"
)


def http_error(code: Any) -> Error:
    """By what the sender does next."""
    name = type(code).__name__.removeprefix("ErrorCode_")
    told = getattr(code, "value", None)
    match name:
        case "HttpRequestDenied":
            return Denied("http", DENIED)
        case "DestinationIpProhibited":
            return Denied("http", "the host's name leads to an address that is not allowed")
        case "ConnectionLimitReached":
            return Limit("more requests than `requests-per-minute` or `requests-at-once` in this plugin's `[limits]` allow")
        case "HttpResponseBodySize":
            return Limit(f"response body over {told} bytes" if told else "response body over the limit")
        case "ConnectionRefused":
            return Upstream("connection refused")
        case "DnsError" | "DestinationNotFound":
            return Upstream("the host's name has no address")
        case "ConnectionTerminated" | "HttpResponseIncomplete":
            return Upstream("the connection was cut")
        case "HttpRequestMethodInvalid" | "HttpRequestUriInvalid" | "HttpRequestLengthRequired":
            return Internal(name)
        case "InternalError":
            return Upstream(told or name)
    if name.endswith("Timeout"):
        return Timeout(name)
    if name.endswith(("Size", "UriTooLong")):
        return Limit(name)
    return Upstream(name)
