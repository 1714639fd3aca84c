"""Providers: a conversation goes in, a model's answer comes out."""

from __future__ import annotations

import dataclasses
import enum

from . import host
from .tools import Image, Text


@dataclasses.dataclass(frozen=True)
class Reasoning:
    """A model's reasoning. `opaque` is JSON text that the same provider gets back unchanged."""

    text: str
    opaque: str | None = None


@dataclasses.dataclass(frozen=True)
class ToolCall:
    """A model's call of a tool; `arguments` is JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclasses.dataclass(frozen=True)
class ToolResult:
    """What a call came to."""

    call_id: str
    content: str
    images: list[Image]
    is_error: bool


#: A piece of a message.
Part = Text | Image | Reasoning | ToolCall | ToolResult


class Role(enum.Enum):
    """Whose message it is."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclasses.dataclass(frozen=True)
class Message:
    """One message. Where `cache_breakpoint` is set, a service with explicit caching should cache."""

    role: Role
    parts: list[Part]
    cache_breakpoint: bool = False

    def text(self) -> str:
        """Its texts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


@dataclasses.dataclass(frozen=True)
class ToolSpec:
    """A tool that the model may call; the schema is JSON text."""

    name: str
    description: str
    input_schema: str


class Named(str):
    """The name of the one tool that the model must call, where `tool_choice` is no plain word."""


@dataclasses.dataclass(frozen=True)
class Request:
    """One model call."""

    model: str
    messages: list[Message]
    tools: list[ToolSpec] = dataclasses.field(default_factory=list)
    #: `auto`, `none`, `required`, or the one tool that must be called, as `Named`.
    tool_choice: str = "auto"
    max_tokens: int | None = None
    #: JSON text.
    response_schema: str | None = None
    affinity: str | None = None
    effort: str | None = None
    #: Whether deltas are wanted.
    stream: bool = False
    #: JSON text of an object to be merged into what is sent.
    extra: str | None = None


class Stop(enum.Enum):
    """Why the model stopped."""

    END_TURN = "end-turn"
    TOOL_USE = "tool-use"
    MAX_TOKENS = "max-tokens"
    REFUSAL = "refusal"
    CANCELLED = "cancelled"
    OTHER = "other"


@dataclasses.dataclass(frozen=True)
class Usage:
    """Tokens by the service's own count; `input` with cached ones, `output` with reasoning."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0


@dataclasses.dataclass(frozen=True)
class Response:
    """A model's answer."""

    parts: list[Part]
    stop: Stop = Stop.END_TURN
    usage: Usage = Usage()
    id: str | None = None
    model: str | None = None
    cost_usd: float | None = None


@dataclasses.dataclass(frozen=True)
class Price:
    """US dollars for a million tokens."""

    input: float
    output: float
    cache_read: float
    cache_write: float


@dataclasses.dataclass(frozen=True)
class LongPrice:
    """What a request costs with more input tokens than `above`."""

    above: int
    price: Price


@dataclasses.dataclass(frozen=True)
class Model:
    """A model of the service; 0 tokens are unknown."""

    id: str
    context_window: int = 0
    max_output: int = 0
    tools: bool = False
    images: bool = False
    efforts: list[str] = dataclasses.field(default_factory=list)
    price: Price | None = None
    long_price: LongPrice | None = None
    #: Day of the figures, as `2026-11-01`, where they are written down in the plugin.
    as_of: str | None = None


@dataclasses.dataclass(frozen=True)
class Listing:
    """What there is to choose from; `problem` says why the service was not asked."""

    models: list[Model]
    problem: str | None = None


class Provider:
    """Talks to a language model. A plugin has one subclass, which is made anew for each call."""

    #: The subclass that the plugin defines.
    chosen: type[Provider] | None = None

    def __init_subclass__(cls) -> None:
        Provider.chosen = cls

    def models(self) -> Listing:
        """The models that the service offers."""
        raise NotImplementedError

    def complete(self, request: Request) -> Response:
        """One model call. The host tries again after a retryable `Upstream` and after `Timeout`."""
        raise NotImplementedError

    def count_tokens(self, request: Request) -> int | None:
        """Input tokens by the service's own count; none where it has none."""
        del request
        return None


def show_text(text: str) -> bool:
    """Shows more of the answer's text. False when the call is cancelled: return what there is with
    `Stop.CANCELLED`. The same holds for the three below."""
    return host.current().emit("text", text)


def show_reasoning(text: str) -> bool:
    """Shows more of the reasoning."""
    return host.current().emit("reasoning", text)


def show_call(index: int, call: str, name: str) -> bool:
    """Shows that a call begins; `index` counts the calls of the response from 0."""
    return host.current().emit("call-start", index, call, name)


def show_arguments(index: int, fragment: str) -> bool:
    """Shows more of the JSON text of a call's arguments."""
    return host.current().emit("call-arguments", index, fragment)
