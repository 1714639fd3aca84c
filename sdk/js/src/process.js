import { called } from "./errors.js";
import { part } from "./host.js";

/** Runs a program to its end. No shell sees it. */
export function run(program, args = [], options = {}) {
  const { env = {}, cwd, stdin, timeoutMs = 60_000, maxOutputBytes = 64 << 10 } = options;
  const told = typeof stdin === "string" ? new TextEncoder().encode(stdin) : stdin;
  const command = { program, arguments: args, env: Object.entries(env), cwd, stdin: told, timeoutMs, maxOutputBytes };
  return called(() => part("process").run(command));
}
