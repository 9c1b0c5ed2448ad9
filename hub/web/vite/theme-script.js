/**
 * Puts src/theme-first.js into index.html as a classic script in a hashed file of its own.
 *
 * It has to run before the first paint, and the content security policy allows no inline script.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const SOURCE = new URL("../src/theme-first.js", import.meta.url);

/** @returns {import("vite").Plugin} */
export function themeScript() {
  const source = readFileSync(SOURCE, "utf8");
  const digest = createHash("sha256").update(source).digest("hex").slice(0, 8);
  const fileName = `assets/theme-${digest}.js`;
  return {
    name: "stepwell-theme-script",
    generateBundle() {
      this.emitFile({ type: "asset", fileName, source });
    },
    transformIndexHtml(_html, context) {
      const src = context.server ? "/src/theme-first.js" : `/${fileName}`;
      return [{ tag: "script", attrs: { src }, injectTo: "head-prepend" }];
    },
  };
}
