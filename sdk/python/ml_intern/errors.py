"""How a call ends when it is not done. The classes are named by what the caller does next."""

from __future__ import annotations

import errno


class Failed(Exception):
    """The model sees the text and may correct itself; the turn goes on. For what it can do better,
    such as a pattern without a match."""


class Error(Exception):
    """The call could not be done. Raise one of the classes below."""


class InvalidInput(Error):
    """The arguments break a rule that their types cannot say."""


class Denied(Error):
    """Outside the grant, or refused by a person. `capability` is a dotted id such as `"http"`."""

    def __init__(self, capability: str, detail: str) -> None:
        super().__init__(detail)
        self.capability = capability


class AuthRequired(Error):
    """A credential is missing or was refused; the text is its name."""


class NotFound(Error):
    """No such file, page, model or job."""


class Conflict(Error):
    """It exists already, or changed meanwhile."""


class Limit(Error):
    """A size, count, rate or budget; the text says which one."""


class Timeout(Error):
    """No time left."""


class Cancelled(Error):
    """The user stopped the call."""


class ContextOverflow(Error):
    """The model's context window is exceeded."""


class Upstream(Error):
    """A service failed: its status and own code where it said them, and whether to try again."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        retryable: bool = True,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retryable = retryable
        self.retry_after_ms = retry_after_ms


class Unsupported(Error):
    """The plugin cannot do this."""


class Internal(Error):
    """Anything else."""


def of(error: BaseException) -> Error:
    """The error of the contract for any exception: a missing file is `NotFound`, a refused one
    `Denied`, and what nobody thought of `Internal` with its type."""
    if isinstance(error, Error):
        return error
    text = str(error)
    if isinstance(error, FileNotFoundError):
        return NotFound(text)
    if isinstance(error, PermissionError):
        return Denied("fs", text)
    if isinstance(error, FileExistsError):
        return Conflict(text)
    if isinstance(error, TimeoutError):
        return Timeout(text)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return Limit(text)
    if isinstance(error, OSError) and error.errno == errno.EROFS:
        return Denied("fs", text)
    return Internal(f"{type(error).__name__}: {text}")
