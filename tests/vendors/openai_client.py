"""OpenAI's own client against a server: one JSON object with what each case came to.

The fourth argument is what is asked: `responses`, `chat`, or `openrouter` for its additions.
"""

import json
import sys

import openai

from cases import TOOLS_PROMPT, failure, main, strictly, tool_answer

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


def client_for(base_url, key):
    return openai.OpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=30)


class Common:
    def __init__(self, base_url, key, model):
        self.base_url, self.key, self.model = base_url, key, model
        self.client = client_for(base_url, key)

    def models(self):
        models = list(self.client.models.list())
        # OpenRouter's have no `object` and more than OpenAI's otherwise.
        return {"ids": [model.id for model in models if not model.object or strictly(model)]}

    def errors(self):
        wrong = type(self)(self.base_url, "wrong", self.model)
        other = type(self)(self.base_url, self.key, "none")
        return {
            "rate limit": failure(lambda: self.said("fail with 429")),
            "server": failure(lambda: self.said("fail with 500")),
            "overloaded": failure(lambda: self.said("fail with 529")),
            "unpaid": failure(lambda: self.said("fail with 402")),
            "too long": failure(lambda: self.said("fail with context")),
            "in the stream": failure(lambda: self.said("fail in the stream", True)),
            "bad request": failure(lambda: self.said([])),
            "no model": failure(lambda: other.said("say hello")),
            "wrong key": failure(lambda: wrong.said("say hello")),
        }


class Responses(Common):
    TOOL = {"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": True}

    def ask(self, prompt, stream=False, **more):
        request = {"model": self.model, "input": prompt, "store": False, **more}
        if not stream:
            return self.client.responses.create(**request)
        with self.client.responses.stream(**request) as events:
            numbers = []
            for event in events:
                if event.type == "error":
                    raise openai.APIError(event.message, request=None, body=event.to_dict())
                if event.type == "response.failed":
                    raise openai.APIError(event.response.error.message, request=None, body=None)
                numbers.append(event.sequence_number)
            assert numbers == list(range(len(numbers))), numbers
            return events.get_final_response()

    def said(self, prompt, stream=False):
        response = strictly(self.ask(prompt, stream))
        usage = response.usage
        return {
            "text": response.output_text,
            "stop": response.status,
            "usage": [usage.input_tokens, usage.output_tokens],
        }

    def text(self, stream):
        return self.said("say hello", stream)

    def events(self):
        reasoning = {"effort": "low", "summary": "auto"}
        return [
            strictly(event).type
            for prompt in ("think and use a tool", "say hello", "refuse")
            for event in self.client.responses.create(
                model=self.model, input=prompt, stream=True, reasoning=reasoning, tools=[self.TOOL]
            )
        ]

    def tools(self, stream, prompt=TOOLS_PROMPT):
        items = [{"role": "user", "content": prompt}]
        first = strictly(self.ask(items, stream, tools=[self.TOOL]))
        calls = [item for item in first.output if item.type == "function_call"]
        items += [item.to_dict(exclude_unset=True) for item in first.output]
        for item in items:
            item.pop("parsed_arguments", None)
        items += [
            {
                "type": "function_call_output",
                "call_id": call.call_id,
                "output": tool_answer(json.loads(call.arguments)),
            }
            for call in calls
        ]
        last = self.ask(clean(items), stream, tools=[self.TOOL])
        return {
            "calls": [[call.name, json.loads(call.arguments)] for call in calls],
            "stop": first.status,
            "answer": last.output_text,
        }

    def thinking(self, stream):
        more = {
            "tools": [self.TOOL],
            "reasoning": {"effort": "low", "summary": "auto"},
            "include": ["reasoning.encrypted_content"],
        }
        items = [{"role": "user", "content": "think and use a tool"}]
        first = strictly(self.ask(items, stream, **more))
        thought = [
            part.text for item in first.output if item.type == "reasoning" for part in item.summary
        ]
        call = next(item for item in first.output if item.type == "function_call")
        items += [item.to_dict(exclude_unset=True) for item in first.output]
        items.append({"type": "function_call_output", "call_id": call.call_id, "output": "rain"})
        last = self.ask(clean(items), stream, **more)
        return {"thought": thought, "answer": last.output_text}

    def refusal(self, stream):
        response = strictly(self.ask("refuse", stream))
        part = response.output[0].content[0]
        return {"stop": response.status, "why": part.refusal}


def clean(items):
    """Without what the client's helpers for streams add to items."""
    for item in items:
        item.pop("parsed_arguments", None)
        for part in item.get("content") or []:
            if isinstance(part, dict):
                part.pop("parsed", None)
    return items


class Chat(Common):
    """Chat completions."""

    TOOL = {
        "type": "function",
        "function": {"name": "weather", "parameters": PARAMETERS, "strict": True},
    }

    def ask(self, prompt, stream=False, **more):
        messages = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
        request = {"model": self.model, "messages": messages, **more}
        if not stream:
            return self.client.chat.completions.create(**request)
        with self.client.chat.completions.stream(
            stream_options={"include_usage": True}, **request
        ) as events:
            return events.get_final_completion()

    def said(self, prompt, stream=False):
        completion = strictly(self.ask(prompt, stream))
        usage = completion.usage
        return {
            "text": completion.choices[0].message.content,
            "stop": completion.choices[0].finish_reason,
            "usage": [usage.prompt_tokens, usage.completion_tokens],
        }

    def text(self, stream):
        return self.said("say hello", stream)

    def events(self):
        return [
            strictly(chunk).object
            for prompt in ("use two tools", "say hello", "refuse")
            for chunk in self.client.chat.completions.create(
                model=self.model,
                messages=[{"role": "user", "content": prompt}],
                stream=True,
                stream_options={"include_usage": True},
                tools=[self.TOOL],
            )
        ]

    def tools(self, stream, prompt=TOOLS_PROMPT):
        messages = [{"role": "user", "content": prompt}]
        first = strictly(self.ask(messages, stream, tools=[self.TOOL]))
        message = first.choices[0].message
        calls = [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls]
        messages.append({
            "role": "assistant",
            "content": message.content,
            "tool_calls": [
                {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
                for id, name, arguments in calls
            ],
        })
        messages += [
            {"role": "tool", "tool_call_id": id, "content": tool_answer(json.loads(arguments))}
            for id, _, arguments in calls
        ]
        last = self.ask(messages, stream, tools=[self.TOOL])
        return {
            "calls": [[name, json.loads(arguments)] for _, name, arguments in calls],
            "stop": first.choices[0].finish_reason,
            "answer": last.choices[0].message.content,
        }

    def refusal(self, stream):
        completion = self.ask("refuse", stream)
        choice = completion.choices[0]
        return {"stop": choice.finish_reason, "why": choice.message.refusal}


class OpenRouter(Chat):
    """Chat completions with reasoning that is sent back, and money."""

    # The client's helper for streams raises at the finish reason that this is.
    refusal = None

    def thinking(self, stream):
        more = {"tools": [self.TOOL], "extra_body": {"reasoning": {"effort": "low"}}}
        messages = [{"role": "user", "content": "think and use a tool"}]
        first = self.ask(messages, stream, **more).choices[0].message
        details = first.reasoning_details
        if stream:
            # The client joins strings of fields that it does not know, and collects lists.
            details = whole(details)
        call = first.tool_calls[0]
        function = {"name": call.function.name, "arguments": call.function.arguments}
        messages.append({
            "role": "assistant",
            "content": first.content,
            "tool_calls": [{"id": call.id, "type": "function", "function": function}],
            "reasoning_details": details,
        })
        messages.append({"role": "tool", "tool_call_id": call.id, "content": "rain"})
        last = self.ask(messages, stream, **more)
        return {"thought": [first.reasoning], "answer": last.choices[0].message.content}

    def cache(self):
        usage = self.ask("say hello").usage
        return [usage.cost, usage.prompt_tokens_details.cache_write_tokens]


def whole(details):
    """Reasoning of one index, put together as OpenRouter wants it back."""
    joined = {}
    for detail in details:
        one = joined.setdefault(detail["index"], {"text": ""})
        text = one["text"] + (detail.get("text") or "")
        one.update(detail)
        one["text"] = text
    return list(joined.values())


main({"responses": Responses, "chat": Chat, "openrouter": OpenRouter}[sys.argv[4]])
