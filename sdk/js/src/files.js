// Files of the workspace. The engine knows none, so these go to `wasi:filesystem` themselves.

import { Conflict, Denied, Internal, InvalidInput, Limit, NotFound } from "./errors.js";
import { part } from "./host.js";

/** Bytes of one read or write. */
const PIECE = 1 << 20;

/** The file as bytes. */
export function readFile(path) {
  return within(path, (folder, below) => {
    const file = folder.openAt({ symlinkFollow: true }, below, {}, { read: true });
    const pieces = [];
    let at = 0n;
    for (let ended = false; !ended; ) {
      const [piece, end] = file.read(BigInt(PIECE), at);
      pieces.push(piece);
      at += BigInt(piece.length);
      ended = end;
    }
    return joined(pieces);
  });
}

/** The file as text. What is no UTF-8 becomes `�`. */
export function readText(path) {
  return new TextDecoder().decode(readFile(path));
}

/** Writes text or bytes as the whole file. */
export function writeFile(path, content) {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  within(path, (folder, below) => {
    const file = folder.openAt({ symlinkFollow: true }, below, { create: true, truncate: true }, { write: true });
    for (let at = 0; at < bytes.length; ) {
      at += Number(file.write(bytes.subarray(at, at + PIECE), BigInt(at)));
    }
  });
}

/** Names and types of what is in a folder, sorted by name. */
export function readDir(path) {
  return within(path, (folder, below) => {
    const opened = folder.openAt({ symlinkFollow: true }, below, { directory: true }, { read: true });
    const stream = opened.readDirectory();
    const entries = [];
    for (let entry = stream.readDirectoryEntry(); entry; entry = stream.readDirectoryEntry()) {
      entries.push({ name: entry.name, type: entry.type });
    }
    return entries.sort((one, other) => (one.name < other.name ? -1 : 1));
  });
}

/** Makes a folder and those above it; one that is there is no error. */
export function makeDir(path) {
  within(path, (folder, below) => {
    const names = below.split("/");
    for (let depth = 1; depth <= names.length; depth++) {
      try {
        folder.createDirectoryAt(names.slice(0, depth).join("/"));
      } catch (error) {
        if (error?.payload !== "exist") throw error;
      }
    }
  });
}

/** Removes a file. */
export function removeFile(path) {
  within(path, (folder, below) => folder.unlinkFileAt(below));
}

/** Whether there is something at the path. */
export function exists(path) {
  try {
    within(path, (folder, below) => folder.statAt({ symlinkFollow: true }, below));
    return true;
  } catch (error) {
    if (error instanceof NotFound) return false;
    throw error;
  }
}

function within(path, use) {
  const [folder, below] = located(path);
  try {
    return use(folder, below);
  } catch (error) {
    throw typeof error?.payload === "string" ? failure(path, error.payload) : error;
  }
}

/** The granted folder and the path below it; a relative path is below the workspace. */
function located(path) {
  const whole = path.startsWith("/") ? path : `/workspace/${path}`;
  const names = whole.split("/").filter((name) => name !== "" && name !== ".");
  if (names.includes("..")) throw new InvalidInput(`\`${path}\`: \`..\` is not allowed`);
  for (const [folder, mount] of part("filesystem").getDirectories()) {
    const above = mount.split("/").filter((name) => name !== "");
    if (above.every((name, index) => names[index] === name)) {
      return [folder, names.slice(above.length).join("/") || "."];
    }
  }
  throw new Denied("fs", `\`${path}\` is in no folder that \`[[request.fs]]\` of plugin.toml asks for and the user granted`);
}

function failure(path, code) {
  switch (code) {
    case "no-entry":
      return new NotFound(`no file \`${path}\``);
    case "access":
    case "not-permitted":
    case "read-only":
      return new Denied("fs", `\`${path}\`: ${code}`);
    case "exist":
      return new Conflict(`\`${path}\` exists already`);
    case "insufficient-space":
    case "quota":
    case "file-too-large":
      return new Limit(`\`${path}\`: ${code}`);
    // A folder is opened like a file, and then cannot be read.
    case "bad-descriptor":
    case "is-directory":
      return new InvalidInput(`\`${path}\` is a folder`);
    case "not-directory":
      return new InvalidInput(`\`${path}\`: ${code}`);
  }
  return new Internal(`\`${path}\`: ${code}`);
}

function joined(pieces) {
  if (pieces.length === 1) return pieces[0];
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
