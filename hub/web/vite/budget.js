/**
 * Fails the build when the page grows past its size budget. Sizes are gzip at level 9, in bytes.
 *
 * The entry is the script of index.html with all that it imports statically.
 */
import { gzipSync } from "node:zlib";

export const ENTRY_SCRIPT_BYTES_MAX = 90_000;
/** Of all pages together; each comes with its page. */
export const STYLE_BYTES_MAX = 16_000;
export const LAZY_CHUNK_BYTES_MAX = 60_000;
export const TOTAL_BYTES_MAX = 3_000_000;

/** @returns {import("vite").Plugin} */
export function budget() {
  return {
    name: "stepwell-budget",
    apply: "build",
    generateBundle(_options, bundle) {
      const sizes = measure(bundle);
      const broken = overruns(sizes);
      this.info(
        `entry script ${sizes.entry} of ${ENTRY_SCRIPT_BYTES_MAX} bytes gzip, ` +
          `style ${sizes.style} of ${STYLE_BYTES_MAX}, all files ${sizes.total} bytes`,
      );
      if (broken.length > 0) this.error(`the page is larger than its budget: ${broken.join("; ")}`);
    },
  };
}

/** @param {import("rolldown").OutputBundle} bundle */
export function measure(bundle) {
  const entryFiles = new Set();
  const visit = (/** @type {string} */ name) => {
    const item = bundle[name];
    if (entryFiles.has(name) || item?.type !== "chunk") return;
    entryFiles.add(name);
    item.imports.forEach(visit);
  };
  for (const item of Object.values(bundle)) {
    if (item.type === "chunk" && item.isEntry) visit(item.fileName);
  }
  let entry = 0;
  let style = 0;
  let total = 0;
  /** @type {Record<string, number>} */
  const lazy = {};
  for (const [name, item] of Object.entries(bundle)) {
    const content = item.type === "chunk" ? item.code : item.source;
    total += Buffer.byteLength(content);
    const bytes = gzipSync(content, { level: 9 }).length;
    if (name.endsWith(".css")) style += bytes;
    else if (entryFiles.has(name)) entry += bytes;
    else if (item.type === "chunk") lazy[name] = bytes;
  }
  return { entry, style, total, lazy };
}

/** @param {ReturnType<typeof measure>} sizes */
export function overruns({ entry, style, total, lazy }) {
  const broken = [];
  const check = (/** @type {string} */ what, /** @type {number} */ bytes, /** @type {number} */ max) => {
    if (bytes > max) broken.push(`${what} has ${bytes} bytes, ${max} are allowed`);
  };
  check("the entry script", entry, ENTRY_SCRIPT_BYTES_MAX);
  check("the style", style, STYLE_BYTES_MAX);
  check("all files", total, TOTAL_BYTES_MAX);
  for (const [name, bytes] of Object.entries(lazy)) check(name, bytes, LAZY_CHUNK_BYTES_MAX);
  return broken;
}
