// Tools: functions that the model calls.

import { Failed, InvalidInput, NotFound, PluginError } from "./errors.js";
import { s } from "./schema.js";

/** A tool as the host is told of it. */
export function tool(told) {
  const { name, title, description, params = {}, output, readOnly = false, destructive = false } = told;
  const { idempotent = readOnly, openWorld = false, operations, run } = told;
  if (!/^[a-z][a-z0-9_]{0,63}$/.test(name)) throw new TypeError(`\`${name}\` is no name of a tool: ^[a-z][a-z0-9_]{0,63}$`);
  if (!description) throw new TypeError(`the tool \`${name}\` needs a description, which the model reads`);
  const schema = s.object(params);
  const descriptor = {
    name,
    title,
    description,
    inputSchema: JSON.stringify(schema.json),
    outputSchema: output === undefined ? undefined : JSON.stringify(output.json),
    effects: { readOnly, destructive, idempotent, openWorld },
    operations: operations && selected(name, params, operations),
  };
  return { name, descriptor, schema, run };
}

function selected(tool, params, [argument, effects]) {
  if (!Object.hasOwn(params, argument)) {
    throw new TypeError(`the tool \`${tool}\` has no argument \`${argument}\`, which selects its operation`);
  }
  const each = Object.entries(effects).map(([name, { readOnly = false, destructive = false, openWorld = false, idempotent = readOnly }]) => ({
    name,
    effects: { readOnly, destructive, idempotent, openWorld },
  }));
  return [argument, each];
}

/** Pieces of an answer, where a value is not enough. */
export const text = (value) => ({ tag: "text", val: value });
export const json = (value) => ({ tag: "json", val: JSON.stringify(value) });
export const image = (mediaType, data) => ({ tag: "image", val: { mediaType, data } });
export const file = (path) => ({ tag: "file", val: path });

class Output {
  constructor(content, isError) {
    this.content = content;
    this.isError = isError;
  }
}

/** An answer of several pieces. */
export const output = (...content) => new Output(content, false);

/** What the host gets of a call. Throws what the tool throws. */
export async function answer(tools, name, args, context) {
  const found = tools.find((tool) => tool.name === name);
  if (found === undefined) throw new NotFound(`unknown tool \`${name}\``);
  let told;
  try {
    told = JSON.parse(args);
  } catch (error) {
    throw new InvalidInput(`the arguments are no JSON: ${error.message}`);
  }
  try {
    return contentOf(await found.run(found.schema.parse(told), context));
  } catch (error) {
    if (error instanceof Failed && !(error instanceof PluginError)) return new Output([text(error.message)], true);
    throw error;
  }
}

function contentOf(value) {
  if (value instanceof Output) return value;
  if (value === undefined || value === null) return new Output([], false);
  if (typeof value === "string") return new Output([text(value)], false);
  if (typeof value === "object" && "tag" in value && "val" in value) return new Output([value], false);
  return new Output([json(value)], false);
}
