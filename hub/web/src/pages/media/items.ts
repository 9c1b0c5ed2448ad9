/** The kind of a media item, and its text. Pure. */
import type { MediaItem } from "../../api/types.js";
import { formatBytes } from "../../parts/format.js";

export type ItemKind = "image" | "html" | "audio" | "video" | "figure" | "file";

/** Pictures up to this side are enlarged with sharp pixels. */
const TINY_PIXELS = 128;

export function itemKind({ media_type, type }: Pick<MediaItem, "media_type" | "type">): ItemKind {
  if (media_type.startsWith("image/")) return media_type === "image/svg+xml" ? "file" : "image";
  if (media_type === "text/html" || type === "html-file") return "html";
  if (type === "plotly-file" && media_type === "application/json") return "figure";
  if (media_type.startsWith("audio/") || type === "audio-file") return "audio";
  if (media_type.startsWith("video/")) return "video";
  return media_type === "" && type === "image-file" ? "image" : "file";
}

const CELL_NAMES: Record<Exclude<ItemKind, "file">, string> = {
  image: "image",
  html: "HTML page",
  figure: "Plotly figure",
  audio: "sound",
  video: "video",
};

/** How a medium in a cell of a table is called: its caption, else what it is. Pure. */
export function cellName(cell: Pick<MediaItem, "media_type" | "type" | "caption">): string {
  const kind = itemKind(cell);
  return cell.caption || (kind === "file" ? cell.type.replace(/-file$/, "") : CELL_NAMES[kind]);
}

export function isTiny({ width, height }: Pick<MediaItem, "width" | "height">): boolean {
  return width > 0 && height > 0 && Math.max(width, height) <= TINY_PIXELS;
}

/** Why there are no bytes; "" where there are. An exported report has the same words. */
export function stateText(item: Pick<MediaItem, "state" | "id" | "reason">): string {
  switch (item.state) {
    case "ready":
      return "";
    case "uploading":
      return "Uploading";
    case "none":
      return "This release does not store media of this type";
    case "failed":
      return `${item.id === null ? "Dropped" : "Failed"}: ${item.reason || "no reason reported"}`;
  }
}

/** "cat", else "image 3 of 8"; how the item is called where it cannot be seen. */
export function itemName(item: MediaItem, at: number, count: number): string {
  if (item.caption !== "") return item.caption;
  const kind = itemKind(item);
  return count > 1 ? `${kind} ${at + 1} of ${count}` : kind;
}

/** "28 × 28, 1.2 kB, image/png". */
export function itemFacts(item: MediaItem): string {
  const facts: string[] = [];
  if (item.width > 0 && item.height > 0) facts.push(`${item.width} × ${item.height}`);
  if (item.size > 0) facts.push(formatBytes(item.size));
  if (item.media_type !== "") facts.push(item.media_type);
  return facts.join(", ");
}

/** The address that saves the bytes as a file. */
export function downloadUrl(url: string): string {
  return `${url}${url.includes("?") ? "&" : "?"}download=true`;
}
