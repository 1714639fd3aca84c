// Requests over `wasi:http`, whose errors say more than the engine's own `fetch` does.

import { Denied, Internal, InvalidInput, Limit, Timeout, Upstream } from "../errors.js";

const DISPOSE = Symbol.dispose ?? Symbol.for("dispose");
const drop = (resource) => resource[DISPOSE]();

/** Bytes of one piece of a body. */
const PIECE = 65536n;

/** The part `http` of the host, over the bindings of `wasi:http/types` and `outgoing-handler`. */
export function http(types, handler) {
  return {
    send(told) {
      const future = sent(types, handler, told);
      const ready = future.subscribe();
      ready.block();
      drop(ready);
      const answered = future.get();
      drop(future);
      // A result in a result in an option.
      const { tag, val } = answered.val ?? answered;
      if (tag === "err") throw failure(val);
      const response = val;
      const fields = response.headers();
      const headers = joined(fields.entries());
      drop(fields);
      return { status: response.status(), headers, pieces: pieces(types, response) };
    },
  };
}

function sent(types, handler, { method, url, headers, body }) {
  const [, scheme, authority, path] = /^(https?):\/\/([^/?#]+)([^#]*)/.exec(url);
  const encode = (text) => new TextEncoder().encode(text);
  const name = method.toLowerCase();
  const known = ["get", "head", "post", "put", "delete", "connect", "options", "trace", "patch"].includes(name);
  try {
    const fields = types.Fields.fromList(Object.entries(headers).map(([key, value]) => [key, encode(value)]));
    const request = new types.OutgoingRequest(fields);
    request.setMethod(known ? { tag: name } : { tag: "other", val: method });
    request.setScheme({ tag: scheme.toUpperCase() });
    request.setAuthority(authority);
    request.setPathWithQuery(path.startsWith("/") ? path : `/${path}`);
    return body.length === 0 ? handler.handle(request, undefined) : withBody(types, handler, request, body);
  } catch (error) {
    if (error?.payload?.tag) throw failure(error.payload);
    throw "payload" in error ? new InvalidInput(`\`${method} ${url}\` or one of its headers cannot be sent`) : error;
  }
}

function withBody(types, handler, request, body) {
  const sink = request.body();
  const stream = sink.write();
  const future = handler.handle(request, undefined);
  try {
    // `wasi:io` takes 4096 bytes at once.
    for (let at = 0; at < body.length; at += 4096) stream.blockingWriteAndFlush(body.subarray(at, at + 4096));
    drop(stream);
    types.OutgoingBody.finish(sink, undefined);
  } catch {
    // The other side stopped listening: the answer says why, and may well be a success.
  }
  return future;
}

function joined(entries) {
  const headers = {};
  for (const [key, value] of entries) {
    const name = key.toLowerCase();
    const text = new TextDecoder().decode(value);
    headers[name] = name in headers ? `${headers[name]}, ${text}` : text;
  }
  return headers;
}

function* pieces(types, response) {
  const body = response.consume();
  const stream = body.stream();
  try {
    for (;;) {
      let piece;
      try {
        piece = stream.blockingRead(PIECE);
      } catch (error) {
        if (error?.payload?.tag === "closed") return;
        throw broken(types, error);
      }
      yield piece;
    }
  } finally {
    // From the inside to the outside, as the host wants it.
    drop(stream);
    drop(body);
    drop(response);
  }
}

function broken(types, error) {
  const told = error?.payload?.val;
  if (told === undefined) return error;
  const code = types.httpErrorCode(told);
  return code ? failure(code) : new Upstream(`the answer broke off: ${told.toDebugString()}`);
}

const DENIED =
  "the request is outside this plugin's grant; `[[request.http]]` in its manifest must list the host, " +
  "method and path, and the user must grant it";

function failure({ tag, val }) {
  switch (tag) {
    case "HTTP-request-denied":
      return new Denied("http", DENIED);
    case "destination-IP-prohibited":
      return new Denied("http", "the host's name leads to an address that is not allowed");
    case "connection-limit-reached":
      return new Limit("more requests than `requests-per-minute` or `requests-at-once` in this plugin's `[limits]` allow");
    case "HTTP-response-body-size":
      return new Limit(val ? `response body over ${val} bytes` : "response body over the limit");
    case "connection-refused":
      return new Upstream("connection refused");
    case "DNS-error":
    case "destination-not-found":
      return new Upstream("the host's name has no address");
    case "connection-terminated":
    case "HTTP-response-incomplete":
      return new Upstream("the connection was cut");
    case "HTTP-request-method-invalid":
    case "HTTP-request-URI-invalid":
    case "HTTP-request-length-required":
      return new Internal(tag);
    case "internal-error":
      return new Upstream(val ?? tag);
  }
  if (tag.endsWith("timeout")) return new Timeout(tag);
  if (tag.endsWith("size") || tag.endsWith("URI-too-long")) return new Limit(tag);
  return new Upstream(tag);
}
