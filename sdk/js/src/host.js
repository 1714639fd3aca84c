// The port to the host. In a component its parts are the bindings, in tests those of `testing.js`.

let parts = {};

/** Sets the parts and returns those before. */
export function use(others) {
  const before = parts;
  parts = others;
  return before;
}

/** A part of the host, such as `log`. */
export function part(name) {
  const found = parts[name];
  if (found === undefined) {
    throw new Error(`there is no host here with \`${name}\`; in a test, use \`fakeHost\` of @ml-intern/plugin/testing`);
  }
  return found;
}
