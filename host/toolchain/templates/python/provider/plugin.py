"""A provider: a conversation goes in, a model's answer comes out."""

import json

from ml_intern import (
    AuthRequired,
    Listing,
    Message,
    Model,
    Named,
    NotFound,
    Provider,
    Request,
    Response,
    Stop,
    Text,
    ToolCall,
    ToolResult,
    Upstream,
    Usage,
    config,
    fetch,
    show_text,
)

STOPS = {"stop": Stop.END_TURN, "tool_calls": Stop.TOOL_USE, "length": Stop.MAX_TOKENS, "content_filter": Stop.REFUSAL}


class {{Type}}(Provider):
    def models(self) -> Listing:
        found = asked("GET", "/models")["data"]
        return Listing([Model(one["id"], tools=True) for one in found])

    def complete(self, request: Request) -> Response:
        response = answered(asked("POST", "/chat/completions", body(request)))
        # All at once: a service that streams would be read with `open_url(…)` and `events()`.
        for part in response.parts:
            if request.stream and isinstance(part, Text):
                show_text(part.text)
        return response


def asked(method: str, path: str, told: dict | None = None) -> dict:
    answer = fetch(config("base-url").rstrip("/") + path, method=method, json=told, max_bytes=16 << 20)
    if answer.ok:
        return answer.json()
    if answer.status == 401:
        raise AuthRequired("{{name}}")
    if answer.status == 404:
        raise NotFound(f"the service knows no such model or path: {answer.text()[:500]}")
    again = answer.status in (408, 429) or answer.status >= 500
    wait = answer.headers.get("retry-after", "")
    raise Upstream(
        answer.text()[:500] or "no words of the service",
        status=answer.status,
        retryable=again,
        retry_after_ms=int(wait) * 1000 if wait.isdigit() else None,
    )


def body(request: Request) -> dict:
    told = {"model": request.model, "messages": [one for message in request.messages for one in lowered(message)]}
    if request.max_tokens is not None:
        told["max_completion_tokens"] = request.max_tokens
    if request.tools:
        told["tools"] = [
            {
                "type": "function",
                "function": {"name": one.name, "description": one.description, "parameters": json.loads(one.input_schema)},
            }
            for one in request.tools
        ]
        choice = request.tool_choice
        named = {"type": "function", "function": {"name": str(choice)}}
        told["tool_choice"] = named if isinstance(choice, Named) else choice
    return told | json.loads(request.extra or "{}")


def lowered(message: Message) -> list[dict]:
    """A message as the service has it; results of calls are messages of their own there."""
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    if results:
        return [{"role": "tool", "tool_call_id": one.call_id, "content": one.content} for one in results]
    told = {"role": message.role.value, "content": message.text()}
    calls = [part for part in message.parts if isinstance(part, ToolCall)]
    if calls:
        told["tool_calls"] = [
            {"id": one.id, "type": "function", "function": {"name": one.name, "arguments": one.arguments}} for one in calls
        ]
    return [told]


def answered(told: dict) -> Response:
    choice, used = told["choices"][0], told.get("usage") or {}
    message = choice["message"]
    parts = [Text(message["content"])] if message.get("content") else []
    for call in message.get("tool_calls") or []:
        parts.append(ToolCall(call["id"], call["function"]["name"], call["function"]["arguments"]))
    return Response(
        parts,
        stop=STOPS.get(choice.get("finish_reason"), Stop.OTHER),
        usage=Usage(input=used.get("prompt_tokens", 0), output=used.get("completion_tokens", 0)),
        id=told.get("id"),
        model=told.get("model"),
    )
