"""From annotations to JSON Schema, and from JSON to what is annotated."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from typing import Any, Literal, Union

from .errors import InvalidInput

#: What JSON calls the types of its values.
NAMES = {str: "a string", bool: "a boolean", int: "an integer", float: "a number", dict: "an object", list: "an array"}


def schema_of(annotation: Any) -> dict[str, Any]:
    """The JSON Schema of an annotation. `Annotated[T, "text", {"minimum": 1}]` adds a description and
    further keywords.

    Raises `TypeError` for a type that JSON has no word for, and for one that holds itself."""
    try:
        return schema_in_full(annotation)
    except RecursionError:
        raise TypeError(f"`{annotation}` holds itself; use `dict` or `list` where it does") from None


def schema_in_full(annotation: Any) -> dict[str, Any]:
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        schema = schema_of(args[0])
        for extra in args[1:]:
            schema |= {"description": extra} if isinstance(extra, str) else extra
        return schema
    if annotation is Any or annotation is object:
        return {}
    if annotation is None or annotation is type(None):
        return {"type": "null"}
    if origin is Literal:
        return {"enum": list(args)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [schema_of(one) for one in args]}
    if annotation is list or origin is list:
        return {"type": "array", "items": schema_of(args[0] if args else Any)}
    if annotation is dict or origin is dict:
        if args and args[0] is not str:
            raise TypeError(f"the keys of {annotation} must be `str`")
        return {"type": "object", "additionalProperties": schema_of(args[1]) if args else True}
    simple = {str: "string", bool: "boolean", int: "integer", float: "number"}.get(annotation)
    if simple:
        return {"type": simple}
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return {"enum": [one.value for one in annotation]}
    if dataclasses.is_dataclass(annotation):
        return object_schema(fields_of(annotation))
    raise TypeError(f"no JSON Schema for `{annotation}`")


#: Name to annotation and default; `dataclasses.MISSING` where it is required.
Fields = dict[str, tuple[Any, Any]]


def fields_of(cls: Any) -> Fields:
    """The fields of a dataclass."""
    hints = typing.get_type_hints(cls, include_extras=True)

    def default(field: dataclasses.Field[Any]) -> Any:
        if field.default_factory is not dataclasses.MISSING:
            return field.default_factory()
        return field.default

    return {field.name: (hints[field.name], default(field)) for field in dataclasses.fields(cls) if field.init}


def object_schema(fields: Fields) -> dict[str, Any]:
    """The schema of an object with these members and no others."""
    properties = {}
    for name, (annotation, default) in fields.items():
        properties[name] = schema_of(annotation)
        if default is not dataclasses.MISSING and default is not None and is_json(default):
            properties[name] |= {"default": default}
    required = [name for name, (_, default) in fields.items() if default is dataclasses.MISSING]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def is_json(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(is_json, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_json(one) for key, one in value.items())
    return value is None or type(value) in (str, bool, int, float)


def parse(annotation: Any, value: Any, place: str) -> Any:
    """What is annotated, from a JSON value; `place` is how errors call it.

    Raises `InvalidInput` with the place."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return parse(args[0], value, place)
    if annotation is Any or annotation is object:
        return value
    if annotation is None or annotation is type(None):
        return value if value is None else refuse(place, "null", value)
    if origin is Literal:
        return one_of(args, value, place)
    if origin in (Union, types.UnionType):
        return any_of(args, value, place)
    if annotation is list or origin is list:
        expect(list, value, place)
        items = args[0] if args else Any
        return [parse(items, one, f"{place}[{index}]") for index, one in enumerate(value)]
    if annotation is dict or origin is dict:
        expect(dict, value, place)
        values = args[1] if args else Any
        return {key: parse(values, one, f"{place}.{key}") for key, one in value.items()}
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return annotation(one_of([one.value for one in annotation], value, place))
    if dataclasses.is_dataclass(annotation):
        return annotation(**parse_object(fields_of(annotation), value, place))
    return number_or_text(annotation, value, place)


def parse_object(fields: Fields, value: Any, place: str) -> dict[str, Any]:
    """The members that are there; defaults are left to whom they belong to."""
    expect(dict, value, place)
    for name in value:
        if name not in fields:
            raise InvalidInput(f"{place}: unknown member `{name}`")
    found = {}
    for name, (annotation, default) in fields.items():
        inner = name if place == ARGUMENTS else f"{place}.{name}"
        if name in value:
            found[name] = parse(annotation, value[name], inner)
        elif default is dataclasses.MISSING:
            raise InvalidInput(f"{inner}: missing")
    return found


#: The place of all arguments together.
ARGUMENTS = "arguments"


def number_or_text(wanted: Any, value: Any, place: str) -> Any:
    if wanted is int and type(value) is float and value.is_integer():
        # JSON does not tell 3.0 from 3.
        return int(value)
    if wanted is float and type(value) is int:
        return float(value)
    # Not `isinstance`: for Python, a boolean is an integer.
    return value if type(value) is wanted else refuse(place, NAMES.get(wanted, str(wanted)), value)


def one_of(choices: Any, value: Any, place: str) -> Any:
    for choice in choices:
        if choice == value and type(choice) is type(value):
            return choice
    return refuse(place, "one of " + ", ".join(f"`{choice}`" for choice in choices), value)


def any_of(choices: Any, value: Any, place: str) -> Any:
    problems = []
    for choice in choices:
        if value is None and choice is not type(None):
            continue
        try:
            return parse(choice, value, place)
        except InvalidInput as problem:
            if choice is not type(None):
                problems.append(str(problem))
    raise InvalidInput("; or ".join(problems) or f"{place}: must not be null")


def expect(wanted: type, value: Any, place: str) -> None:
    if type(value) is not wanted:
        refuse(place, NAMES[wanted], value)


def refuse(place: str, wanted: str, value: Any) -> Any:
    found = "null" if value is None else NAMES.get(type(value), "something else")
    if isinstance(value, (str, int, float)) and len(str(value)) <= 64:
        found = f"`{value}`"
    raise InvalidInput(f"{place}: expected {wanted}, found {found}")
