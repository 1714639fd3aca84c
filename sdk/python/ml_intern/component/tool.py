"""The export of tool plugins."""

from componentize_py_types import Err  # noqa: F401  (the tool chain wants the types of the exports)
from wit_world import exports
from wit_world.exports import tool as wit
from wit_world.imports import plugin_types as types

from .. import errors, host
from ..tools import TOOLS, Content, Context, Effects, File, Image, Json, Output, Text, json_text, named
from ..tools import Tool as ToolOf
from .failures import exported
from .host import ComponentHost


class Tool(exports.Tool):
    """The name is the interface's: the tool chain looks for it."""

    def describe(self) -> list[wit.Descriptor]:
        return DESCRIPTORS

    def call(self, name: str, arguments: str, context: wit.Context) -> wit.Output:
        def run() -> wit.Output:
            told = Context(context.session, context.call, context.deadline_ms)
            try:
                return lowered(named(name).call(arguments, told))
            except errors.Failed as failure:
                return wit.Output([wit.Content_Text(str(failure))], True)

        return exported(run)


def described() -> list[wit.Descriptor]:
    return [
        wit.Descriptor(
            name=tool.name,
            title=tool.title,
            description=tool.description,
            input_schema=tool.schema(),
            output_schema=tool.output_schema(),
            effects=effects(tool.effects),
            operations=operations(tool),
        )
        for tool in TOOLS.values()
    ]


def effects(told: Effects) -> wit.Effects:
    return wit.Effects(told.read_only, told.destructive, told.idempotent or told.read_only, told.open_world)


def operations(tool: ToolOf) -> tuple[str, list[wit.Operation]] | None:
    if tool.operations is None:
        return None
    argument, each = tool.operations
    return argument, [wit.Operation(name, effects(told)) for name, told in each.items()]


def lowered(output: Output) -> wit.Output:
    return wit.Output([piece(one) for one in output.content], output.is_error)


def piece(content: Content) -> wit.Content:
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


# When the component is made, not in each call: what is here is in its memory from the start.
DESCRIPTORS = described()
host.use(ComponentHost())
