// node build.mjs --folder F --wit W --work D --output O [--http]
//
// Makes the core module of a plugin in JavaScript or TypeScript, which says what world it is of.
// `ml-intern plugin build` runs it beside the `node_modules` of `package.json`. The plugin's own code
// runs only in the engine inside the module.

import { spawnSync } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { componentize } from "@bytecodealliance/componentize-js";
import { build, formatMessages } from "esbuild";

const text = { type: "string" };
const { values: told } = parseArgs({
  options: { folder: text, wit: text, work: text, output: text, http: { type: "boolean" } },
});
// What the bundler says is where it found things, behind links.
const sdk = realpathSync(join(told.folder, "sdk"));

/** What a plugin exports, and what the component exports for it. */
const KINDS = { tools: "tool", provider: "provider", notifier: "notifier" };

/** Parts of the host by the module of the SDK that uses them. */
const PARTS = {
  "config.js": ["config"],
  "credential.js": ["credential"],
  "state.js": ["keyvalue"],
  "provider.js": ["sink"],
  "jobs.js": ["jobs"],
  "process.js": ["process"],
  "agent.js": ["agent"],
  "files.js": ["filesystem"],
};

const INTERFACES = {
  log: "ml-intern:plugin/log",
  config: "wasi:config/store",
  credential: "ml-intern:plugin/credential",
  keyvalue: "wasi:keyvalue/store",
  sink: "ml-intern:plugin/sink",
  jobs: "ml-intern:plugin/jobs",
  process: "ml-intern:plugin/process",
  agent: "ml-intern:plugin/agent",
  filesystem: "wasi:filesystem/preopens",
  types: "wasi:http/types",
  handler: "wasi:http/outgoing-handler",
};

const shared = {
  absWorkingDir: resolve(told.folder),
  bundle: true,
  format: "esm",
  platform: "neutral",
  mainFields: ["module", "main"],
  target: "es2022",
  alias: { "@ml-intern/plugin": join(sdk, "src/index.js") },
  metafile: true,
  write: false,
  logLevel: "silent",
};

async function main() {
  const source = ["plugin.ts", "plugin.js"].find((name) => existsSync(join(told.folder, name)));
  await installed();
  if (source === "plugin.ts") checkTypes();
  const { kinds, parts } = look(await bundled({ entryPoints: [source], outdir: told.work }));
  const interfaces = await readFile(told.wit, "utf8");
  const versions = Object.fromEntries([...interfaces.matchAll(/^package ([a-z:-]+)@([^\s;{]+)/gm)].map((one) => one.slice(1)));
  const named = (name) => `${INTERFACES[name]}@${versions[INTERFACES[name].split("/")[0]]}`;

  const wit = join(told.work, "wit");
  await mkdir(wit, { recursive: true });
  await writeFile(join(wit, "plugin.wit"), interfaces);
  const body = [
    // A package knows its own interfaces by their bare names only.
    ...parts.map((name) => `import ${named(name).replace(/^ml-intern:plugin\/(.*)@.*/, "$1")};`),
    ...kinds.map((kind) => `export ${KINDS[kind]};`),
  ];
  const world = `package ml-intern:plugin@${versions["ml-intern:plugin"]};\n\nworld plugin-component {\n    ${body.join("\n    ")}\n}\n`;
  await writeFile(join(wit, "world.wit"), world);

  const contents = entry(source, kinds, parts, named);
  const result = await bundled({
    stdin: { contents, resolveDir: resolve(told.folder), sourcefile: "component.js" },
    external: ["wasi:*", "ml-intern:*"],
  });
  const bundle = join(told.work, "bundle.js");
  await writeFile(bundle, result.outputFiles[0].text);
  const { component } = await componentize({
    sourcePath: bundle,
    witPath: wit,
    worldName: "plugin-component",
    disableFeatures: unused(result.outputFiles[0].text),
  });
  await writeFile(told.output, component);
}

/** How a program comes to use what of the engine goes to the host. */
const USES = {
  stdio: /\bconsole\b/,
  random: /\b(crypto|random|randomUUID)\b/,
  clocks: /\b(Date|performance|setTimeout|setInterval)\b/,
};

/**
 * What the engine need not bring along: a call is a third faster without all three. Who hides a name, as in
 * `globalThis["Da" + "te"]`, gets a trap.
 */
function unused(source) {
  // With `fetch-event` the engine would import `wasi:http` in every plugin; its own `fetch` waits by the clock.
  const features = told.http ? ["fetch-event"] : ["http", "fetch-event"];
  for (const [feature, use] of Object.entries(USES)) {
    if (!use.test(source) && !(told.http && feature === "clocks")) features.push(feature);
  }
  return features;
}

/** Dependencies are the author's matter: they may run scripts. */
async function installed() {
  const file = join(told.folder, "package.json");
  if (!existsSync(file)) return;
  const { dependencies = {} } = JSON.parse(await readFile(file, "utf8"));
  for (const name of Object.keys(dependencies)) {
    if (name !== "@ml-intern/plugin" && !existsSync(join(told.folder, "node_modules", name))) {
      throw new Error(`package.json wants \`${name}\`, which is not installed: run \`npm install\` in the plugin's folder`);
    }
  }
}

function checkTypes() {
  if (!existsSync(join(told.folder, "tsconfig.json"))) return;
  const compiler = fileURLToPath(new URL("node_modules/typescript/bin/tsc", import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [compiler, "--noEmit", "--pretty", "false"], {
    cwd: told.folder,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`the types do not fit:\n${stdout}${stderr}`.trim());
}

async function bundled(options) {
  try {
    return await build({ ...shared, ...options });
  } catch (error) {
    if (!error.errors) throw error;
    throw new Error((await formatMessages(error.errors, { kind: "error" })).join("\n").trim());
  }
}

/** What the plugin exports, and which parts of the host it uses. */
function look({ metafile }) {
  const [out] = Object.values(metafile.outputs).filter((one) => one.entryPoint);
  const kinds = Object.keys(KINDS).filter((name) => out.exports.includes(name));
  if (kinds.length === 0) {
    throw new Error("the plugin exports nothing: `export const tools = […]`, `provider` or `notifier`");
  }
  const used = Object.entries(out.inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0);
  const parts = new Set(["log"]);
  for (const [path] of used) {
    const below = relative(join(sdk, "src"), resolve(told.folder, path));
    for (const part of PARTS[below] ?? []) parts.add(part);
  }
  if (told.http) parts.add("types").add("handler");
  return { kinds, parts: [...parts] };
}

/** The module that gives the plugin its host and the host its plugin. */
function entry(source, kinds, parts, named) {
  const from = (path) => JSON.stringify(join(sdk, "src", path));
  const plain = parts.filter((name) => name !== "types" && name !== "handler");
  const lines = [
    ...parts.map((name) => `import * as ${name}Bindings from ${JSON.stringify(named(name))};`),
    `import { use } from ${from("host.js")};`,
    `import { ${kinds.join(", ")} } from ${from("component/exports.js")};`,
    `import * as plugin from ${JSON.stringify(`./${source}`)};`,
  ];
  const http = told.http ? "http: http(typesBindings, handlerBindings), " : "";
  if (told.http) lines.push(`import { http } from ${from("component/http.js")};`);
  lines.push(`use({ ${http}${plain.map((name) => `${name}: ${name}Bindings`).join(", ")} });`);
  for (const kind of kinds) lines.push(`const ${kind}Export = ${kind}(plugin.${kind});`);
  lines.push(`export { ${kinds.map((kind) => `${kind}Export as ${KINDS[kind]}`).join(", ")} };`);
  return `${lines.join("\n")}\n`;
}

try {
  await main();
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
