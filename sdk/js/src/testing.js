// A host for tests, which run without a component.

import { Denied } from "./errors.js";
import { use } from "./host.js";
import { answer } from "./tool.js";

const refused = (capability, detail) =>
  Object.assign(new Error(detail), { payload: { tag: "denied", val: { capability, detail } } });

/**
 * Runs `body` with a host that keeps what the plugin tells it and answers what the test has prepared.
 * What is not prepared is denied, as without a grant.
 */
export async function fakeHost(prepared, body) {
  const host = made(prepared);
  const before = use(host.parts);
  try {
    return await body(host);
  } finally {
    use(before);
  }
}

function made({ config = {}, credentials = {}, http = {}, files = {}, stopped = false, ...others }) {
  const kept = { lines: [], reports: [], requests: [], deltas: [], buckets: { session: new Map(), project: new Map() } };
  const control = () => (stopped ? "stop" : "proceed");
  const parts = {
    log: {
      write: (level, message, fields) => kept.lines.push({ level, message, fields: fields && JSON.parse(fields) }),
      progress: (message, fraction) => (kept.reports.push({ message, fraction }), control()),
    },
    config: { get: (key) => config[key] },
    credential: {
      isSet(name) {
        if (!(name in credentials)) throw refused("credential", `\`${name}\` is not requested`);
        return credentials[name];
      },
    },
    sink: { emit: (delta) => (kept.deltas.push(delta), control()) },
    keyvalue: { open: (name) => bucket(kept.buckets[name]) },
    http: { send: (request) => respond(kept, http, request) },
    filesystem: filesystem(files),
    ...others,
  };
  return { ...kept, files, parts };
}

function bucket(map) {
  return {
    get: (key) => map.get(key),
    set: (key, value) => void map.set(key, value),
    delete: (key) => void map.delete(key),
    listKeys: () => ({ keys: [...map.keys()] }),
  };
}

function respond(kept, http, request) {
  kept.requests.push(request);
  const found = http[`${request.method} ${request.url}`];
  if (found === undefined) throw refusedRequest(request);
  const { status = 200, headers = {}, body = "" } = typeof found === "string" ? { body: found } : found;
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  return { status, headers, pieces: bytes.length > 0 ? [bytes] : [] };
}

const refusedRequest = ({ method, url }) => new Denied("http", `the test answers no \`${method} ${url}\``);

/** A folder of `wasi:filesystem` in memory; `files` are texts or bytes by path below the workspace. */
function filesystem(files) {
  const code = (payload) => Object.assign(new Error(payload), { payload });
  const bytesOf = (content) => (typeof content === "string" ? new TextEncoder().encode(content) : content);
  const isFolder = (path) => path === "." || Object.keys(files).some((name) => name.startsWith(`${path}/`));
  const open = (path, { create, truncate, directory } = {}) => {
    if (directory ? !isFolder(path) : !(path in files) && !create) throw code("no-entry");
    if (create && (truncate || !(path in files))) files[path] = new Uint8Array();
    return {
      read(length, from) {
        const bytes = bytesOf(files[path]);
        const piece = bytes.slice(Number(from), Number(from + length));
        return [piece, Number(from) + piece.length >= bytes.length];
      },
      write(piece, at) {
        const whole = new Uint8Array(Math.max(Number(at) + piece.length, files[path].length));
        whole.set(files[path]);
        whole.set(piece, Number(at));
        files[path] = whole;
        return BigInt(piece.length);
      },
      readDirectory() {
        const below = path === "." ? "" : `${path}/`;
        const names = Object.keys(files).filter((name) => name.startsWith(below));
        const inside = new Map(names.map((name) => name.slice(below.length).split("/")).map((all) => [all[0], all.length > 1]));
        const entries = [...inside].map(([name, folder]) => ({ name, type: folder ? "directory" : "regular-file" }));
        return { readDirectoryEntry: () => entries.pop() };
      },
    };
  };
  const folder = {
    openAt: (_flags, path, how) => open(path, how),
    createDirectoryAt: () => {},
    statAt: (_flags, path) => {
      if (!(path in files) && !isFolder(path)) throw code("no-entry");
    },
    unlinkFileAt(path) {
      if (!(path in files)) throw code("no-entry");
      delete files[path];
    },
  };
  return { getDirectories: () => [[folder, "/workspace"]] };
}

/** Calls a tool as the host does: with arguments that come as JSON. */
export function call(tool, args = {}) {
  return answer([tool], tool.name, JSON.stringify(args), { session: "session", call: "call", deadlineMs: 60_000 });
}
