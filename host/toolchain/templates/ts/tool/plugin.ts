// Tools for the model: each entry of `tools` is one.

import { readText, s, tool } from "@ml-intern/plugin";

const {{ident}} = tool({
  name: "{{ident}}",
  description: "Counts the words of a file.",
  readOnly: true,
  params: {
    path: s.string().describe("A file, relative to the workspace."),
    min_length: s.integer({ minimum: 1 }).describe("Count words of at least this many letters.").default(1),
  },
  run({ path, min_length: minLength }) {
    return { words: count(readText(path), minLength) };
  },
});

export const tools = [{{ident}}];

/** Words that are separated by blanks. */
export function count(text: string, minLength: number): number {
  return text.split(/\s+/).filter((word) => word !== "" && word.length >= minLength).length;
}
