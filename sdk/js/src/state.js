// What lasts from call to call.

import { Denied, Internal, NotFound } from "./errors.js";
import { part } from "./host.js";

class Bucket {
  #name;

  constructor(name) {
    this.#name = name;
  }

  get(key) {
    const bytes = this.getBytes(key);
    return bytes === undefined ? undefined : JSON.parse(new TextDecoder().decode(bytes));
  }

  set(key, value) {
    this.setBytes(key, new TextEncoder().encode(JSON.stringify(value)));
  }

  getBytes(key) {
    return this.#with((bucket) => bucket.get(key)) ?? undefined;
  }

  setBytes(key, value) {
    this.#with((bucket) => bucket.set(key, value));
  }

  delete(key) {
    this.#with((bucket) => bucket.delete(key));
  }

  keys() {
    return this.#with((bucket) => {
      let page = bucket.listKeys(undefined);
      const keys = [...page.keys];
      while (page.cursor !== undefined && page.cursor !== null) {
        page = bucket.listKeys(page.cursor);
        keys.push(...page.keys);
      }
      return keys;
    });
  }

  #with(use) {
    try {
      return use(part("keyvalue").open(this.#name));
    } catch (error) {
      throw bucketError(error);
    }
  }
}

function bucketError(error) {
  switch (error?.payload?.tag) {
    case "no-such-store":
      return new NotFound("no such key-value bucket");
    case "access-denied":
      return new Denied("keyvalue", "the bucket is not this plugin's");
    case "other":
      return new Internal(`key-value store: ${error.payload.val}`);
  }
  return error;
}

/** Keys that live as long as the session. */
export const session = /* @__PURE__ */ new Bucket("session");
/** Keys that outlive the session, for the project in the workspace. */
export const project = /* @__PURE__ */ new Bucket("project");
