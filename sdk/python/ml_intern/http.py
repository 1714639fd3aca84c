"""Requests. The host decides where they may go, adds credentials and follows no redirects."""

from __future__ import annotations

import contextlib
import dataclasses
import json as json_format
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from . import host
from .errors import InvalidInput, Limit, Upstream

#: Bytes of an answer that `fetch` reads, unless told otherwise: `max-response` has the same default.
MAX_BYTES = 8 << 20


@dataclasses.dataclass(frozen=True)
class Request:
    """A request as the host gets it. The names of headers are in lower case."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


@dataclasses.dataclass(frozen=True)
class Response:
    """A whole answer with any status. The names of headers are in lower case."""

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


@dataclasses.dataclass
class Answer:
    """An answer whose body is still to come, at most `max_bytes` of it."""

    url: str
    status: int
    headers: dict[str, str]
    #: The body as it comes, which can be gone through once.
    source: Iterator[bytes]
    max_bytes: int

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes. Raises `Limit` beyond `max_bytes`, `Upstream` when it breaks off."""
        read = 0
        for piece in self.source:
            read += len(piece)
            if read > self.max_bytes:
                raise Limit(f"the answer of `{self.url}` is over {self.max_bytes} bytes")
            yield piece

    def lines(self) -> Iterator[str]:
        """The body by lines, without their ends."""
        rest = b""
        for piece in self.pieces():
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                yield line.removesuffix(b"\r").decode(errors="replace")
        if rest:
            yield rest.decode(errors="replace")

    def events(self) -> Iterator[str]:
        """The `data` of each server-sent event."""
        data: list[str] = []
        for line in self.lines():
            if line.startswith("data:"):
                data.append(line[5:].removeprefix(" "))
            elif not line and data:
                yield "\n".join(data)
                data = []
        if data:
            yield "\n".join(data)

    def read(self) -> Response:
        """The whole answer."""
        return Response(self.url, self.status, self.headers, b"".join(self.pieces()))


@contextlib.contextmanager
def open_url(
    url: str,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes | str | None = None,
    json: Any = None,
    max_bytes: int = MAX_BYTES,
) -> Iterator[Answer]:
    """Sends a request and gives its answer before the body has come, as `with open_url(…) as answer`."""
    request = request_of(url, method, headers, body, json)
    with host.current().send(request) as (status, found, source):
        yield Answer(url, status, found, source, max_bytes)


def fetch(
    url: str,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes | str | None = None,
    json: Any = None,
    max_bytes: int = MAX_BYTES,
) -> Response:
    """Sends a request and reads its whole answer, at most `max_bytes` of it. `json` becomes the body,
    with its content type.

    Raises `Denied` with what would allow the request, `Timeout`, `Limit`, or `Upstream` when no
    answer came. Any status is an answer."""
    with open_url(url, method=method, headers=headers, body=body, json=json, max_bytes=max_bytes) as answer:
        return answer.read()


def request_of(
    url: str, method: str, headers: dict[str, str] | None, body: bytes | str | None, json: Any
) -> Request:
    """Raises `InvalidInput` for what is no URL."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise InvalidInput(f"`{url}` must begin with `http://` or `https://` and a host")
    headers = {name.lower(): value for name, value in (headers or {}).items()}
    if json is not None:
        body = json_format.dumps(json)
        headers.setdefault("content-type", "application/json")
    sent = body.encode() if isinstance(body, str) else body or b""
    if sent or method in ("POST", "PUT", "PATCH"):
        headers["content-length"] = str(len(sent))
    return Request(method, url, headers, sent)
