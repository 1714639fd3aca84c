/** Write plugins for ml-intern. A plugin exports `tools`, a `provider` or a `notifier`. */

// ---- schemas ----

/** A JSON Schema that also checks. `Out` is what the tool gets. */
export interface Schema<Out, Optional extends boolean = false> {
  readonly json: object;
  readonly isOptional: Optional;
  /** Read by the model. */
  describe(text: string): Schema<Out, Optional>;
  /** The member may be missing. */
  optional(): Schema<Out | undefined, true>;
  /** The member may be missing, and is this then. */
  default(value: Out): Schema<Out, true>;
  /** The value, checked. Throws `InvalidInput` with the place. */
  parse(value: unknown, place?: string): Out;
}

type AnySchema = Schema<any, boolean>;
export type Shape = Record<string, AnySchema>;
/** What a schema gives: `Infer<typeof point>`. */
export type Infer<S> = S extends Schema<infer Out, boolean> ? Out : never;

type MayMiss<S extends Shape> = { [Name in keyof S]: undefined extends Infer<S[Name]> ? Name : never }[keyof S];
type Flat<T> = { [Name in keyof T]: T[Name] };
/** The object that a shape describes. */
export type ObjectOf<S extends Shape> = Flat<
  { [Name in Exclude<keyof S, MayMiss<S>>]: Infer<S[Name]> } & { [Name in MayMiss<S>]?: Infer<S[Name]> }
>;

export interface NumberKeywords {
  minimum?: number;
  maximum?: number;
}
export interface StringKeywords {
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  format?: string;
}
export interface ArrayKeywords {
  minItems?: number;
  maxItems?: number;
  uniqueItems?: boolean;
}

export declare const s: {
  string(keywords?: StringKeywords): Schema<string>;
  number(keywords?: NumberKeywords): Schema<number>;
  integer(keywords?: NumberKeywords): Schema<number>;
  boolean(): Schema<boolean>;
  null(): Schema<null>;
  any(): Schema<unknown>;
  enum<const T extends readonly (string | number)[]>(choices: T): Schema<T[number]>;
  array<T>(items: Schema<T, boolean>, keywords?: ArrayKeywords): Schema<T[]>;
  object<S extends Shape>(members: S): Schema<ObjectOf<S>>;
  record<T>(values: Schema<T, boolean>): Schema<Record<string, T>>;
  union<S extends AnySchema[]>(...schemas: S): Schema<Infer<S[number]>>;
};

// ---- tools ----

/** On whose behalf a call is made. */
export interface Context {
  session: string;
  /** The same when the call runs again after a crash. */
  call: string;
  /** Milliseconds left when the call started. */
  deadlineMs: number;
}

/** A piece of an answer; made by `text`, `json`, `image` and `file`. */
export type Content =
  | { tag: "text"; val: string }
  | { tag: "json"; val: string }
  | { tag: "image"; val: { mediaType: string; data: Uint8Array } }
  | { tag: "file"; val: string };

/** An answer of several pieces; made by `output`. */
export interface Output {
  content: Content[];
  isError: boolean;
}

export declare function text(value: string): Content;
/** Anything that is JSON. */
export declare function json(value: unknown): Content;
/** A picture for models that see. */
export declare function image(mediaType: string, data: Uint8Array): Content;
/** A file in the workspace, by relative path. */
export declare function file(path: string): Content;
export declare function output(...content: Content[]): Output;

/** A tool that the model may call. */
export interface Tool {
  readonly name: string;
}

/** What a call does at most; nothing is promised unless said. */
export interface Effects {
  /** Changes nothing; the host holds the call to it. */
  readOnly?: boolean;
  /** May destroy what was there. */
  destructive?: boolean;
  /** May be run again after a crash. */
  idempotent?: boolean;
  /** Reaches beyond the session. */
  openWorld?: boolean;
}

export interface ToolOptions<S extends Shape> extends Effects {
  /** ^[a-z][a-z0-9_]{0,63}$ */
  name: string;
  /** For people. */
  title?: string;
  /** Read by the model; at most 8 KiB. */
  description: string;
  /** The arguments. */
  params?: S;
  /** What `run` returns. */
  output?: AnySchema;
  /** The argument that selects the operation, and the effects of each: `["operation", { list: { readOnly: true } }]`. */
  operations?: [argument: keyof S & string, effects: Record<string, Effects>];
  /** Returns text, an `Output`, one of its pieces, or anything else that is JSON. */
  run(args: ObjectOf<S>, context: Context): unknown;
}

export declare function tool<S extends Shape = {}>(options: ToolOptions<S>): Tool;

// ---- errors ----

/** The model sees the text and may correct itself. */
export declare class Failed extends Error {}
/** The call could not be done; the classes below say what the caller does next. */
export declare class PluginError extends Error {
  readonly tag: string;
}
export declare class InvalidInput extends PluginError { constructor(message: string); }
/** A credential is missing or was refused; the text is its name. */
export declare class AuthRequired extends PluginError { constructor(name: string); }
export declare class NotFound extends PluginError { constructor(message: string); }
export declare class Conflict extends PluginError { constructor(message: string); }
export declare class Limit extends PluginError { constructor(message: string); }
export declare class Timeout extends PluginError { constructor(message?: string); }
export declare class Cancelled extends PluginError { constructor(message?: string); }
export declare class ContextOverflow extends PluginError { constructor(message: string); }
export declare class Unsupported extends PluginError { constructor(message: string); }
export declare class Internal extends PluginError { constructor(message: string); }
/** Outside the grant, or refused by a person. */
export declare class Denied extends PluginError {
  constructor(capability: string, detail: string);
  readonly capability: string;
}
export interface UpstreamOptions {
  status?: number;
  code?: string;
  /** Whether the same request may succeed later; so it is unless said otherwise. */
  retryable?: boolean;
  retryAfterMs?: number;
}
/** A service failed. */
export declare class Upstream extends PluginError {
  constructor(message: string, options?: UpstreamOptions);
  readonly status?: number;
  readonly code?: string;
  readonly retryable: boolean;
  readonly retryAfterMs?: number;
}

// ---- the host ----

type Line = (message: string, fields?: Record<string, unknown>) => void;
/** Lines for whoever watches; never for the model. */
export declare const log: { trace: Line; debug: Line; info: Line; warn: Line; error: Line };
/** Shows a message beside the running call. Throws `Cancelled` when the user stopped it. */
export declare function progress(message: string, fraction?: number): void;
/** The value of a key that `plugin.toml` lists under `[[request.config]]`. */
export declare function config(key: string): string | undefined;
/** Whether the user has set a credential that the host adds to requests. */
export declare function credentialIsSet(name: string): boolean;

/** What lasts from call to call; no other plugin sees it. Only tools have buckets. */
export interface Bucket {
  /** The value that `set` kept. */
  get<T = unknown>(key: string): T | undefined;
  /** Keeps anything that is JSON. */
  set(key: string, value: unknown): void;
  getBytes(key: string): Uint8Array | undefined;
  setBytes(key: string, value: Uint8Array): void;
  delete(key: string): void;
  keys(): string[];
}
/** Keys that live as long as the session. */
export declare const session: Bucket;
/** Keys that outlive the session, for the project in the workspace. */
export declare const project: Bucket;

/** Paths are relative to the workspace, or absolute below a granted folder. */
export declare function readFile(path: string): Uint8Array;
export declare function readText(path: string): string;
export declare function writeFile(path: string, content: string | Uint8Array): void;
export declare function readDir(path: string): { name: string; type: string }[];
export declare function makeDir(path: string): void;
export declare function removeFile(path: string): void;
export declare function exists(path: string): boolean;

export interface FetchOptions {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array;
  /** Becomes the body, with its content type. */
  json?: unknown;
  /** Bytes of the answer at most; 8 MiB unless told otherwise. */
  maxBytes?: number;
}
/** An answer with any status, whose body can be read once. */
export interface Answer {
  readonly url: string;
  readonly status: number;
  readonly ok: boolean;
  /** Names in lower case. */
  readonly headers: Record<string, string>;
  bytes(): Uint8Array;
  text(): string;
  /** Throws `Upstream` where the body is no JSON. */
  json(): any;
  /** The body as it comes. */
  pieces(): Iterable<Uint8Array>;
  lines(): Iterable<string>;
  /** The `data` of each server-sent event. */
  events(): Iterable<string>;
  /** Throws `Upstream` unless `ok`; returns itself. */
  orThrow(): Answer;
}
/** Sends a request and waits for its answer. Throws `Denied` with what would allow it, `Timeout`, `Limit`, or
 * `Upstream` when no answer came. The engine's own `globalThis.fetch` works too, and says less of errors. */
export declare function fetch(url: string, options?: FetchOptions): Answer;

export declare namespace process {
  interface Options {
    env?: Record<string, string>;
    /** Relative to the workspace. */
    cwd?: string;
    stdin?: string | Uint8Array;
    /** 60 s unless told otherwise. */
    timeoutMs?: number;
    /** Kept of each stream; 64 KiB unless told otherwise. */
    maxOutputBytes?: number;
  }
  interface Outcome {
    exitCode?: number;
    stdout: Uint8Array;
    stderr: Uint8Array;
    truncated: boolean;
    timedOut: boolean;
    spill?: string;
  }
  /** Runs a program that `[request.process]` names, to its end. No shell sees it. */
  function run(program: string, args?: string[], options?: Options): Outcome;
}

export declare namespace jobs {
  interface Spec {
    /** One of `script` and `container`. */
    script?: { source: string; arguments?: string[]; dependencies?: string[]; python?: string };
    container?: { image: string; command: string[] };
    timeoutSeconds: number;
    name?: string;
    flavor?: string;
    env?: Record<string, string>;
    credentials?: string[];
    mounts?: { source: string; path: string; writable: boolean }[];
    schedule?: string;
    labels?: Record<string, string>;
    idempotencyKey?: string;
  }
  type State = "queued" | "running" | "succeeded" | "failed" | "cancelled" | "timed-out" | "scheduled" | "suspended";
  interface Job {
    id: string;
    state: State;
    message?: string;
    flavor?: string;
    url?: string;
    createdMs: bigint;
    startedMs?: bigint;
    finishedMs?: bigint;
    costUsd?: number;
  }
  interface LogLine {
    cursor: number;
    atMs: bigint;
    text: string;
  }
  interface Flavor {
    name: string;
    title: string;
    cpus: number;
    memoryMib: number;
    accelerator?: string;
    accelerators: number;
    acceleratorMemoryMib: number;
    hourlyUsd?: number;
  }
  function flavors(): Flavor[];
  function submit(spec: Spec): Job;
  function get(id: string): Job;
  function list(limit?: number): Job[];
  function logs(id: string, options?: { after?: number; limit?: number; waitMs?: number }): LogLine[];
  function wait(id: string, timeoutMs: number): Job;
  function cancel(id: string): Job;
  function suspend(id: string): Job;
  function resume(id: string): Job;
}

export declare namespace agent {
  interface PlanItem {
    id: string;
    content: string;
    status?: "pending" | "in-progress" | "completed";
  }
  interface Task {
    instructions: string;
    prompt: string;
    tools?: string[];
    maxIterations: number;
    budgetUsd?: number;
  }
  interface Report {
    text: string;
    iterations: number;
    costUsd?: number;
    stopped?: string;
  }
  function setPlan(items: PlanItem[]): void;
  function complete(prompt: string, options?: { system?: string; maxTokens?: number }): string;
  function callTool(name: string, args: Record<string, unknown>): { text: string; isError: boolean };
  function run(task: Task): Report;
}

// ---- providers ----

export interface ToolCall {
  id: string;
  name: string;
  /** JSON text. */
  arguments: string;
}
export interface Blob {
  mediaType: string;
  data: Uint8Array;
}
export interface ToolResult {
  callId: string;
  content: string;
  images: Blob[];
  isError: boolean;
}
export type Part =
  | { tag: "text"; val: string }
  | { tag: "image"; val: Blob }
  | { tag: "reasoning"; val: { text: string; opaque?: string } }
  | { tag: "call"; val: ToolCall }
  | { tag: "result"; val: ToolResult };
export interface Message {
  role: "system" | "user" | "assistant" | "tool";
  parts: Part[];
  cacheBreakpoint: boolean;
}
export interface Request {
  model: string;
  messages: Message[];
  tools: { name: string; description: string; /** JSON text. */ inputSchema: string }[];
  toolChoice: { tag: "auto" } | { tag: "none" } | { tag: "required" } | { tag: "named"; val: string };
  maxTokens?: number;
  responseSchema?: string;
  affinity?: string;
  effort?: string;
  /** Whether deltas are wanted. */
  stream: boolean;
  /** JSON text of an object to be merged into what is sent. */
  extra?: string;
}
export interface Usage {
  input: number;
  output: number;
  cacheRead: number;
  cacheWrite: number;
  reasoning: number;
}
export type Stop = "end-turn" | "tool-use" | "max-tokens" | "refusal" | "cancelled" | "other";
export interface Response {
  parts: Part[];
  /** `end-turn` unless told otherwise. */
  stop?: Stop;
  usage?: Partial<Usage>;
  id?: string;
  model?: string;
  costUsd?: number;
}
export interface Price {
  input: number;
  output: number;
  cacheRead: number;
  cacheWrite: number;
}
export interface Model {
  id: string;
  contextWindow: number;
  maxOutput: number;
  tools: boolean;
  images: boolean;
  efforts: string[];
  price?: Price;
  longPrice?: { above: number; price: Price };
  asOf?: string;
}
export interface Listing {
  models: Model[];
  problem?: string;
}
/** Talks to a language model; exported as `provider`. */
export interface Provider {
  models(): Model[] | Listing | Promise<Model[] | Listing>;
  complete(request: Request): Response | Promise<Response>;
  countTokens?(request: Request): number | undefined | Promise<number | undefined>;
}
/** A model of a listing, with what is unknown filled in. */
export declare function model(told: Partial<Model> & { id: string }): Model;
/** The texts of a message, joined. */
export declare function textOf(message: Message): string;
/** Shows deltas. Each answers `false` when the call is cancelled: return what there is with `cancelled`. */
export declare const show: {
  text(value: string): boolean;
  reasoning(value: string): boolean;
  call(index: number, id: string, name: string): boolean;
  args(index: number, fragment: string): boolean;
};

// ---- notifiers ----

export interface Notice {
  /** The same when a notice is sent again. */
  id: string;
  /** Such as `turn_complete`, `approval_required`, `error` or `job_finished`. */
  kind: string;
  severity: "info" | "success" | "warning" | "error" | "approval";
  title: string;
  /** Markdown. */
  body: string;
  url?: string;
  /** JSON text of an object that depends on `kind`. */
  data?: string;
}
/** Tells a person or a system; exported as `notifier`. */
export interface Notifier {
  /** The answer is the service's id of the notice, for `pollReply`. */
  notify(notice: Notice): string | undefined | void | Promise<string | undefined | void>;
  pollReply?(externalId: string): string | undefined | Promise<string | undefined>;
}
