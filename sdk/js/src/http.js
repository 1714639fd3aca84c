// Requests. The host decides where they may go, adds credentials and follows no redirects.

import { InvalidInput, Limit, Upstream } from "./errors.js";
import { part } from "./host.js";

/** Bytes of an answer that are read, unless told otherwise: `max-response` has the same default. */
const MAX_BYTES = 8 << 20;

/** An answer with any status. The body can be read once. */
class Answer {
  #pieces;
  #maxBytes;

  constructor(url, { status, headers, pieces }, maxBytes) {
    this.url = url;
    this.status = status;
    this.headers = headers;
    this.#pieces = pieces;
    this.#maxBytes = maxBytes;
  }

  get ok() {
    return this.status >= 200 && this.status < 300;
  }

  *pieces() {
    let read = 0;
    for (const piece of this.#pieces) {
      read += piece.length;
      if (read > this.#maxBytes) throw new Limit(`the answer of \`${this.url}\` is over ${this.#maxBytes} bytes`);
      yield piece;
    }
  }

  *lines() {
    const decoder = new TextDecoder();
    let rest = "";
    for (const piece of this.pieces()) {
      const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
      rest = lines.pop();
      for (const line of lines) yield line.replace(/\r$/, "");
    }
    if (rest !== "") yield rest;
  }

  *events() {
    let told = [];
    for (const line of this.lines()) {
      if (line.startsWith("data:")) {
        told.push(line.slice(5).replace(/^ /, ""));
      } else if (line === "" && told.length > 0) {
        yield told.join("\n");
        told = [];
      }
    }
    if (told.length > 0) yield told.join("\n");
  }

  bytes() {
    const pieces = [...this.pieces()];
    const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  }

  text() {
    return new TextDecoder().decode(this.bytes());
  }

  json() {
    const text = this.text();
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new Upstream(`\`${this.url}\` answers no JSON: ${error.message}`, { status: this.status, retryable: false });
    }
  }

  orThrow() {
    if (this.ok) return this;
    const retryable = this.status === 429 || this.status >= 500;
    throw new Upstream(`\`${this.url}\` answers ${this.status}`, { status: this.status, retryable });
  }
}

/** Sends a request. Throws `Denied` with what would allow it, `Timeout`, `Limit`, or `Upstream`. */
export function fetch(url, options = {}) {
  const { method = "GET", headers = {}, json, maxBytes = MAX_BYTES } = options;
  let { body } = options;
  if (!/^https?:\/\/[^/?#]+/.test(url)) {
    throw new InvalidInput(`\`${url}\` must begin with \`http://\` or \`https://\` and a host`);
  }
  const sent = {};
  for (const [name, value] of Object.entries(headers)) sent[name.toLowerCase()] = value;
  if (json !== undefined) {
    body = JSON.stringify(json);
    sent["content-type"] ??= "application/json";
  }
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : (body ?? new Uint8Array());
  if (bytes.length > 0 || ["POST", "PUT", "PATCH"].includes(method)) {
    sent["content-length"] = String(bytes.length);
  }
  return new Answer(url, part("http").send({ method, url, headers: sent, body: bytes }), maxBytes);
}
