"""Where the component begins: the tools of `plugin.py`, as the host calls them."""

import traceback

import plugin  # noqa: F401  (its tools register themselves)
from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import tool as wit
from wit_world.imports import ml_intern_plugin_types as types

from . import errors, host
from .tools import TOOLS, Context, File, Image, Json, Output, Text, json_text, named


class Tool(exports.Tool):
    """The name is the interface's: the tool chain looks for it."""

    def describe(self) -> list[wit.Descriptor]:
        return [
            wit.Descriptor(
                name=tool.name,
                title=tool.title,
                description=tool.description,
                input_schema=tool.schema(),
                output_schema=None,
                effects=wit.Effects(tool.read_only, tool.destructive, tool.idempotent, tool.open_world),
                operations=None,
            )
            for tool in TOOLS.values()
        ]

    def call(self, name: str, arguments: str, context: wit.Context) -> wit.Output:
        try:
            return lowered(named(name).call(arguments, Context(context.session, context.call, context.deadline_ms)))
        except errors.Failed as failure:
            return wit.Output([wit.Content_Text(str(failure))], True)
        except Exception as failure:  # pylint: disable=broad-except
            told = errors.of(failure)
            if isinstance(told, errors.Internal):
                host.debug(traceback.format_exc())
            # Outside the `except`, since an `Err` takes no context.
        raise Err(lowered_error(told))


def lowered(output: Output) -> wit.Output:
    return wit.Output([piece(one) for one in output.content], output.is_error)


def piece(content: Text | Json | Image | File) -> wit.Content:
    match content:
        case Text(text):
            return wit.Content_Text(text)
        case Json(value):
            return wit.Content_Json(json_text(value))
        case Image(media_type, data):
            return wit.Content_Image(types.Blob(media_type, data))
        case File(path):
            return wit.Content_File(path)
    raise TypeError(f"no content for the model: {type(content).__name__}")


def lowered_error(error: errors.Error) -> types.Error:
    match error:
        case errors.Denied():
            return types.Error_Denied(types.Denial(error.capability, str(error)))
        case errors.Upstream():
            return types.Error_Upstream(
                types.Upstream(error.status, error.code, str(error), error.retryable, error.retry_after_ms)
            )
        case errors.Timeout():
            return types.Error_Timeout()
        case errors.Cancelled():
            return types.Error_Cancelled()
    # A plugin's own subclass is what it is made from.
    cases = (getattr(types, f"Error_{base.__name__}", None) for base in type(error).__mro__)
    return next(filter(None, cases), types.Error_Internal)(str(error))
