// What a component exports, over what the plugin does.

import { Internal, PluginError, lowered } from "../errors.js";
import { part } from "../host.js";
import { answer } from "../tool.js";

/** The result for the bindings: a value, or an error of the contract. */
async function result(run) {
  try {
    return { tag: "ok", val: await run() };
  } catch (error) {
    if (!(error instanceof PluginError) || error instanceof Internal) {
      part("log").write("debug", `${error?.name}: ${error?.message}\n${error?.stack ?? ""}`, undefined);
    }
    return { tag: "err", val: lowered(error) };
  }
}

/** The export `tool`. */
export function tools(all) {
  const names = new Set(all.map((tool) => tool.name));
  if (names.size !== all.length) throw new TypeError("two tools have one name");
  const descriptors = all.map((tool) => tool.descriptor);
  return {
    describe: () => descriptors,
    call: (name, args, context) =>
      result(async () => {
        const { content, isError } = await answer(all, name, args, context);
        return { content, isError };
      }),
  };
}

/** The export `provider`. */
export function provider(own) {
  return {
    models: () =>
      result(async () => {
        const listing = await own.models();
        return Array.isArray(listing) ? { models: listing } : listing;
      }),
    complete: (request) =>
      result(async () => {
        const usage = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, reasoning: 0 };
        const response = await own.complete(request);
        return { stop: "end-turn", ...response, usage: { ...usage, ...response.usage } };
      }),
    countTokens: (request) => result(async () => (await own.countTokens?.(request)) ?? undefined),
  };
}

/** The export `notifier`. */
export function notifier(own) {
  return {
    notify: (notice) => result(async () => ({ externalId: (await own.notify(notice)) ?? undefined })),
    pollReply: (id) => result(async () => (await own.pollReply?.(id)) ?? undefined),
  };
}
