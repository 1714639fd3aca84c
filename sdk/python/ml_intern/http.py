"""Requests. The host decides where they may go, adds credentials and follows no redirects."""

from __future__ import annotations

import dataclasses
import json as json_format
from typing import Any
from urllib.parse import urlsplit

from .errors import Denied, Error, Internal, InvalidInput, Limit, Timeout, Upstream
from .host import need_host

try:
    from componentize_py_types import Err, Ok
    from wit_world.imports import outgoing_handler, streams
    from wit_world.imports import wasi_http_types as wasi
except ImportError:
    pass

#: Bytes of one piece of a body.
PIECE = 65536


@dataclasses.dataclass(frozen=True)
class Response:
    """An answer with any status. The names of headers are in lower case."""

    url: str
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is one of success."""
        return 200 <= self.status < 300

    def text(self) -> str:
        """The body as text; what is no UTF-8 becomes `�`."""
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        """The body as JSON. Raises `Upstream` where it is none."""
        try:
            return json_format.loads(self.body)
        except ValueError as error:
            raise Upstream(f"`{self.url}` answers no JSON: {error}", status=self.status, retryable=False) from None

    def raise_for_status(self) -> Response:
        """Raises `Upstream` unless `ok`; returns itself."""
        if not self.ok:
            again = self.status == 429 or self.status >= 500
            raise Upstream(f"`{self.url}` answers {self.status}", status=self.status, retryable=again)
        return self


def fetch(
    url: str,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes | str | None = None,
    json: Any = None,
    max_bytes: int = 8 << 20,
) -> Response:
    """Sends a request and reads its whole answer, at most `max_bytes` of it. `json` becomes the body,
    with its content type.

    Raises `Denied` with what would allow the request, `Timeout`, `Limit`, or `Upstream` when no
    answer came. Any status is an answer."""
    need_host()
    headers = {name.lower(): value for name, value in (headers or {}).items()}
    if json is not None:
        body = json_format.dumps(json)
        headers.setdefault("content-type", "application/json")
    sent = body.encode() if isinstance(body, str) else body or b""
    if sent or method in ("POST", "PUT", "PATCH"):
        headers["content-length"] = str(len(sent))
    try:
        future = start(outgoing(url, method, headers, bool(sent)), sent)
    except Err as failure:
        raise http_error(failure.value) from None
    with future.subscribe() as ready:
        ready.block()
    answered = future.get()
    answered = answered.value if isinstance(answered, Ok) else answered
    if not isinstance(answered, Ok):
        raise http_error(answered.value)
    return received(url, answered.value, max_bytes)


def outgoing(url: str, method: str, headers: dict[str, str], has_body: bool) -> Any:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise InvalidInput(f"`{url}` must begin with `http://` or `https://` and a host")
    known = getattr(wasi, f"Method_{method.capitalize()}", None)
    try:
        fields = wasi.Fields.from_list([(name, value.encode()) for name, value in headers.items()])
        request = wasi.OutgoingRequest(fields)
        request.set_method(known() if known else wasi.Method_Other(method))
        request.set_scheme(wasi.Scheme_Https() if parts.scheme == "https" else wasi.Scheme_Http())
        request.set_authority(parts.netloc)
        request.set_path_with_query((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
    except Err:
        raise InvalidInput(f"`{method} {url}` or one of its headers cannot be sent") from None
    return request


def start(request: Any, body: bytes) -> Any:
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
    try:
        wasi.OutgoingBody.finish(sink, None)
    except Err:
        # Likewise.
        pass
    return future


def received(url: str, response: Any, max_bytes: int) -> Response:
    # Dropped from the inside to the outside, as the host wants it.
    with response:
        with response.headers() as fields:
            headers = joined(fields.entries())
        with response.consume() as body, body.stream() as stream:
            return Response(url, response.status(), headers, read(stream, url, max_bytes))


def joined(entries: list[tuple[str, bytes]]) -> dict[str, str]:
    """Headers by name; those that come again are joined, as HTTP has it."""
    headers: dict[str, str] = {}
    for name, value in entries:
        name, text = name.lower(), value.decode(errors="replace")
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers


def read(stream: Any, url: str, max_bytes: int) -> bytes:
    body = bytearray()
    while True:
        try:
            body += stream.blocking_read(PIECE)
        except Err as failure:
            if isinstance(failure.value, streams.StreamError_Closed):
                return bytes(body)
            with failure.value.value as error:
                raise body_error(error) from None
        if len(body) > max_bytes:
            raise Limit(f"the answer of `{url}` is over {max_bytes} bytes")


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
