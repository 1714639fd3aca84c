// What a tool may ask of the session that called it.

import { called } from "./errors.js";
import { part } from "./host.js";

const agent = () => part("agent");

export const setPlan = (items) =>
  called(() => agent().setPlan(items.map((item) => ({ status: "pending", ...item }))));
export const complete = (prompt, { system, maxTokens = 1024 } = {}) =>
  called(() => agent().complete({ system, prompt, maxTokens }));
export const callTool = (name, args) => called(() => agent().callTool(name, JSON.stringify(args)));
export const run = (task) => called(() => agent().run({ tools: [], ...task }));
