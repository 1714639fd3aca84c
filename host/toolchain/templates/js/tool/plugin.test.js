import assert from "node:assert/strict";
import { test } from "node:test";
import { call, fakeHost } from "@ml-intern/plugin/testing";
import { count, tools } from "./plugin.js";

test("blanks of any number separate words", () => {
  assert.equal(count("one  two\n three\n", 1), 3);
  assert.equal(count("one  two\n three\n", 4), 1);
});

test("a file of the workspace is read", async () => {
  await fakeHost({ files: { "a.txt": "one two" } }, async () => {
    const { content } = await call(tools[0], { path: "a.txt" });
    assert.deepEqual(JSON.parse(content[0].val), { words: 2 });
  });
});
