"""What the host offers beside files and requests: log, progress, configuration, what is kept."""

from __future__ import annotations

import json
from typing import Any

from .errors import Cancelled


class Host:
    """The port to the host. In a component `ml_intern.component.host` fills it, in tests
    `ml_intern.testing.FakeHost`; this one is what there is without either, and refuses."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"there is no host here that could `{name}`; in a test, use `ml_intern.testing.FakeHost`")


_current: Any = Host()


def current() -> Any:
    """The host of this call."""
    return _current


def use(host: Any) -> Any:
    """Sets the host and returns the one before."""
    global _current  # pylint: disable=global-statement
    before, _current = _current, host
    return before


def debug(message: str, **fields: Any) -> None:
    """A line of the log for the plugin's author. `fields` are shown beside it, as JSON."""
    _current.write("debug", message, fields)


def info(message: str, **fields: Any) -> None:
    """A line of the log for the curious user."""
    _current.write("info", message, fields)


def warn(message: str, **fields: Any) -> None:
    """A line of the log: something is odd, the call goes on."""
    _current.write("warn", message, fields)


def error(message: str, **fields: Any) -> None:
    """A line of the log: something failed."""
    _current.write("error", message, fields)


def progress(message: str, fraction: float | None = None) -> None:
    """Shows `message` beside the running call; `fraction` is within 0 and 1.

    Raises `Cancelled` when the user stopped the call."""
    if not _current.progress(message, fraction):
        raise Cancelled("cancelled")


def config(key: str) -> str | None:
    """The value of a key that `plugin.toml` lists under `[[request.config]]`; none where neither the
    user nor the manifest set one."""
    return _current.config(key)


def credential_is_set(name: str) -> bool:
    """Whether the user has set this credential, which the host adds to requests.

    Raises `Denied` for one that `plugin.toml` does not request."""
    return _current.credential_is_set(name)


class Bucket:
    """What lasts from call to call: values that are JSON, or bytes. No other plugin sees them. Only
    tools have buckets."""

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
        return _current.bucket_get(self._name, key)

    def set_bytes(self, key: str, value: bytes) -> None:
        """Sets a key."""
        _current.bucket_set(self._name, key, value)

    def delete(self, key: str) -> None:
        """Removes a key; one that is not there is no error."""
        _current.bucket_delete(self._name, key)

    def keys(self) -> list[str]:
        """All keys, in no order."""
        return _current.bucket_keys(self._name)


#: Keys that live as long as the session.
session = Bucket("session")
#: Keys that outlive the session, for the project in the workspace.
project = Bucket("project")
