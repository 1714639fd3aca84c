// How a call ends when it is not done. The classes are named by what the caller does next.

/** The model sees the text and may correct itself; the turn goes on. */
export class Failed extends Error {}

/** The call could not be done. Throw one of the classes below. */
export class PluginError extends Error {
  constructor(tag, message, fields = {}) {
    super(message);
    this.name = new.target.name;
    this.tag = tag;
    Object.assign(this, fields);
  }
}

const named = (tag) =>
  class extends PluginError {
    constructor(message = tag) {
      super(tag, message);
    }
  };

export class InvalidInput extends named("invalid-input") {}
export class AuthRequired extends named("auth-required") {}
export class NotFound extends named("not-found") {}
export class Conflict extends named("conflict") {}
export class Limit extends named("limit") {}
export class Timeout extends named("timeout") {}
export class Cancelled extends named("cancelled") {}
export class ContextOverflow extends named("context-overflow") {}
export class Unsupported extends named("unsupported") {}
export class Internal extends named("internal") {}

/** Outside the grant, or refused by a person. */
export class Denied extends PluginError {
  constructor(capability, detail) {
    super("denied", detail, { capability });
  }
}

/** A service failed. */
export class Upstream extends PluginError {
  constructor(message, { status, code, retryable = true, retryAfterMs } = {}) {
    super("upstream", message, { status, code, retryable, retryAfterMs });
  }
}

const CLASSES = {
  "invalid-input": InvalidInput,
  "auth-required": AuthRequired,
  "not-found": NotFound,
  conflict: Conflict,
  limit: Limit,
  timeout: Timeout,
  cancelled: Cancelled,
  "context-overflow": ContextOverflow,
  unsupported: Unsupported,
  internal: Internal,
};

/** The class of an error of the contract. */
export function lifted({ tag, val }) {
  if (tag === "denied") return new Denied(val.capability, val.detail);
  if (tag === "upstream") return new Upstream(val.message, val);
  return new (CLASSES[tag] ?? Internal)(val ?? tag);
}

/** The error of the contract for what was thrown. */
export function lowered(error) {
  const { message } = error;
  switch (error.tag) {
    case "denied":
      return { tag: "denied", val: { capability: error.capability, detail: message } };
    case "upstream": {
      const { status, code, retryable, retryAfterMs } = error;
      return { tag: "upstream", val: { status, code, message, retryable, retryAfterMs } };
    }
    case "timeout":
    case "cancelled":
      return { tag: error.tag };
  }
  if (error instanceof PluginError) return { tag: error.tag, val: message };
  return { tag: "internal", val: error instanceof Error ? `${error.name}: ${message}` : String(error) };
}

/** What a function of the host returns; its error becomes one of the classes. */
export function called(run) {
  try {
    return run();
  } catch (error) {
    throw error?.payload?.tag ? lifted(error.payload) : error;
  }
}
