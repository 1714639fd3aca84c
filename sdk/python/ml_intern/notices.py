"""Notifiers: a person or a system is told."""

from __future__ import annotations

import dataclasses
import enum


class Severity(enum.Enum):
    """How a notice should look."""

    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    ERROR = "error"
    APPROVAL = "approval"


@dataclasses.dataclass(frozen=True)
class Notice:
    """Something to tell. Title and body may hold a model's words: untrusted."""

    #: The same when a notice is sent again.
    id: str
    #: Such as `turn_complete`, `approval_required`, `error` or `job_finished`.
    kind: str
    severity: Severity
    #: One line.
    title: str
    #: Markdown.
    body: str
    url: str | None = None
    #: JSON text of an object that depends on `kind`.
    data: str | None = None


class Notifier:
    """Tells somebody. A plugin has one subclass, which is made anew for each call."""

    #: The subclass that the plugin defines.
    chosen: type[Notifier] | None = None

    def __init_subclass__(cls) -> None:
        Notifier.chosen = cls

    def notify(self, notice: Notice) -> str | None:
        """Sends a notice. Returns the service's id of it, for `poll_reply`."""
        raise NotImplementedError

    def poll_reply(self, external_id: str) -> str | None:
        """An answer to an earlier notice, if one has come."""
        del external_id
        return None
