import { Internal } from "./errors.js";
import { part } from "./host.js";

/** The value of a key that `plugin.toml` lists under `[[request.config]]`. */
export function config(key) {
  try {
    return part("config").get(key) ?? undefined;
  } catch (error) {
    throw new Internal(`configuration: ${error?.payload?.val ?? error.message}`);
  }
}
