// What providers and notifiers are made with. A provider is an object with `models`, `complete` and,
// where it can, `countTokens`; a notifier one with `notify` and, where it can, `pollReply`.

import { part } from "./host.js";

const emit = (tag, val) => part("sink").emit({ tag, val }) !== "stop";

/** Shows deltas. Each answers `false` when the call is cancelled. */
export const show = {
  text: (value) => emit("text", value),
  reasoning: (value) => emit("reasoning", value),
  call: (index, id, name) => emit("call-start", { index, id, name }),
  args: (index, fragment) => emit("call-arguments", { index, fragment }),
};

/** A model of a listing, with what is unknown filled in. */
export const model = (told) => ({
  contextWindow: 0,
  maxOutput: 0,
  tools: false,
  images: false,
  efforts: [],
  ...told,
});

/** The texts of a message, joined. */
export const textOf = (message) =>
  message.parts
    .filter((one) => one.tag === "text")
    .map((one) => one.val)
    .join("");
