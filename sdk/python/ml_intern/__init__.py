"""Write plugins for ml-intern in Python.

A plugin is a folder with `plugin.toml` and `plugin.py`. Functions marked with `@tool` are tools that
the model calls; a subclass of `Provider` talks to a language model; a subclass of `Notifier` tells a
person. Files are read and written with `open` below `/workspace`; requests go through `fetch`; what
must outlive a call goes into `session` or `project`. What is not granted raises `Denied`.

In tests, `ml_intern.testing.FakeHost` stands for the host.
"""

from . import agent, jobs, process
from .chat import (
    Listing,
    LongPrice,
    Message,
    Model,
    Named,
    Price,
    Provider,
    Reasoning,
    Request,
    Response,
    Role,
    Stop,
    ToolCall,
    ToolResult,
    ToolSpec,
    Usage,
    show_arguments,
    show_call,
    show_reasoning,
    show_text,
)
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
from .http import Answer, fetch, open_url
from .notices import Notice, Notifier, Severity
from .tools import Content, Context, Effects, File, Image, Json, Output, Text, tool

__all__ = [
    "Answer", "AuthRequired", "Bucket", "Cancelled", "Conflict", "Content", "Context", "ContextOverflow",
    "Denied", "Effects", "Error", "Failed", "File", "Image", "Internal", "InvalidInput", "Json", "Limit", "Listing",
    "LongPrice", "Message", "Model", "Named", "NotFound", "Notice", "Notifier", "Output", "Price", "Provider",
    "Reasoning", "Request", "Response", "Role", "Severity", "Stop", "Text", "Timeout", "ToolCall", "ToolResult",
    "ToolSpec", "Unsupported", "Upstream", "Usage", "agent", "config", "credential_is_set", "debug", "error",
    "fetch", "info", "jobs", "open_url", "process", "progress", "project", "session", "show_arguments",
    "show_call", "show_reasoning", "show_text", "tool", "warn",
]
