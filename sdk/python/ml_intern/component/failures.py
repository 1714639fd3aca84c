"""Between the exceptions of this package and the errors of the contract."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from componentize_py_types import Err
from wit_world.imports import plugin_types as wit

from .. import errors, host


def lifted(error: Any) -> errors.Error:
    """The exception of an error of the host's own interfaces."""
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


def lowered(error: errors.Error) -> wit.Error:
    """The error of the contract for an exception."""
    match error:
        case errors.Denied():
            return wit.Error_Denied(wit.Denial(error.capability, str(error)))
        case errors.Upstream():
            told = wit.Upstream(error.status, error.code, str(error), error.retryable, error.retry_after_ms)
            return wit.Error_Upstream(told)
        case errors.Timeout():
            return wit.Error_Timeout()
        case errors.Cancelled():
            return wit.Error_Cancelled()
    # A plugin's own subclass is what it is made from.
    cases = (getattr(wit, f"Error_{base.__name__}", None) for base in type(error).__mro__)
    return next(filter(None, cases), wit.Error_Internal)(str(error))


def exported(run: Callable[[], Any]) -> Any:
    """What `run` returns; what it raises becomes an `Err`."""
    try:
        return run()
    except Exception as failure:  # pylint: disable=broad-except
        told = errors.of(failure)
        if isinstance(told, errors.Internal):
            host.debug(traceback.format_exc())
    # Outside the `except`, since an `Err` is frozen and takes no context.
    raise Err(lowered(told))
