// What TypeScript infers. A test of `plugin build` builds this as a plugin: where a type is another one, it fails.

import { Upstream, image, jobs, output, process, readDir, s, session, text, tool } from "@ml-intern/plugin";
import type { ObjectOf } from "@ml-intern/plugin";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

const shape = {
  a: s.string(),
  b: s.integer().optional(),
  c: s.enum(["x", "y"]).default("x"),
  d: s.array(s.object({ e: s.boolean() })),
  f: s.union(s.string(), s.null()),
  g: s.record(s.number()),
};

type Wanted = {
  a: string;
  c: "x" | "y";
  d: { e: boolean }[];
  f: string | null;
  g: Record<string, number>;
  b?: number | undefined;
};
export const same: Same<ObjectOf<typeof shape>, Wanted> = true;

export const tools = [
  tool({
    name: "all",
    description: "Every type.",
    params: shape,
    run({ a, b, c, d }, context) {
      const number: number | undefined = b;
      const choice: "x" | "y" = c;
      // @ts-expect-error It is text.
      const wrong: number = a;
      const job = jobs.submit({ script: { source: "" }, timeoutSeconds: 60 });
      if (job.state === "failed") return output(text(a), image("image/png", new Uint8Array()));
      const { exitCode } = process.run("git", ["log"]);
      if (exitCode !== 0) throw new Upstream("git failed", { retryable: false });
      const kept = session.get<string>("kept")?.length;
      return { number, choice, wrong, first: d[0]?.e, kept, files: readDir("."), call: context.call };
    },
  }),
  tool({ name: "least", description: "No arguments.", run: async () => "done" }),
  // @ts-expect-error A description is wanted.
  () => tool({ name: "undescribed", run: () => "done" }),
].filter((one) => typeof one !== "function");
