import assert from "node:assert/strict";
import { test } from "node:test";
import * as sdk from "@ml-intern/plugin";
import { call, fakeHost } from "@ml-intern/plugin/testing";
import { lifted, lowered } from "../src/errors.js";
import { notifier, provider, tools } from "../src/component/exports.js";

const { s, tool } = sdk;

const add = tool({
  name: "add",
  description: "Adds two numbers.",
  readOnly: true,
  params: { first: s.integer(), second: s.integer().default(2) },
  output: s.object({ total: s.integer() }),
  run: ({ first, second }, context) => ({ total: first + second, call: context.call }),
});

const answering = (run) => tool({ name: "answer", description: "Answers.", run });
const context = { session: "s", call: "c", deadlineMs: 1 };

test("a tool tells the host what it is", () => {
  const [descriptor] = tools([add]).describe();
  assert.deepEqual(JSON.parse(descriptor.inputSchema).required, ["first"]);
  assert.deepEqual(JSON.parse(descriptor.outputSchema).required, ["total"]);
  assert.deepEqual(descriptor.effects, { readOnly: true, destructive: false, idempotent: true, openWorld: false });
  const repo = { name: "repo", description: "Of the hub.", params: { operation: s.enum(["list", "create"]) } };
  const [{ operations }] = tools([tool({ ...repo, operations: ["operation", { list: { readOnly: true }, create: {} }] })]).describe();
  assert.equal(operations[0], "operation");
  assert.deepEqual(operations[1][0], { name: "list", effects: { ...descriptor.effects } });
  assert.equal(operations[1][1].effects.idempotent, false);
  assert.throws(() => tool({ ...repo, operations: ["kind", {}] }), /no argument `kind`/);
  assert.throws(() => tools([add, add]), /one name/);
  assert.throws(() => tool({ name: "Add", description: "x" }), /no name of a tool/);
  assert.throws(() => tool({ name: "add" }), /description/);
});

test("an answer is text, JSON, pieces or nothing", async () => {
  const of = async (value) => (await call(answering(() => value))).content;
  assert.deepEqual((await call(add, { first: 1 })).content, [{ tag: "json", val: '{"total":3,"call":"call"}' }]);
  assert.deepEqual(await of("words"), [{ tag: "text", val: "words" }]);
  assert.deepEqual(await of(Promise.resolve("later")), [{ tag: "text", val: "later" }]);
  assert.deepEqual(await of(undefined), []);
  assert.deepEqual(await of(sdk.file("a.txt")), [{ tag: "file", val: "a.txt" }]);
  assert.deepEqual(await of(sdk.output(sdk.text("a"), sdk.json([1]))), [
    { tag: "text", val: "a" },
    { tag: "json", val: "[1]" },
  ]);
});

test("every end of a call is one that the host knows", async () => {
  const ended = async (run) => {
    const exported = tools([answering(run)]);
    return fakeHost({}, () => exported.call("answer", "{}", context));
  };
  const thrown = async (error) => (await ended(() => { throw error; })).val;
  assert.deepEqual(await ended(() => "a"), { tag: "ok", val: { content: [{ tag: "text", val: "a" }], isError: false } });
  assert.deepEqual(await thrown(new sdk.Failed("try b")), { content: [{ tag: "text", val: "try b" }], isError: true });
  assert.deepEqual(await thrown(new sdk.NotFound("no a")), { tag: "not-found", val: "no a" });
  assert.deepEqual(await thrown(new sdk.Denied("http", "no")), { tag: "denied", val: { capability: "http", detail: "no" } });
  assert.deepEqual(await thrown(new sdk.Cancelled()), { tag: "cancelled" });
  assert.deepEqual(await thrown(new RangeError("odd")), { tag: "internal", val: "RangeError: odd" });
  assert.deepEqual(await thrown("text"), { tag: "internal", val: "text" });
  const { val } = await fakeHost({}, () => tools([add]).call("sub", "{}", context));
  assert.deepEqual(val, { tag: "not-found", val: "unknown tool `sub`" });
  const broken = await fakeHost({}, () => tools([add]).call("add", "{", context));
  assert.equal(broken.val.tag, "invalid-input");
});

test("an error of the contract is the same there and back", () => {
  const upstream = { status: 503, code: "busy", message: "later", retryable: true, retryAfterMs: 5 };
  for (const error of [
    { tag: "limit", val: "bytes" },
    { tag: "timeout" },
    { tag: "denied", val: { capability: "jobs", detail: "no" } },
    { tag: "upstream", val: upstream },
  ]) {
    assert.deepEqual(lowered(lifted(error)), error);
  }
});

test("what is told the host is kept", () =>
  fakeHost({ config: { a: "b" }, credentials: { set: true } }, (host) => {
    sdk.log.info("hello", { n: 1 });
    sdk.progress("half", 0.5);
    sdk.show.text("a");
    assert.deepEqual(host.lines, [{ level: "info", message: "hello", fields: { n: 1 } }]);
    assert.deepEqual(host.reports, [{ message: "half", fraction: 0.5 }]);
    assert.deepEqual(host.deltas, [{ tag: "text", val: "a" }]);
    assert.equal(sdk.config("a"), "b");
    assert.equal(sdk.config("c"), undefined);
    assert.equal(sdk.credentialIsSet("set"), true);
    assert.throws(() => sdk.credentialIsSet("other"), sdk.Denied);
  }));

test("without a host nothing happens silently", () => {
  assert.throws(() => sdk.config("a"), /fakeHost/);
});

test("a call that was stopped ends at its next report", () =>
  fakeHost({ stopped: true }, () => {
    assert.throws(() => sdk.progress("half"), sdk.Cancelled);
    assert.equal(sdk.show.text("a"), false);
  }));

test("state lasts in its bucket", () =>
  fakeHost({}, () => {
    assert.equal(sdk.session.get("n"), undefined);
    sdk.session.set("n", { a: 1 });
    sdk.project.setBytes("b", new Uint8Array([0]));
    assert.deepEqual(sdk.session.get("n"), { a: 1 });
    assert.deepEqual(sdk.session.keys(), ["n"]);
    sdk.session.delete("n");
    assert.deepEqual(sdk.session.keys(), []);
    assert.deepEqual(sdk.project.getBytes("b"), new Uint8Array([0]));
  }));

test("files are below the workspace", () =>
  fakeHost({ files: { "a.txt": "one", "b/c.txt": "two" } }, (host) => {
    assert.equal(sdk.readText("a.txt"), "one");
    assert.equal(sdk.readText("/workspace/b/c.txt"), "two");
    sdk.writeFile("d.txt", "three");
    assert.deepEqual(host.files["d.txt"], new TextEncoder().encode("three"));
    assert.deepEqual(sdk.readDir("."), [
      { name: "a.txt", type: "regular-file" },
      { name: "b", type: "directory" },
      { name: "d.txt", type: "regular-file" },
    ]);
    sdk.removeFile("d.txt");
    assert.equal(sdk.exists("d.txt"), false);
    assert.equal(sdk.exists("b"), true);
    assert.throws(() => sdk.readFile("d.txt"), sdk.NotFound);
    assert.throws(() => sdk.readFile("../a.txt"), sdk.InvalidInput);
    assert.throws(() => sdk.readFile("/etc/passwd"), sdk.Denied);
  }));

test("a request has its headers, and its answer a bound", () => {
  const http = {
    "POST https://example.org/a": { status: 201, headers: { x: "y" }, body: '{"ok":true}' },
    "GET https://example.org/events": "data: one\n\ndata: two\ndata: three\r\n\n: remark\ndata:last",
    "GET https://example.org/busy": { status: 503 },
  };
  return fakeHost({ http }, (host) => {
    const answer = sdk.fetch("https://example.org/a", { method: "POST", headers: { "X-A": "b" }, json: { a: 1 } });
    assert.deepEqual([answer.status, answer.ok, answer.headers, answer.json()], [201, true, { x: "y" }, { ok: true }]);
    assert.deepEqual(host.requests[0].headers, { "x-a": "b", "content-type": "application/json", "content-length": "7" });
    assert.deepEqual([...sdk.fetch("https://example.org/events").events()], ["one", "two\nthree", "last"]);
    assert.throws(() => sdk.fetch("https://example.org/events", { maxBytes: 10 }).text(), sdk.Limit);
    assert.throws(() => sdk.fetch("https://example.org/events").json(), sdk.Upstream);
    assert.throws(() => sdk.fetch("https://example.org/busy").orThrow(), { status: 503, retryable: true });
    assert.throws(() => sdk.fetch("https://example.org/other"), sdk.Denied);
    for (const url of ["", "example.org", "ftp://example.org", "https://"]) {
      assert.throws(() => sdk.fetch(url), sdk.InvalidInput);
    }
  });
});

test("programs and jobs get whole records", () => {
  const told = [];
  const keep = (value) => (told.push(value), value);
  return fakeHost({ process: { run: keep }, jobs: { submit: keep } }, () => {
    sdk.process.run("git", ["log"], { env: { A: "b" }, stdin: "x" });
    sdk.jobs.submit({ script: { source: "print()" }, timeoutSeconds: 60, labels: { a: "b" } });
    assert.deepEqual(told, [
      {
        program: "git",
        arguments: ["log"],
        env: [["A", "b"]],
        cwd: undefined,
        stdin: new TextEncoder().encode("x"),
        timeoutMs: 60_000,
        maxOutputBytes: 65_536,
      },
      {
        timeoutSeconds: 60,
        workload: { tag: "script", val: { arguments: [], dependencies: [], source: "print()" } },
        env: [],
        labels: [["a", "b"]],
        credentials: [],
        mounts: [],
      },
    ]);
  });
});

test("providers and notifiers may say less than the contract wants", async () => {
  const own = provider({
    models: () => [sdk.model({ id: "m" })],
    complete: async () => ({ parts: [{ tag: "text", val: "hi" }], usage: { input: 3 } }),
  });
  assert.deepEqual((await own.models()).val.models[0].efforts, []);
  const { val } = await own.complete({});
  assert.deepEqual([val.stop, val.usage.input, val.usage.output], ["end-turn", 3, 0]);
  assert.deepEqual(await own.countTokens({}), { tag: "ok", val: undefined });
  const teller = notifier({ notify: () => "id-1" });
  assert.deepEqual(await teller.notify({}), { tag: "ok", val: { externalId: "id-1" } });
  assert.deepEqual(await teller.pollReply("id-1"), { tag: "ok", val: undefined });
});
