// In the place of jco, which is 250 MB with all that it brings: componentize-js wants these three of
// it, and `ml-intern plugin build` makes the component of the core module itself.

import { fileURLToPath } from "node:url";

export const componentNew = async (module) => module;
export const metadataAdd = async (module) => module;
// A file that can be read; nobody uses it.
export const preview1AdapterReactorPath = () => fileURLToPath(import.meta.url);
