import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidInput, s } from "@ml-intern/plugin";

test("every kind of value has its schema", () => {
  for (const [schema, json] of [
    [s.string({ maxLength: 3 }), { type: "string", maxLength: 3 }],
    [s.integer().describe("How many."), { type: "integer", description: "How many." }],
    [s.number().default(0.5), { type: "number", default: 0.5 }],
    [s.boolean(), { type: "boolean" }],
    [s.any(), {}],
    [s.enum(["a", 1]), { enum: ["a", 1] }],
    [s.array(s.null(), { maxItems: 2 }), { type: "array", items: { type: "null" }, maxItems: 2 }],
    [s.record(s.integer()), { type: "object", additionalProperties: { type: "integer" } }],
    [s.union(s.string(), s.integer()), { anyOf: [{ type: "string" }, { type: "integer" }] }],
    [
      s.object({ a: s.string(), b: s.integer().optional() }),
      {
        type: "object",
        properties: { a: { type: "string" }, b: { type: "integer" } },
        required: ["a"],
        additionalProperties: false,
      },
    ],
  ]) {
    assert.deepEqual(schema.json, json);
  }
});

test("a value that fits is given, with what is missing filled in", () => {
  const schema = s.object({ a: s.array(s.object({ x: s.integer() })), b: s.array(s.string()).default(["c"]), d: s.any().optional() });
  const first = schema.parse({ a: [{ x: 3.0 }] });
  assert.deepEqual(first, { a: [{ x: 3 }], b: ["c"] });
  // What a tool does with a default is no matter of the next call's.
  first.b.push("more");
  assert.deepEqual(schema.parse({ a: [] }).b, ["c"]);
});

test("an error names the place", () => {
  for (const [schema, value, message] of [
    [s.integer(), 1.5, "arguments: expected an integer, found `1.5`"],
    [s.string(), null, "arguments: expected a string, found null"],
    [s.object({ a: s.array(s.integer()) }), { a: [1, "b"] }, "a[1]: expected an integer, found `b`"],
    [s.object({ a: s.object({ b: s.string() }) }), { a: {} }, "a.b: missing"],
    [s.object({}), { z: 1 }, "arguments: unknown member `z`"],
    [s.object({}), { __proto__: null, constructor: 1 }, "arguments: unknown member `constructor`"],
    [s.enum(["a", "b"]), "c", "arguments: expected one of `a`, `b`, found `c`"],
    [s.record(s.boolean()), { a: 1 }, "arguments.a: expected a boolean, found `1`"],
    [s.integer({ minimum: 1 }), 0, "arguments: expected at least 1, found `0`"],
    [s.string({ pattern: "^a" }), "b", "arguments: expected text that matches ^a, found `b`"],
    [s.union(s.string(), s.null()), 1, "arguments: expected a string, found `1`; or arguments: expected null, found `1`"],
  ]) {
    assert.throws(() => schema.parse(value), (error) => error instanceof InvalidInput && error.message === message, message);
  }
});
