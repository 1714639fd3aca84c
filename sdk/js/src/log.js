import { Cancelled } from "./errors.js";
import { part } from "./host.js";

const line = (level) => (message, fields) => {
  part("log").write(level, String(message), fields === undefined ? undefined : JSON.stringify(fields));
};

/** Lines for whoever watches; never for the model. */
export const log = {
  trace: line("trace"),
  debug: line("debug"),
  info: line("info"),
  warn: line("warn"),
  error: line("error"),
};

/** Shows a message beside the running call. Throws `Cancelled` when the user stopped it. */
export function progress(message, fraction) {
  if (part("log").progress(message, fraction) === "stop") throw new Cancelled();
}
