"""Anthropic's own client against a server: one JSON object with what each case came to."""

import anthropic

from cases import TOOLS_PROMPT, failure, main, strictly, tool_answer

TOOL = {
    "name": "weather",
    "description": "The weather in a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


def client_for(base_url, key):
    return anthropic.Anthropic(base_url=base_url, api_key=key, max_retries=0, timeout=30)


class Cases:
    def __init__(self, base_url, key, model):
        self.base_url, self.key, self.model = base_url, key, model
        self.client = client_for(base_url, key)

    def ask(self, prompt, stream=False, **more):
        messages = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
        request = {"model": self.model, "max_tokens": 1000, "messages": messages, **more}
        if not stream:
            return strictly(self.client.messages.create(**request))
        with self.client.messages.stream(**request) as events:
            return events.get_final_message()

    def said(self, message):
        return {
            "text": "".join(block.text for block in message.content if block.type == "text"),
            "stop": message.stop_reason,
            "usage": [message.usage.input_tokens, message.usage.output_tokens],
        }

    def text(self, stream):
        return self.said(self.ask("say hello", stream))

    def events(self):
        return [
            strictly(event).type
            for prompt in ("think and use a tool", "say hello", "refuse")
            for event in self.client.messages.create(
                model=self.model,
                max_tokens=1000,
                messages=[{"role": "user", "content": prompt}],
                stream=True,
                thinking={"type": "adaptive"},
                tools=[TOOL],
            )
        ]

    def tools(self, stream, prompt=TOOLS_PROMPT):
        messages = [{"role": "user", "content": prompt}]
        first = self.ask(messages, stream, tools=[TOOL])
        calls = [block for block in first.content if block.type == "tool_use"]
        messages.append({"role": "assistant", "content": first.content})
        messages.append({
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": call.id, "content": tool_answer(call.input)}
                for call in calls
            ],
        })
        last = self.ask(messages, stream, tools=[TOOL])
        return {
            "calls": [[call.name, call.input] for call in calls],
            "stop": first.stop_reason,
            "answer": self.said(last)["text"],
        }

    def thinking(self, stream):
        messages = [{"role": "user", "content": "think and use a tool"}]
        more = {"tools": [TOOL], "thinking": {"type": "adaptive"}}
        first = self.ask(messages, stream, **more)
        thought = [block.thinking for block in first.content if block.type == "thinking"]
        messages.append({"role": "assistant", "content": first.content})
        call = next(block for block in first.content if block.type == "tool_use")
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "rain"}
        messages.append({"role": "user", "content": [result]})
        return {"thought": thought, "answer": self.said(self.ask(messages, stream, **more))["text"]}

    def refusal(self, stream):
        message = self.ask("refuse", stream)
        return {"stop": message.stop_reason, "why": message.stop_details.explanation}

    def cache(self):
        system = [{
            "type": "text", "text": "be brief " * 40, "cache_control": {"type": "ephemeral"},
        }]
        first = self.ask("say hello", system=system)
        second = self.ask("say hello", system=system)
        return [
            first.usage.cache_creation_input_tokens,
            first.usage.cache_read_input_tokens,
            second.usage.cache_creation_input_tokens,
            second.usage.cache_read_input_tokens,
        ]

    def models(self):
        page = self.client.models.list(limit=2)
        return {
            "ids": [strictly(model).id for model in page],
            "effort": page.data[0].capabilities.effort.xhigh.supported,
            "context": page.data[0].max_input_tokens,
        }

    def count_tokens(self):
        messages = [{"role": "user", "content": "say hello"}]
        counted = self.client.messages.count_tokens(model=self.model, messages=messages)
        return counted.input_tokens

    def errors(self):
        wrong = client_for(self.base_url, "wrong")
        hello = [{"role": "user", "content": "say hello"}]
        return {
            "rate limit": failure(lambda: self.ask("fail with 429")),
            "server": failure(lambda: self.ask("fail with 500")),
            "overloaded": failure(lambda: self.ask("fail with 529")),
            "unpaid": failure(lambda: self.ask("fail with 402")),
            "too long": failure(lambda: self.ask("fail with context")),
            "in the stream": failure(lambda: self.ask("fail in the stream", True)),
            "bad request": failure(lambda: self.ask([{"role": "user", "content": ""}])),
            "no model": failure(
                lambda: self.client.messages.create(model="none", max_tokens=9, messages=hello)
            ),
            "wrong key": failure(
                lambda: wrong.messages.create(model=self.model, max_tokens=9, messages=hello)
            ),
        }


main(Cases)
