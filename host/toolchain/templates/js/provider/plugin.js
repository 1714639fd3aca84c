// A provider: a conversation goes in, a model's answer comes out.

import { AuthRequired, NotFound, Upstream, config, fetch, model, show, textOf } from "@ml-intern/plugin";

const STOPS = {
  stop: "end-turn",
  tool_calls: "tool-use",
  length: "max-tokens",
  content_filter: "refusal",
};

export const provider = {
  models() {
    const { data } = asked("GET", "/models");
    return data.map(({ id }) => model({ id, tools: true }));
  },

  complete(request) {
    const response = answered(asked("POST", "/chat/completions", body(request)));
    // All at once: a service that streams would be read with `events()` of the answer.
    for (const part of response.parts) {
      if (request.stream && part.tag === "text") show.text(part.val);
    }
    return response;
  },
};

function asked(method, path, told) {
  const base = (config("base-url") ?? "").replace(/\/$/, "");
  const answer = fetch(base + path, { method, json: told, maxBytes: 16 << 20 });
  if (answer.ok) return answer.json();
  const words = answer.text().slice(0, 500);
  if (answer.status === 401) throw new AuthRequired("{{name}}");
  if (answer.status === 404) throw new NotFound(`the service knows no such model or path: ${words}`);
  const wait = Number(answer.headers["retry-after"]);
  throw new Upstream(words || "no words of the service", {
    status: answer.status,
    retryable: [408, 429].includes(answer.status) || answer.status >= 500,
    retryAfterMs: Number.isInteger(wait) ? wait * 1000 : undefined,
  });
}

function body(request) {
  const told = { model: request.model, messages: request.messages.flatMap(lowered) };
  if (request.maxTokens !== undefined) told.max_completion_tokens = request.maxTokens;
  if (request.tools.length > 0) {
    told.tools = request.tools.map(({ name, description, inputSchema }) => ({
      type: "function",
      function: { name, description, parameters: JSON.parse(inputSchema) },
    }));
    const choice = request.toolChoice;
    told.tool_choice = choice.tag === "named" ? { type: "function", function: { name: choice.val } } : choice.tag;
  }
  return { ...told, ...JSON.parse(request.extra ?? "{}") };
}

/** A message as the service has it; results of calls are messages of their own there. */
function lowered(message) {
  const results = message.parts.flatMap((part) => (part.tag === "result" ? [part.val] : []));
  if (results.length > 0) {
    return results.map(({ callId, content }) => ({ role: "tool", tool_call_id: callId, content }));
  }
  const calls = message.parts.flatMap((part) => (part.tag === "call" ? [part.val] : []));
  const told = { role: message.role, content: textOf(message) };
  if (calls.length === 0) return [told];
  const toolCalls = calls.map(({ id, name, arguments: args }) => ({
    id,
    type: "function",
    function: { name, arguments: args },
  }));
  return [{ ...told, tool_calls: toolCalls }];
}

function answered(told) {
  const [choice] = told.choices;
  const parts = choice.message.content ? [{ tag: "text", val: choice.message.content }] : [];
  for (const { id, function: called } of choice.message.tool_calls ?? []) {
    parts.push({ tag: "call", val: { id, name: called.name, arguments: called.arguments } });
  }
  return {
    parts,
    stop: STOPS[choice.finish_reason] ?? "other",
    usage: { input: told.usage?.prompt_tokens ?? 0, output: told.usage?.completion_tokens ?? 0 },
    id: told.id,
    model: told.model,
  };
}
