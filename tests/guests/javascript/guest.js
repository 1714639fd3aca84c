// Each tool tries, the way a JavaScript programmer would, something that was not granted.
// The versions of WASI are those of `scripts/foreign-guests`.
import { getDirectories } from "wasi:filesystem/preopens@WASI";
import { getArguments, getEnvironment, initialCwd } from "wasi:cli/environment@WASI";
import { instanceNetwork } from "wasi:sockets/instance-network@WASI";
import { resolveAddresses } from "wasi:sockets/ip-name-lookup@WASI";
import { createTcpSocket } from "wasi:sockets/tcp-create-socket@WASI";

// What a call leaves behind for the next one, if it can.
const left = [];

const tools = {
  async fetch_url(told) {
    const response = await fetch(told.url);
    return `${response.status} ${await response.text()}`;
  },

  // Follows redirects, as HTTP libraries do.
  async follow(told) {
    let response = await fetch(told.url);
    for (let hops = 0; response.status >= 300 && response.status < 400 && hops < 5; hops++) {
      response = await fetch(response.headers.get("location"));
    }
    return `${response.status} ${await response.text()}`;
  },

  async send(told) {
    const response = await fetch(told.url, { method: "POST", body: told.text });
    return `${response.status}`;
  },

  resolve(told) {
    resolveAddresses(instanceNetwork(), told.host);
    return "resolved";
  },

  connect(told) {
    const [a, b, c, d] = told.host.split(".").map(Number);
    const socket = createTcpSocket("ipv4");
    socket.startConnect(instanceNetwork(), {
      tag: "ipv4",
      val: { port: told.port, address: [a, b, c, d] },
    });
    socket.subscribe().block();
    socket.finishConnect();
    return "connected";
  },

  open_file(told) {
    const [[folder]] = getDirectories();
    const file = folder.openAt({ symlinkFollow: true }, told.path, {}, { read: true });
    return new TextDecoder().decode(file.read(65536n, 0n)[0]);
  },

  hard_link(told) {
    const [[folder]] = getDirectories();
    folder.linkAt({}, told.path, folder, "hard.txt");
    return "linked";
  },

  soft_link(told) {
    const [[folder]] = getDirectories();
    folder.symlinkAt(told.path, "soft.txt");
    return tools.open_file({ path: "soft.txt" });
  },

  surroundings() {
    return JSON.stringify({
      variables: getEnvironment(),
      arguments: getArguments(),
      folder: initialCwd() ?? null,
      folders: getDirectories().map(([, path]) => path),
      process: typeof process,
      require: typeof require,
    });
  },

  evaluate(told) {
    return String(new Function(`return (${told.text})`)());
  },

  burn(told) {
    let sum = 0;
    for (let round = 0; round < told.amount * 1e6; round++) sum += round;
    return `done ${sum}`;
  },

  async nap(told) {
    await new Promise((done) => setTimeout(done, told.amount));
    return "done";
  },

  never() {
    return new Promise(() => {});
  },

  eat(told) {
    const eaten = [];
    for (let count = 0; count < told.amount; count++) eaten.push(new Uint8Array(1 << 20).fill(1));
    return `${eaten.length} MiB`;
  },

  recurse() {
    const deep = (left) => deep(left + 1) + 1;
    return String(deep(0));
  },

  flood(told) {
    for (let count = 0; count < told.amount; count++) console.log("x".repeat(1023));
    return "done";
  },

  reject() {
    throw new Error("thrown by the guest");
  },

  remember(told) {
    left.push(told.text);
    globalThis.left = told.text;
    Object.prototype.left = told.text;
    return "left";
  },

  recall() {
    return JSON.stringify([left, globalThis.left ?? null]);
  },
};

const schema = JSON.stringify({
  type: "object",
  properties: {
    host: { type: "string" },
    port: { type: "integer" },
    url: { type: "string" },
    path: { type: "string" },
    amount: { type: "integer" },
    text: { type: "string" },
  },
  additionalProperties: false,
});

export const tool = {
  describe() {
    const effects = { readOnly: false, destructive: false, idempotent: false, openWorld: false };
    return Object.keys(tools).map((name) => ({
      name: `js_${name}`,
      description: name,
      inputSchema: schema,
      effects,
    }));
  },

  async call(name, args, _context) {
    const run = tools[name.replace(/^js_/, "")];
    if (run === undefined) throw { tag: "not-found", val: name };
    try {
      const text = await run(JSON.parse(args));
      return { content: [{ tag: "text", val: text }], isError: false };
    } catch (error) {
      // A refusal of WASI is an error code, thrown as a text or with one as its payload.
      const text = String(error.payload ?? error.message ?? error);
      if (/access|not-permitted/.test(text)) {
        throw { tag: "denied", val: { capability: "javascript", detail: text } };
      }
      throw { tag: "internal", val: text };
    }
  },
};
