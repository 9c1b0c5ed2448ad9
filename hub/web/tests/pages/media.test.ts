import { describe, expect, it } from "vitest";

import type { MediaItem } from "../../src/api/types.js";
import { questionsOf } from "../../src/pages/media/board.js";
import {
  cellName, downloadUrl, isTiny, itemFacts, itemKind, itemName, stateText,
} from "../../src/pages/media/items.js";
import { formatOwnSteps, MEDIA_FIELDS, ownSteps } from "../../src/pages/media/view.js";
import { readQuery, writeQuery } from "../../src/state/query.js";

function item(changes: Partial<MediaItem> = {}): MediaItem {
  return {
    type: "image-file", id: "1", state: "ready", digest: "ab", media_type: "image/png", size: 1200,
    width: 28, height: 28, caption: "", reason: "", about: {}, masks: [], library_url: "", url: "/api/v1/blobs/ab", ...changes,
  };
}

describe("items", () => {
  it("are what their bytes are", () => {
    const kinds = ["image/png", "text/html", "audio/wav", "video/mp4", "model/gltf-binary"].map(
      (media_type) => itemKind(item({ media_type, type: "other" })),
    );
    expect(kinds).toEqual(["image", "html", "audio", "video", "file"]);
    expect(itemKind(item({ media_type: "image/svg+xml" }))).toBe("file");
    expect(itemKind(item({ media_type: "", type: "html-file" }))).toBe("html");
  });

  it("say why there are no bytes", () => {
    expect(stateText(item())).toBe("");
    expect(stateText(item({ state: "uploading" }))).toBe("Uploading");
    expect(stateText(item({ state: "failed", reason: "no picture" }))).toBe("Failed: no picture");
    expect(stateText(item({ state: "failed", id: null, reason: "no room" }))).toBe("Dropped: no room");
  });

  it("are named by caption, else by place", () => {
    expect(itemName(item({ caption: "cat" }), 0, 2)).toBe("cat");
    expect(itemName(item(), 1, 3)).toBe("image 2 of 3");
    expect(itemFacts(item())).toBe("28 × 28, 1.2 kB, image/png");
    expect([isTiny(item()), isTiny(item({ width: 512 })), isTiny(item({ width: 0 }))]).toEqual([true, false, false]);
  });

  it("are named for readers in cells of tables", () => {
    const named = (type: string, media_type: string, caption = "") => cellName({ type, media_type, caption });
    expect(named("html-file", "text/html")).toBe("HTML page");
    expect(named("plotly-file", "application/json")).toBe("Plotly figure");
    expect(named("audio-file", "audio/wav")).toBe("sound");
    expect(named("object3D-file", "model/gltf-binary")).toBe("object3D");
    expect(named("html-file", "text/html", "report")).toBe("report");
  });

  it("are saved from their own address", () => {
    expect(downloadUrl("/api/v1/blobs/ab")).toBe("/api/v1/blobs/ab?download=true");
    expect(downloadUrl("/b?show=html")).toBe("/b?show=html&download=true");
  });
});

describe("the address", () => {
  it("holds the step and the panels with a step of their own", () => {
    const own = new Map([["a,b", 3], ["c", null]]);
    const search = writeQuery(MEDIA_FIELDS, { step: -2, own: formatOwnSteps(own), tables: [] }, "?sel=all");
    const read = readQuery(MEDIA_FIELDS, search);
    expect(read.step).toBe(-2);
    expect(ownSteps(read.own)).toEqual(own);
    expect(search).toContain("sel=all");
  });

  it("is the newest step where it is damaged", () => {
    expect(readQuery(MEDIA_FIELDS, "?step=1e9&own=a").step).toBeNull();
    expect(ownSteps(["a"])).toEqual(new Map());
    expect(ownSteps(["a", "x"])).toEqual(new Map([["a", null]]));
  });
});

describe("questions", () => {
  it("are one for each step, within the hub's limit", () => {
    expect(questionsOf(["a", "b", "c"], ["r"], 5, new Map([["b", null]]))).toEqual([
      { metrics: ["a", "c"], runs: ["r"], step: 5 },
      { metrics: ["b"], runs: ["r"], step: null },
    ]);
    const runs = Array.from({ length: 1000 }, (_, at) => String(at));
    const parts = questionsOf(["a", "b", "c"], runs, null, new Map());
    expect(parts.map(({ metrics }) => metrics)).toEqual([["a", "b"], ["c"]]);
  });
});
