"""The port to the host, over the bindings. What the plugin's world does not import is refused."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import wit_world.imports as bindings
from componentize_py_types import Err
from wit_world.imports import config_store, credential, log

from .. import agent, jobs, process
from ..errors import Denied, Error, Internal, NotFound, Unsupported
from ..http import Request
from . import failures
from .values import lifted, lowered

with contextlib.suppress(ImportError):
    from wit_world.imports import agent as wit_agent
    from wit_world.imports import jobs as wit_jobs
    from wit_world.imports import keyvalue_store
    from wit_world.imports import process as wit_process
with contextlib.suppress(ImportError):
    from wit_world.imports import sink
with contextlib.suppress(ImportError):
    from . import http


def has(interface: str) -> bool:
    """Whether the plugin's world imports it."""
    return hasattr(bindings, interface)


class ComponentHost:
    """See `ml_intern.host.Host`."""

    def write(self, level: str, message: str, fields: dict[str, Any]) -> None:
        log.write(log.Level[level.upper()], message, json.dumps(fields, default=str) if fields else None)

    def progress(self, message: str, fraction: float | None) -> bool:
        return log.progress(message, fraction).name == "PROCEED"

    def config(self, key: str) -> str | None:
        try:
            return config_store.get(key)
        except Err as failure:
            error = failure.value
        raise Internal(f"configuration: {error.value}")

    def credential_is_set(self, name: str) -> bool:
        return called(lambda: credential.is_set(name))

    def send(self, request: Request) -> Any:
        if not has("outgoing_handler"):
            raise Denied("http", "`plugin.toml` has no `[[request.http]]`")
        return http.send(request)

    def run(self, command: process.Command) -> process.Outcome:
        only_tools("process")
        return called(lambda: lifted(wit_process.run(lowered(command, wit_process)), process))

    def jobs(self, name: str, *arguments: Any) -> Any:
        only_tools("jobs")
        told = [spec_of(one) if isinstance(one, jobs.Spec) else one for one in arguments]
        return called(lambda: lifted(getattr(wit_jobs, name)(*told), jobs))

    def agent(self, name: str, *arguments: Any) -> Any:
        only_tools("agent")
        told = [lowered(one, wit_agent) for one in arguments]
        return called(lambda: lifted(getattr(wit_agent, name)(*told), agent))

    def emit(self, kind: str, *told: Any) -> bool:
        if not has("sink"):
            raise Unsupported("only providers show deltas")
        return sink.emit(delta(kind, told)).name == "PROCEED"

    def bucket_get(self, bucket: str, key: str) -> bytes | None:
        return in_bucket(bucket, lambda opened: opened.get(key))

    def bucket_set(self, bucket: str, key: str, value: bytes) -> None:
        in_bucket(bucket, lambda opened: opened.set(key, value))

    def bucket_delete(self, bucket: str, key: str) -> None:
        in_bucket(bucket, lambda opened: opened.delete(key))

    def bucket_keys(self, bucket: str) -> list[str]:
        return in_bucket(bucket, all_keys)


def only_tools(interface: str) -> None:
    if not has(interface):
        raise Unsupported(f"only tools have `{interface}`")


def called(run: Callable[[], Any]) -> Any:
    """What a function of the host returns; its error is raised as an exception of this package."""
    try:
        return run()
    except Err as failure:
        error = failure.value
    # Outside the `except`, since an `Err` is frozen and takes no traceback from elsewhere.
    raise failures.lifted(error)


def spec_of(spec: jobs.Spec) -> Any:
    wanted = lowered(spec, wit_jobs)
    case = wit_jobs.Workload_Script if isinstance(spec.workload, jobs.Script) else wit_jobs.Workload_Container
    wanted.workload = case(wanted.workload)
    return wanted


def delta(kind: str, told: tuple[Any, ...]) -> Any:
    match kind:
        case "text":
            return sink.Delta_Text(*told)
        case "reasoning":
            return sink.Delta_Reasoning(*told)
        case "call-start":
            return sink.Delta_CallStart(sink.CallStart(*told))
    return sink.Delta_CallArguments(sink.CallArguments(*told))


def in_bucket(bucket: str, use: Callable[[Any], Any]) -> Any:
    only_tools("keyvalue_store")
    try:
        # Not as a context manager: that sets the traceback of an `Err`, which takes none.
        return use(keyvalue_store.open(bucket))
    except Err as failure:
        error = failure.value
    raise bucket_error(error)


def all_keys(opened: Any) -> list[str]:
    page = opened.list_keys(None)
    keys = page.keys
    while page.cursor is not None:
        page = opened.list_keys(page.cursor)
        keys += page.keys
    return keys


def bucket_error(error: Any) -> Error:
    if isinstance(error, keyvalue_store.Error_NoSuchStore):
        return NotFound("no such key-value bucket")
    if isinstance(error, keyvalue_store.Error_AccessDenied):
        return Denied("keyvalue", "the bucket is not this plugin's")
    return Internal(f"key-value store: {error.value}")
