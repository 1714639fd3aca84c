"""The export of provider plugins."""

from typing import Any

from componentize_py_types import Err  # noqa: F401  (the tool chain wants the types of the exports)
from wit_world import exports
from wit_world.exports import provider as wit
from wit_world.imports import chat as wit_chat
from wit_world.imports import plugin_types as types

from .. import chat, host
from ..tools import Image, Text
from .failures import exported
from .host import ComponentHost
from .values import lifted as lifted_record
from .values import lowered as lowered_record

#: The cases of a part that are records of the same name in the bindings.
RECORDS = {chat.Reasoning: wit_chat.Part_Reasoning, chat.ToolCall: wit_chat.Part_Call}


def chosen() -> chat.Provider:
    if chat.Provider.chosen is None:
        raise TypeError("the plugin defines no subclass of `Provider`")
    return chat.Provider.chosen()


class Provider(exports.Provider):
    """The name is the interface's: the tool chain looks for it."""

    def models(self) -> wit.Listing:
        return exported(lambda: lowered_record(chosen().models(), wit))

    def complete(self, request: wit_chat.Request) -> wit_chat.Response:
        return exported(lambda: lowered(chosen().complete(lifted(request))))

    def count_tokens(self, request: wit_chat.Request) -> int | None:
        return exported(lambda: chosen().count_tokens(lifted(request)))


def lifted(request: wit_chat.Request) -> chat.Request:
    told = dict(vars(request))
    told["messages"] = [message(one) for one in request.messages]
    told["tools"] = lifted_record(request.tools, chat)
    told["tool_choice"] = choice(request.tool_choice)
    return chat.Request(**told)


def message(told: wit_chat.Message) -> chat.Message:
    return chat.Message(lifted_record(told.role, chat), [part(one) for one in told.parts], told.cache_breakpoint)


def part(told: Any) -> chat.Part:
    match told:
        case wit_chat.Part_Text(text):
            return Text(text)
        case wit_chat.Part_Image(blob):
            return Image(blob.media_type, blob.data)
        case wit_chat.Part_Result(result):
            images = [Image(one.media_type, one.data) for one in result.images]
            return chat.ToolResult(result.call_id, result.content, images, result.is_error)
    return lifted_record(told.value, chat)


def choice(told: Any) -> str | chat.Named:
    match told:
        case wit_chat.ToolChoice_Auto():
            return "auto"
        case wit_chat.ToolChoice_Required():
            return "required"
        case wit_chat.ToolChoice_Named(name):
            return chat.Named(name)
    return "none"


def lowered(response: chat.Response) -> wit_chat.Response:
    return wit_chat.Response(
        parts=[piece(one) for one in response.parts],
        stop=wit_chat.Stop[response.stop.name],
        usage=lowered_record(response.usage, wit_chat),
        id=response.id,
        model=response.model,
        cost_usd=response.cost_usd,
    )


def piece(told: chat.Part) -> Any:
    match told:
        case Text(text):
            return wit_chat.Part_Text(text)
        case Image(media_type, data):
            return wit_chat.Part_Image(types.Blob(media_type, data))
        case chat.ToolResult(call_id, content, images, is_error):
            blobs = [types.Blob(one.media_type, one.data) for one in images]
            return wit_chat.Part_Result(wit_chat.ToolResult(call_id, content, blobs, is_error))
    return RECORDS[type(told)](lowered_record(told, wit_chat))


host.use(ComponentHost())
