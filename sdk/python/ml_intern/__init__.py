"""Write tools for ml-intern in Python.

A plugin is a folder with `plugin.toml` and `plugin.py`, whose functions marked with `@tool` are the
tools. Files are read and written with `open` below `/workspace`; requests go through `fetch`; what
must outlive a call goes into `session` or `project`. What is not granted raises `Denied`.

Outside a component, as in unit tests, the functions of the host raise `RuntimeError`.
"""

from .errors import (
    AuthRequired,
    Cancelled,
    Conflict,
    ContextOverflow,
    Denied,
    Error,
    Failed,
    Internal,
    InvalidInput,
    Limit,
    NotFound,
    Timeout,
    Unsupported,
    Upstream,
)
from .host import (
    Bucket,
    config,
    credential_is_set,
    debug,
    error,
    info,
    progress,
    project,
    session,
    warn,
)
from .http import Response, fetch
from .tools import Context, File, Image, Json, Output, Text, tool

__all__ = [
    "AuthRequired", "Bucket", "Cancelled", "Conflict", "Context", "ContextOverflow", "Denied",
    "Error", "Failed", "File", "Image", "Internal", "InvalidInput", "Json", "Limit", "NotFound",
    "Output", "Response", "Text", "Timeout", "Unsupported", "Upstream", "config",
    "credential_is_set", "debug", "error", "fetch", "info", "progress", "project", "session",
    "tool", "warn",
]
