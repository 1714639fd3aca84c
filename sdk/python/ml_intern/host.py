"""What the host offers beside files and requests: log, progress, configuration, what is kept."""

from __future__ import annotations

import json
from typing import Any

from .errors import Cancelled, Denied, Error, Internal, NotFound

try:
    from componentize_py_types import Err
    from wit_world.imports import credential, log
    from wit_world.imports import wasi_config_store as configuration
    from wit_world.imports import wasi_keyvalue_store as keyvalue

    IN_COMPONENT = True
except ImportError:
    IN_COMPONENT = False


def need_host() -> None:
    """Says what is missing outside a component, where there are no bindings."""
    if not IN_COMPONENT:
        raise RuntimeError("there is no host outside a component")


def write(level: str, message: str, fields: dict[str, Any]) -> None:
    if IN_COMPONENT:
        log.write(log.Level[level], message, json.dumps(fields, default=str) if fields else None)


def debug(message: str, **fields: Any) -> None:
    """A line of the log for the plugin's author; outside a component it goes nowhere."""
    write("DEBUG", message, fields)


def info(message: str, **fields: Any) -> None:
    """A line of the log for the curious user."""
    write("INFO", message, fields)


def warn(message: str, **fields: Any) -> None:
    """A line of the log: something is odd, the call goes on."""
    write("WARN", message, fields)


def error(message: str, **fields: Any) -> None:
    """A line of the log: something failed."""
    write("ERROR", message, fields)


def progress(message: str, fraction: float | None = None) -> None:
    """Shows `message` beside the running call; `fraction` is within 0 and 1.

    Raises `Cancelled` when the user stopped the call."""
    if IN_COMPONENT and log.progress(message, fraction).name == "STOP":
        raise Cancelled("cancelled")


def config(key: str) -> str | None:
    """The value of a key that `plugin.toml` lists under `[[request.config]]`."""
    need_host()
    try:
        return configuration.get(key)
    except Err as failure:
        raise Internal(f"configuration: {failure.value.value}") from None


def credential_is_set(name: str) -> bool:
    """Whether the user has set this credential, which the host adds to requests."""
    need_host()
    try:
        return credential.is_set(name)
    except Err as failure:
        raise contract_error(failure.value) from None


class Bucket:
    """What lasts from call to call: values that are JSON, or bytes. No other plugin sees them."""

    def __init__(self, name: str) -> None:
        self._name = name

    def get(self, key: str, default: Any = None) -> Any:
        """The value that `set` kept."""
        kept = self.get_bytes(key)
        return default if kept is None else json.loads(kept)

    def set(self, key: str, value: Any) -> None:
        """Keeps anything that is JSON. A read-only call may do this."""
        self.set_bytes(key, json.dumps(value).encode())

    def get_bytes(self, key: str) -> bytes | None:
        """The bytes of a key; none when it was never set or was deleted."""
        return self._with(lambda bucket: bucket.get(key))

    def set_bytes(self, key: str, value: bytes) -> None:
        """Sets a key."""
        self._with(lambda bucket: bucket.set(key, value))

    def delete(self, key: str) -> None:
        """Removes a key; one that is not there is no error."""
        self._with(lambda bucket: bucket.delete(key))

    def _with(self, use: Any) -> Any:
        need_host()
        try:
            # Not as a context manager: that sets the traceback of an `Err`, which takes none.
            return use(keyvalue.open(self._name))
        except Err as failure:
            raise bucket_error(failure.value) from None


#: Keys that live as long as the session.
session = Bucket("session")
#: Keys that outlive the session, for the project in the workspace.
project = Bucket("project")


def bucket_error(error: Any) -> Error:
    if isinstance(error, keyvalue.Error_NoSuchStore):
        return NotFound("no such key-value bucket")
    if isinstance(error, keyvalue.Error_AccessDenied):
        return Denied("keyvalue", "the bucket is not this plugin's")
    return Internal(f"key-value store: {error.value}")


def contract_error(error: Any) -> Error:
    """The exception of an error of the host's own interfaces."""
    from . import errors

    name = type(error).__name__.removeprefix("Error_")
    if name == "Denied":
        return errors.Denied(error.value.capability, error.value.detail)
    if name == "Upstream":
        told = error.value
        return errors.Upstream(
            told.message, status=told.status, code=told.code, retryable=told.retryable,
            retry_after_ms=told.retry_after_ms,
        )
    return getattr(errors, name)(getattr(error, "value", name.lower()))
