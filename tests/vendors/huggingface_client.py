"""Hugging Face's own client against a server: one JSON object with what each case came to."""

import json

from huggingface_hub import InferenceClient

from cases import TOOLS_PROMPT, failure, main, tool_answer

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


class Cases:
    def __init__(self, base_url, key, model):
        self.base_url, self.key, self.model = base_url, key, model
        self.client = InferenceClient(
            base_url=base_url, api_key=key, timeout=30, bill_to="an-organisation"
        )

    def ask(self, prompt, stream=False, model=None, **more):
        messages = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
        request = {"model": model or f"{self.model}:fakeworks", "messages": messages, **more}
        if not stream:
            answer = self.client.chat.completions.create(**request)
            choice = answer.choices[0]
            calls = [
                (call.id, call.function.name, call.function.arguments)
                for call in choice.message.tool_calls or []
            ]
            return choice.message.content, calls, choice.finish_reason, answer.usage
        events = self.client.chat.completions.create(
            stream=True, stream_options={"include_usage": True}, **request
        )
        return assembled(events)

    def text(self, stream):
        text, _, stop, usage = self.ask("say hello", stream)
        return {"text": text, "stop": stop, "usage": [usage.prompt_tokens, usage.completion_tokens]}

    def tools(self, stream, prompt=TOOLS_PROMPT):
        messages = [{"role": "user", "content": prompt}]
        text, calls, stop, _ = self.ask(messages, stream, tools=[TOOL])
        messages.append({
            "role": "assistant",
            "content": text,
            "tool_calls": [
                {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
                for id, name, arguments in calls
            ],
        })
        messages += [
            {"role": "tool", "tool_call_id": id, "content": tool_answer(json.loads(arguments))}
            for id, _, arguments in calls
        ]
        answer, _, _, _ = self.ask(messages, stream, tools=[TOOL])
        return {
            "calls": [[name, json.loads(arguments)] for _, name, arguments in calls],
            "stop": stop,
            "answer": answer,
        }

    def errors(self):
        wrong = Cases(self.base_url, "wrong", self.model)
        return {
            "rate limit": failure(lambda: self.ask("fail with 429")),
            "server": failure(lambda: self.ask("fail with 500")),
            "unpaid": failure(lambda: self.ask("fail with 402")),
            "too long": failure(lambda: self.ask("fail with context")),
            "bad request": failure(lambda: self.ask([])),
            "no model": failure(lambda: self.ask("say hello", model="none")),
            "no provider": failure(lambda: self.ask("say hello", model=f"{self.model}:nobody")),
            "wrong key": failure(lambda: wrong.ask("say hello")),
        }


def assembled(events):
    text, calls, stop, usage = "", {}, None, None
    for event in events:
        usage = event.usage or usage
        for choice in event.choices:
            text += choice.delta.content or ""
            stop = choice.finish_reason or stop
            for part in choice.delta.tool_calls or []:
                call = calls.setdefault(part.index, ["", "", ""])
                call[0] += part.id or ""
                call[1] += part.function.name or ""
                call[2] += part.function.arguments or ""
    return text, [tuple(call) for call in calls.values()], stop, usage


main(Cases)
