"""A host for tests, which run without a component:

    with FakeHost(config={"site": "https://example.org"}) as host:
        host.answer("GET", "https://example.org/a", body="one two")
        output = call("word_count", source="https://example.org/a")
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

from . import host as port
from .errors import Denied, NotFound, Unsupported
from .http import Request
from .process import Command, Outcome
from .tools import Context, Output, named


class FakeHost:
    """Keeps what a plugin tells the host, and answers what the test has prepared. What it has not
    prepared is denied, as without a grant."""

    def __init__(
        self,
        *,
        config: dict[str, str] | None = None,
        credentials: dict[str, bool] | None = None,
        run: Callable[[Command], Outcome] | None = None,
        jobs: Any = None,
        agent: Any = None,
        stopped: bool = False,
    ) -> None:
        """`credentials` says which of the requested ones are set; `run` stands for programs; `jobs` and
        `agent` are objects with the functions of the interface; with `stopped` the user has stopped
        the call."""
        self._config = config or {}
        self._credentials = credentials or {}
        self._run = run
        self._jobs = jobs
        self._agent = agent
        self.stopped = stopped
        self._answers: dict[tuple[str, str], tuple[int, dict[str, str], bytes]] = {}
        #: Level, message and fields of each line of the log.
        self.lines: list[tuple[str, str, dict[str, Any]]] = []
        #: Message and fraction of each report.
        self.reports: list[tuple[str, float | None]] = []
        #: Requests in their order.
        self.requests: list[Request] = []
        #: What a provider showed: the kind and its values.
        self.deltas: list[tuple[Any, ...]] = []
        self.buckets: dict[str, dict[str, bytes]] = {"session": {}, "project": {}}

    def __enter__(self) -> FakeHost:
        self._before = port.use(self)
        return self

    def __exit__(self, *_: object) -> None:
        port.use(self._before)

    def answer(
        self, method: str, url: str, *, status: int = 200, headers: dict[str, str] | None = None,
        body: str | bytes = b"", json_body: Any = None,
    ) -> None:
        """What a request gets; the same one gets it each time."""
        if json_body is not None:
            body = json.dumps(json_body)
        sent = body.encode() if isinstance(body, str) else body
        self._answers[method, url] = (status, headers or {}, sent)

    def write(self, level: str, message: str, fields: dict[str, Any]) -> None:
        self.lines.append((level, message, fields))

    def progress(self, message: str, fraction: float | None) -> bool:
        self.reports.append((message, fraction))
        return not self.stopped

    def config(self, key: str) -> str | None:
        return self._config.get(key)

    def credential_is_set(self, name: str) -> bool:
        if name not in self._credentials:
            raise Denied("credential", f"`{name}` is not requested")
        return self._credentials[name]

    @contextlib.contextmanager
    def send(self, request: Request) -> Iterator[tuple[int, dict[str, str], Iterator[bytes]]]:
        self.requests.append(request)
        if (request.method, request.url) not in self._answers:
            raise Denied("http", f"the test answers no `{request.method} {request.url}`")
        status, headers, body = self._answers[request.method, request.url]
        yield status, headers, iter([body] if body else [])

    def run(self, command: Command) -> Outcome:
        if self._run is None:
            raise Denied("process", f"the test runs no `{command.program}`")
        return self._run(command)

    def jobs(self, name: str, *arguments: Any) -> Any:
        return prepared(self._jobs, "jobs", name)(*arguments)

    def agent(self, name: str, *arguments: Any) -> Any:
        return prepared(self._agent, "agent", name)(*arguments)

    def emit(self, kind: str, *told: Any) -> bool:
        self.deltas.append((kind, *told))
        return not self.stopped

    def bucket_get(self, bucket: str, key: str) -> bytes | None:
        return self._bucket(bucket).get(key)

    def bucket_set(self, bucket: str, key: str, value: bytes) -> None:
        self._bucket(bucket)[key] = value

    def bucket_delete(self, bucket: str, key: str) -> None:
        self._bucket(bucket).pop(key, None)

    def bucket_keys(self, bucket: str) -> list[str]:
        return list(self._bucket(bucket))

    def _bucket(self, bucket: str) -> dict[str, bytes]:
        if bucket not in self.buckets:
            raise NotFound("no such key-value bucket")
        return self.buckets[bucket]


def prepared(stand_in: Any, interface: str, name: str) -> Callable[..., Any]:
    if stand_in is None:
        raise Denied(interface, f"the test prepared no `{interface}`")
    found = getattr(stand_in, name, None)
    if found is None:
        raise Unsupported(f"the test prepared no `{interface}.{name}`")
    return found


def call(name: str, **arguments: Any) -> Output:
    """Calls a tool as the host does: by name, with arguments that come as JSON."""
    return named(name).call(json.dumps(arguments), Context("session", "call", 60_000))
