export {
  AuthRequired, Cancelled, Conflict, ContextOverflow, Denied, Failed, Internal, InvalidInput, Limit, NotFound,
  PluginError, Timeout, Unsupported, Upstream,
} from "./errors.js";
export { exists, makeDir, readDir, readFile, readText, removeFile, writeFile } from "./files.js";
export { fetch } from "./http.js";
export { config } from "./config.js";
export { credentialIsSet } from "./credential.js";
export { log, progress } from "./log.js";
export { model, show, textOf } from "./provider.js";
export { s } from "./schema.js";
export { project, session } from "./state.js";
export { file, image, json, output, text, tool } from "./tool.js";
export * as agent from "./agent.js";
export * as jobs from "./jobs.js";
export * as process from "./process.js";
