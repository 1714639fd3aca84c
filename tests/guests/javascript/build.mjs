// node build.mjs WIT-FOLDER OUTPUT.wasm
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { componentize } from "@bytecodealliance/componentize-js";
import { build } from "esbuild";

const [wit, output] = process.argv.slice(2);
const bundle = `${output}.js`;
await build({
  entryPoints: [fileURLToPath(new URL("guest.js", import.meta.url))],
  outfile: bundle,
  bundle: true,
  format: "esm",
  external: ["wasi:*", "ml-intern:*"],
});
const { component } = await componentize({
  sourcePath: bundle,
  witPath: wit,
  worldName: "javascript-guest",
});
await writeFile(output, component);
