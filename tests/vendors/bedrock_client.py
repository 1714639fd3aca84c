"""Amazon's own client against a server: one JSON object with what each case came to.

The key is `ID:SECRET`, as the server has it.
"""

import json

import boto3
from botocore.config import Config

from cases import TOOLS_PROMPT, failure, main, tool_answer

TOOLS = {
    "tools": [{
        "toolSpec": {
            "name": "weather",
            "description": "The weather in a city.",
            "inputSchema": {"json": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            }},
        }
    }]
}
THINKING = {"additionalModelRequestFields": {"thinking": {"type": "adaptive"}}}


def client_for(base_url, key):
    id, secret = key.split(":")
    return boto3.client(
        "bedrock-runtime",
        endpoint_url=base_url,
        region_name="eu-central-1",
        aws_access_key_id=id,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=30, connect_timeout=30),
    )


def user(text):
    return {"role": "user", "content": [{"text": text}]}


class Cases:
    def __init__(self, base_url, key, model):
        self.base_url, self.key, self.model = base_url, key, model
        self.client = client_for(base_url, key)

    def ask(self, prompt, stream=False, model=None, **more):
        messages = prompt if isinstance(prompt, list) else [user(prompt)]
        request = {"modelId": model or self.model, "messages": messages, **more}
        if not stream:
            answer = self.client.converse(**request)
            return answer["output"]["message"], answer["stopReason"], answer["usage"]
        return assembled(self.client.converse_stream(**request)["stream"])

    def text(self, stream):
        message, stop, usage = self.ask("say hello", stream)
        text = said(message)
        return {"text": text, "stop": stop, "usage": [usage["inputTokens"], usage["outputTokens"]]}

    def tools(self, stream, prompt=TOOLS_PROMPT, more={}, results=None):
        messages = [user(prompt)]
        message, stop, _ = self.ask(messages, stream, toolConfig=TOOLS, **more)
        calls = [block["toolUse"] for block in message["content"] if "toolUse" in block]
        messages.append(message)
        messages.append({
            "role": "user",
            "content": [
                {"toolResult": {
                    "toolUseId": call["toolUseId"],
                    "content": [{"text": results or tool_answer(call["input"])}],
                }}
                for call in calls
            ],
        })
        answer, _, _ = self.ask(messages, stream, toolConfig=TOOLS, **more)
        return {
            "calls": [[call["name"], call["input"]] for call in calls],
            "stop": stop,
            "answer": said(answer),
        }

    def thinking(self, stream):
        message, _, _ = self.ask("think and use a tool", stream, toolConfig=TOOLS, **THINKING)
        blocks = [block["reasoningContent"] for block in message["content"] if "reasoningContent" in block]
        thought = [block["reasoningText"]["text"] for block in blocks]
        whole = self.tools(stream, "think and use a tool", THINKING, "rain")
        return {"thought": thought, "answer": whole["answer"]}

    def refusal(self, stream):
        message, stop, _ = self.ask("refuse", stream)
        return {"stop": stop, "why": said(message)}

    def cache(self):
        system = [{"text": "be brief " * 40}, {"cachePoint": {"type": "default"}}]
        usages = [self.ask("say hello", system=system)[2] for _ in range(2)]
        return [
            usage[name]
            for usage in usages
            for name in ("cacheWriteInputTokens", "cacheReadInputTokens")
        ]

    def count_tokens(self):
        converse = {"messages": [user("say hello")]}
        # The colon is encoded in the path, and once more in what is signed.
        counted = self.client.count_tokens(modelId="third-v1:0", input={"converse": converse})
        return counted["inputTokens"]

    def errors(self):
        wrong = Cases(self.base_url, self.key + "x", self.model)
        nobody = Cases(self.base_url, "AKIANOBODY:secret", self.model)
        return {
            "rate limit": failure(lambda: self.ask("fail with 429")),
            "server": failure(lambda: self.ask("fail with 500")),
            "overloaded": failure(lambda: self.ask("fail with 529")),
            "unpaid": failure(lambda: self.ask("fail with 402")),
            "too long": failure(lambda: self.ask("fail with context")),
            "in the stream": failure(lambda: self.ask("fail in the stream", True)),
            "bad request": failure(lambda: self.ask(" ")),
            "no model": failure(lambda: self.ask("say hello", model="none")),
            "wrong secret": failure(lambda: wrong.ask("say hello")),
            "wrong key": failure(lambda: nobody.ask("say hello")),
            "wrong checksum": failure(lambda: self.ask("break a checksum", True)),
        }


def said(message):
    return "".join(block.get("text", "") for block in message["content"])


def assembled(stream):
    """The events of a stream as the answer that is not one."""
    blocks, stop, usage = [], None, None
    for event in stream:
        (name, value), = event.items()
        if name == "contentBlockStart":
            blocks.append({"toolUse": {**value["start"]["toolUse"], "input": ""}})
        elif name == "contentBlockDelta":
            if value["contentBlockIndex"] == len(blocks):
                blocks.append({})
            add(blocks[value["contentBlockIndex"]], value["delta"])
        elif name == "messageStop":
            stop = value["stopReason"]
        elif name == "metadata":
            usage = value["usage"]
    for block in blocks:
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"])
    return {"role": "assistant", "content": blocks}, stop, usage


def add(block, delta):
    if "text" in delta:
        block["text"] = block.get("text", "") + delta["text"]
    elif "toolUse" in delta:
        block["toolUse"]["input"] += delta["toolUse"]["input"]
    else:
        part = delta["reasoningContent"]
        whole = block.setdefault("reasoningContent", {}).setdefault("reasoningText", {"text": ""})
        whole["text"] += part.get("text", "")
        if "signature" in part:
            whole["signature"] = part["signature"]


main(Cases)
