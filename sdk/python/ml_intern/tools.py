"""Tools: functions that the model calls."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
import typing
from collections.abc import Callable
from typing import Any

from .errors import InvalidInput, NotFound
from .schema import ARGUMENTS, Fields, object_schema, parse_object, schema_of


@dataclasses.dataclass(frozen=True)
class Context:
    """On whose behalf a call is made. A parameter annotated with it gets it, and is not an argument."""

    session: str
    #: The same when the call runs again after a crash.
    call: str
    #: Milliseconds left when the call started.
    deadline_ms: int


@dataclasses.dataclass(frozen=True)
class Text:
    """Plain text for the model."""

    text: str


@dataclasses.dataclass(frozen=True)
class Json:
    """A JSON document for the model: anything that `json.dumps` takes."""

    value: Any


@dataclasses.dataclass(frozen=True)
class Image:
    """A picture for models that see."""

    media_type: str
    data: bytes


@dataclasses.dataclass(frozen=True)
class File:
    """A file in the workspace, by relative path."""

    path: str


#: A piece of an answer.
Content = Text | Json | Image | File


@dataclasses.dataclass(frozen=True)
class Output:
    """What a call answers, where one value is not enough."""

    content: list[Content]
    is_error: bool = False


@dataclasses.dataclass(frozen=True)
class Effects:
    """What a call does at most; the host holds a read-only call to it."""

    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False
    open_world: bool = False


@dataclasses.dataclass(frozen=True)
class Tool:
    """A function with what the host is told of it."""

    run: Callable[..., Any]
    name: str
    title: str | None
    description: str
    fields: Fields
    #: The parameter that gets the `Context`.
    context: str | None
    #: What it says that it returns.
    returns: Any
    effects: Effects
    #: The argument that selects the operation, and the effects of each of its values.
    operations: tuple[str, dict[str, Effects]] | None

    def schema(self) -> str:
        """The JSON Schema of the arguments."""
        return json.dumps(object_schema(self.fields))

    def output_schema(self) -> str | None:
        """The JSON Schema of what is returned, where the annotation is a dataclass."""
        if dataclasses.is_dataclass(self.returns) and self.returns not in (Text, Json, Image, File, Output):
            return json.dumps(schema_of(self.returns))
        return None

    def call(self, arguments: str, context: Context) -> Output:
        """Runs the function with the JSON text of its arguments."""
        try:
            told = json.loads(arguments)
        except ValueError as error:
            raise InvalidInput(f"the arguments are no JSON: {error}") from None
        found = parse_object(self.fields, told, ARGUMENTS)
        if self.context:
            found[self.context] = context
        return output_of(self.run(**found))


#: What `@tool` has seen, by name.
TOOLS: dict[str, Tool] = {}


def tool(
    function: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    read_only: bool = False,
    idempotent: bool = False,
    destructive: bool = False,
    open_world: bool = False,
    operations: tuple[str, dict[str, Effects]] | None = None,
) -> Any:
    """Makes a function a tool. Its name and docstring are what the model reads, its annotations become
    the JSON Schema of the arguments. The effects say what a call does at most; a read-only call is
    held to it by the host. A tool with several operations names the argument that selects one, and
    the effects of each: `operations=("operation", {"list": Effects(read_only=True), "create": Effects()})`.

    The function stays as it is and may be called by tests. It returns a `str` (text), an `Output`, one
    of its pieces, or anything else that is JSON."""

    def register(run: Callable[..., Any]) -> Callable[..., Any]:
        fields, context = parameters(run)
        made = Tool(
            run=run,
            name=name or run.__name__,
            title=title,
            description=description or inspect.getdoc(run) or "",
            fields=fields,
            context=context,
            returns=typing.get_type_hints(run).get("return"),
            effects=Effects(read_only, destructive, idempotent or read_only, open_world),
            operations=operations,
        )
        if operations and operations[0] not in fields:
            raise TypeError(f"the tool `{made.name}` has no argument `{operations[0]}`, which selects its operation")
        if not made.description:
            raise TypeError(f"the tool `{made.name}` needs a docstring, which the model reads")
        if made.name in TOOLS:
            raise TypeError(f"there are two tools `{made.name}`")
        # What JSON has no word for is said when the plugin is built.
        made.schema()
        made.output_schema()
        TOOLS[made.name] = made
        return run

    return register if function is None else register(function)


def parameters(run: Callable[..., Any]) -> tuple[Fields, str | None]:
    hints = typing.get_type_hints(run, include_extras=True)
    fields: Fields = {}
    context = None
    for parameter in inspect.signature(run).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise TypeError(f"`{run.__name__}`: `{parameter}` cannot be an argument of a tool")
        if parameter.name not in hints:
            raise TypeError(f"`{run.__name__}`: `{parameter.name}` needs an annotation")
        annotation = hints[parameter.name]
        if annotation is Context:
            context = parameter.name
            continue
        default = parameter.default
        fields[parameter.name] = (annotation, dataclasses.MISSING if default is parameter.empty else default)
    return fields, context


def output_of(value: Any) -> Output:
    """What a function returned, as the host has it."""
    if isinstance(value, Output):
        return value
    if isinstance(value, (Text, Json, Image, File)):
        return Output([value])
    if value is None:
        return Output([])
    if isinstance(value, str):
        return Output([Text(value)])
    return Output([Json(value)])


def json_text(value: Any) -> str:
    """JSON without blanks, dataclasses as objects."""
    return json.dumps(value, default=plain, separators=(",", ":"), ensure_ascii=False)


def plain(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else dataclasses.asdict(value)


def named(name: str) -> Tool:
    """Raises `NotFound` for a tool that is not there."""
    if name not in TOOLS:
        raise NotFound(f"unknown tool `{name}`")
    return TOOLS[name]
