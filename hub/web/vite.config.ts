/**
 * How the page is built: hashed files below assets/, a compressed sibling of each, a size budget.
 *
 * STEPWELL_HUB names the hub that `npm run dev` passes API requests to.
 */
import { defineConfig } from "vite";

import { budget } from "./vite/budget.js";
import { compressed } from "./vite/compressed.js";
import { themeScript } from "./vite/theme-script.js";

const hub = process.env["STEPWELL_HUB"] ?? "http://127.0.0.1:8470";

export default defineConfig({
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../stepwell_hub/static",
    emptyOutDir: true,
    target: ["chrome120", "firefox121", "safari17"],
    // Inlined files would be data: addresses, which the page's content security policy refuses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  plugins: [themeScript(), budget(), compressed()],
  server: { proxy: { "/api": hub } },
});
