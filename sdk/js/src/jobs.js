// Long-running compute that the host owns.

import { called } from "./errors.js";
import { part } from "./host.js";

const jobs = () => part("jobs");

export const flavors = () => called(() => jobs().flavors());

export function submit(spec) {
  const { script, container, env = {}, labels = {}, credentials = [], mounts = [], ...rest } = spec;
  const workload = script
    ? { tag: "script", val: { arguments: [], dependencies: [], ...script } }
    : { tag: "container", val: container };
  const told = { ...rest, workload, env: Object.entries(env), labels: Object.entries(labels), credentials, mounts };
  return called(() => jobs().submit(told));
}

export const get = (id) => called(() => jobs().get(id));
export const list = (limit = 100) => called(() => jobs().list(limit));
export const logs = (id, { after = 0, limit = 1000, waitMs = 0 } = {}) =>
  called(() => jobs().logs(id, after, limit, waitMs));
export const wait = (id, timeoutMs) => called(() => jobs().wait(id, timeoutMs));
export const cancel = (id) => called(() => jobs().cancel(id));
export const suspend = (id) => called(() => jobs().suspend(id));
export const resume = (id) => called(() => jobs().resume(id));
