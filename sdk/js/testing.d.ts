import type { Output, Tool } from "@ml-intern/plugin";

export interface Prepared {
  config?: Record<string, string>;
  /** Which of the requested credentials are set. */
  credentials?: Record<string, boolean>;
  /** Answers by method and URL: `{ "GET https://example.org/a": "one two" }`. */
  http?: Record<string, string | { status?: number; headers?: Record<string, string>; body?: string | Uint8Array }>;
  /** Files by path below the workspace. */
  files?: Record<string, string | Uint8Array>;
  /** Whether the user has stopped the call. */
  stopped?: boolean;
  /** Objects with the functions of the interface. */
  jobs?: object;
  process?: object;
  agent?: object;
}

export interface Host {
  lines: { level: string; message: string; fields?: Record<string, unknown> }[];
  reports: { message: string; fraction?: number }[];
  requests: { method: string; url: string; headers: Record<string, string>; body: Uint8Array }[];
  deltas: { tag: string; val: unknown }[];
  files: Record<string, string | Uint8Array>;
}

/** Runs `body` with a host that keeps what the plugin tells it; what is not prepared is denied. */
export declare function fakeHost<T>(prepared: Prepared, body: (host: Host) => T | Promise<T>): Promise<T>;
/** Calls a tool as the host does: with arguments that come as JSON. */
export declare function call(tool: Tool, args?: Record<string, unknown>): Promise<Output>;
