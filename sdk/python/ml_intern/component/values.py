"""Between the values of this package and those of the bindings, whose records and enumerations have
the same names."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any


def lowered(value: Any, bindings: Any) -> Any:
    """A value of this package as the module `bindings` has it; dictionaries become lists of pairs."""
    if dataclasses.is_dataclass(value):
        wanted = getattr(bindings, type(value).__name__)
        names = [field.name for field in dataclasses.fields(wanted)]
        return wanted(*(lowered(getattr(value, name), bindings) for name in names))
    if isinstance(value, enum.Enum):
        return getattr(bindings, type(value).__name__)[value.name]
    if isinstance(value, list):
        return [lowered(one, bindings) for one in value]
    if isinstance(value, dict):
        return list(value.items())
    return value


def lifted(value: Any, ours: Any) -> Any:
    """A value of the bindings as the module `ours` of this package has it."""
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return getattr(ours, type(value).__name__)(**{one.name: lifted(getattr(value, one.name), ours) for one in fields})
    if isinstance(value, enum.Enum):
        return getattr(ours, type(value).__name__)[value.name]
    if isinstance(value, list):
        return [lifted(one, ours) for one in value]
    return value
