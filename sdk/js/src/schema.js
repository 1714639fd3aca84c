// JSON Schemas that also check: what a tool is called with, said once.

import { InvalidInput } from "./errors.js";

class Schema {
  constructor(json, check, { optional = false, fallback } = {}) {
    this.json = json;
    this.check = check;
    this.isOptional = optional;
    this.fallback = fallback;
  }

  describe(description) {
    return new Schema({ ...this.json, description }, this.check, { optional: this.isOptional, fallback: this.fallback });
  }

  optional() {
    return new Schema(this.json, this.check, { optional: true });
  }

  default(fallback) {
    return new Schema({ ...this.json, default: fallback }, this.check, { optional: true, fallback });
  }

  parse(value, place = "arguments") {
    return this.check(value, place);
  }
}

const kind = (value) => {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  return { string: "a string", number: "a number", boolean: "a boolean", object: "an object" }[typeof value] ?? "nothing";
};

function refuse(place, wanted, value) {
  const short = ["string", "number", "boolean"].includes(typeof value) && String(value).length <= 64;
  throw new InvalidInput(`${place}: expected ${wanted}, found ${short ? `\`${value}\`` : kind(value)}`);
}

const simple = (type, wanted, fits) => (keywords = {}) =>
  new Schema({ type, ...keywords }, (value, place) => (fits(value) ? bounded(value, keywords, place) : refuse(place, wanted, value)));

/** The keywords that the host checks too; here for tests, which have no host. */
function bounded(value, keywords, place) {
  const { minimum, maximum, minLength, maxLength, pattern } = keywords;
  if (minimum !== undefined && value < minimum) refuse(place, `at least ${minimum}`, value);
  if (maximum !== undefined && value > maximum) refuse(place, `at most ${maximum}`, value);
  if (minLength !== undefined && value.length < minLength) refuse(place, `at least ${minLength} characters`, value);
  if (maxLength !== undefined && value.length > maxLength) refuse(place, `at most ${maxLength} characters`, value);
  if (pattern !== undefined && !new RegExp(pattern, "u").test(value)) refuse(place, `text that matches ${pattern}`, value);
  return value;
}

function object(members) {
  const entries = Object.entries(members);
  const json = {
    type: "object",
    properties: Object.fromEntries(entries.map(([name, schema]) => [name, schema.json])),
    required: entries.filter(([, schema]) => !schema.isOptional).map(([name]) => name),
    additionalProperties: false,
  };
  return new Schema(json, (value, place) => {
    if (kind(value) !== "an object") refuse(place, "an object", value);
    for (const name of Object.keys(value)) {
      if (!Object.hasOwn(members, name)) throw new InvalidInput(`${place}: unknown member \`${name}\``);
    }
    const found = {};
    for (const [name, schema] of entries) {
      const inner = place === "arguments" ? name : `${place}.${name}`;
      if (Object.hasOwn(value, name)) found[name] = schema.check(value[name], inner);
      else if (!schema.isOptional) throw new InvalidInput(`${inner}: missing`);
      else if (schema.fallback !== undefined) found[name] = structuredClone(schema.fallback);
    }
    return found;
  });
}

function oneOf(choices) {
  const wanted = `one of ${choices.map((choice) => `\`${choice}\``).join(", ")}`;
  return new Schema({ enum: choices }, (value, place) => (choices.includes(value) ? value : refuse(place, wanted, value)));
}

function union(...schemas) {
  return new Schema({ anyOf: schemas.map((schema) => schema.json) }, (value, place) => {
    const problems = [];
    for (const schema of schemas) {
      try {
        return schema.check(value, place);
      } catch (error) {
        problems.push(error.message);
      }
    }
    throw new InvalidInput(problems.join("; or "));
  });
}

function array(items, keywords = {}) {
  return new Schema({ type: "array", items: items.json, ...keywords }, (value, place) => {
    if (!Array.isArray(value)) refuse(place, "an array", value);
    return value.map((one, index) => items.check(one, `${place}[${index}]`));
  });
}

function record(values) {
  return new Schema({ type: "object", additionalProperties: values.json }, (value, place) => {
    if (kind(value) !== "an object") refuse(place, "an object", value);
    const entries = Object.entries(value);
    return Object.fromEntries(entries.map(([name, one]) => [name, values.check(one, `${place}.${name}`)]));
  });
}

/** The builder. Each schema may be given `.describe(text)`, `.optional()` and `.default(value)`. */
export const s = {
  string: /* @__PURE__ */ simple("string", "a string", (value) => typeof value === "string"),
  number: /* @__PURE__ */ simple("number", "a number", (value) => typeof value === "number"),
  integer: /* @__PURE__ */ simple("integer", "an integer", (value) => Number.isInteger(value)),
  boolean: /* @__PURE__ */ simple("boolean", "a boolean", (value) => typeof value === "boolean"),
  null: () => new Schema({ type: "null" }, (value, place) => (value === null ? value : refuse(place, "null", value))),
  any: () => new Schema({}, (value) => value),
  enum: oneOf,
  array,
  object,
  record,
  union,
};
