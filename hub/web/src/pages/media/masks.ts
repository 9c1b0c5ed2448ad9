/**
 * The masks of an image, as `Image(masks=…)` keeps them: a class at each pixel. Pure.
 *
 * A class has the colour of its boxes.
 */
import type { MediaMask } from "../../api/types.js";
import type { ValueMap } from "../../api/values.js";
import { classColor } from "../../state/palette.js";
import { classNames, labelsOf } from "./boxes.js";

/** Longest side of a drawn mask, in pixels: large ones would take the memory of the browser. */
export const SIDE_MAX = 4096;
export const SIDE_SMALL_MAX = 512;

const CLASSES_MAX = 256;
const BACKGROUND = new Set(["background", "bg", "void", "none", "unlabeled", "unlabelled", "ignore"]);

export interface MaskClass {
  readonly id: number;
  /** "" without one. */
  readonly name: string;
  /** Of all pixels. */
  readonly share: number;
}

/** How `hidden` names a mask: a group of boxes may have the same name. */
export function hiddenName(mask: string): string {
  return `mask ${mask}`;
}

/**
 * Paint the grey pixels of a mask, red, green, blue and alpha each, with the colours of their classes.
 *
 * The class 0 without a name, or with that of a background, becomes transparent.
 * Returns the classes that are painted, the largest first.
 */
export function paint(pixels: Uint8ClampedArray, names: ReadonlyMap<string, string>): MaskClass[] {
  // A pixel is one number: a call for each would block the page for seconds.
  const colors = new Uint32Array(CLASSES_MAX);
  const parts = new Uint8Array(colors.buffer);
  for (let id = 0; id < CLASSES_MAX; id++) {
    if (!isBackground(id, names)) parts.set([...rgbOf(classColor(id)), 255], 4 * id);
  }
  const whole = new Uint32Array(pixels.buffer, pixels.byteOffset, pixels.length >> 2);
  const counts = new Uint32Array(CLASSES_MAX);
  for (let at = 0; at < whole.length; at++) {
    const id = pixels[4 * at]!;
    counts[id]!++;
    whole[at] = colors[id]!;
  }
  return [...counts]
    .map((count, id) => ({ id, name: names.get(String(id)) ?? "", share: count / whole.length }))
    .filter(({ id, share }) => share > 0 && !isBackground(id, names))
    .sort((a, b) => b.share - a.share || a.id - b.id);
}

/**
 * Names of classes by class: those of the mask, else of the image.
 *
 * A mask without names has those of the image's other masks; the first that names a class counts.
 */
export function namesOf(mask: Labels, masks: readonly Labels[], about: ValueMap): Map<string, string> {
  const own = labelsOf(mask.labels);
  const given = own.length > 0 ? own : masks.flatMap(({ labels }) => labelsOf(labels)).reverse();
  return new Map([...classNames(about.classes), ...given]);
}

type Labels = Pick<MediaMask, "labels">;

export interface LegendLine {
  readonly id: number;
  /** "road"; "road (truth), street (prediction)" if masks name it differently; else "class 3". */
  readonly label: string;
  /** "truth: 12.5 %", of each mask. */
  readonly shares: readonly string[];
}

/** The classes of these masks, by their number. `pictures` are the drawn classes of each, by mask. */
export function legendOf(
  pictures: readonly ReadonlyMap<string, readonly MaskClass[] | null>[],
  masks: readonly string[],
): LegendLine[] {
  const lines = new Map<number, { names: Map<string, Set<string>>; shares: string[] }>();
  for (const drawn of pictures) {
    for (const mask of masks) {
      for (const { id, name, share } of drawn.get(mask) ?? []) {
        const line = lines.get(id) ?? { names: new Map<string, Set<string>>(), shares: [] };
        lines.set(id, line);
        line.shares.push(`${mask}: ${shareText(share)}`);
        if (name !== "") line.names.set(name, (line.names.get(name) ?? new Set()).add(mask));
      }
    }
  }
  return [...lines]
    .sort(([a], [b]) => a - b)
    .map(([id, { names, shares }]) => ({ id, label: labelOf(id, names), shares }));
}

function labelOf(id: number, names: ReadonlyMap<string, ReadonlySet<string>>): string {
  if (names.size === 0) return `class ${id}`;
  if (names.size === 1) return [...names.keys()][0]!;
  return [...names].map(([name, masks]) => `${name} (${[...masks].join(", ")})`).join(", ");
}

/** The size at which a mask is drawn. */
export function drawnSize(width: number, height: number, most: number): [number, number] {
  const scale = Math.min(1, most / Math.max(width, height, 1));
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}

/** "12.5 %" of the picture. */
export function shareText(share: number): string {
  const percent = 100 * share;
  return percent > 0 && percent < 0.1 ? "< 0.1 %" : `${percent.toFixed(1)} %`;
}

function isBackground(id: number, names: ReadonlyMap<string, string>): boolean {
  const name = names.get(String(id)) ?? "";
  return id === 0 && (name === "" || BACKGROUND.has(name.trim().toLowerCase()));
}

function rgbOf(color: string): [number, number, number] {
  const part = (at: number) => parseInt(color.slice(at, at + 2), 16);
  return [part(1), part(3), part(5)];
}
