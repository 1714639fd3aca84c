import { called } from "./errors.js";
import { part } from "./host.js";

/** Whether the user has set a credential that the host adds to requests. */
export function credentialIsSet(name) {
  return called(() => part("credential").isSet(name));
}
