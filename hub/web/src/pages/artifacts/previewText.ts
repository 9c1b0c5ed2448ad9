/** What a file is shown as: by its name first, then by its first bytes. Pure. */

export type PreviewKind = "picture" | "audio" | "video" | "table" | "text";

/** Bytes of a text that are read and shown. */
export const TEXT_BYTES_MAX = 256 * 1024;

const KINDS: Readonly<Record<string, PreviewKind>> = {
  png: "picture", jpg: "picture", jpeg: "picture", gif: "picture", webp: "picture", bmp: "picture", avif: "picture",
  wav: "audio", mp3: "audio", flac: "audio", ogg: "audio", mp4: "video", webm: "video", parquet: "table",
};

/** A file of no other kind may be a text. */
export function previewKind(path: string): PreviewKind {
  const ending = /\.([^./]+)$/.exec(path)?.[1]?.toLowerCase() ?? "";
  return Object.hasOwn(KINDS, ending) ? KINDS[ending]! : "text";
}

/** The text in the first bytes of a file, null where they are none. JSON that is whole is laid out. */
export function textOf(bytes: Uint8Array, { path, isWhole }: { path: string; isWhole: boolean }): string | null {
  if (bytes.includes(0)) return null;
  let text: string;
  try {
    // In a stream the last character may be cut off.
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: !isWhole });
  } catch {
    return null;
  }
  return isWhole && /\.json$/i.test(path) ? laidOut(text) : text;
}

function laidOut(text: string): string {
  try {
    // Numbers beyond the exact ones would change: such a text stays as it is.
    return /\d{16}/.test(text) ? text : JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
