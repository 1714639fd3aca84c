import { InvalidInput, NotFound, fetch, progress, readFile, s, session, tool } from "@ml-intern/plugin";

/** Bytes that are read at most. */
const MAX_BYTES = 1 << 20;

const wordCount = tool({
  name: "word_count",
  description: "Counts the words of a file or of a page.",
  readOnly: true,
  openWorld: true,
  params: {
    source: s.string().describe("A file of the workspace, or a URL."),
    min_length: s.integer().describe("Count words of at least this many bytes.").default(1),
  },
  run({ source, min_length: minLength }) {
    if (source === "") throw new InvalidInput("source: must not be empty");
    const calls = (session.get("calls") ?? 0) + 1;
    session.set("calls", calls);

    progress(`reading ${source}`, 0);
    const bytes = read(source);
    const words = count(bytes, minLength);
    progress("counted", 1);
    return { source, words, bytes: bytes.length, calls };
  },
});

export const tools = [wordCount];

function read(source) {
  if (!/^https?:\/\//.test(source)) return readFile(source);
  const page = fetch(source, { maxBytes: MAX_BYTES });
  if (page.status === 404) throw new NotFound(`no page \`${source}\``);
  return page.orThrow().bytes();
}

/** Words of at least `minLength` bytes, separated by ASCII blanks. */
export function count(bytes, minLength) {
  let words = 0;
  let length = 0;
  // One more than there are, so that the last word ends as well.
  for (let at = 0; at <= bytes.length; at++) {
    const byte = bytes[at] ?? 0x20;
    if (byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)) {
      if (length > 0 && length >= minLength) words += 1;
      length = 0;
    } else {
      length += 1;
    }
  }
  return words;
}
