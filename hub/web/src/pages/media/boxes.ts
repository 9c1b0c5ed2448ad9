/**
 * The boxes of an image, as `Image(boxes=…)` keeps them. Pure.
 *
 * A script may log anything there. Only valid boxes are drawn.
 */
import { isValueMap, type Value, type ValueMap } from "../../api/values.js";
import { formatNumber } from "../../parts/format.js";

/** Boxes of one picture that are drawn; more would hide it, and slow the page down. */
export const SHOWN_MAX = 1000;
export const SHOWN_SMALL_MAX = 50;

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Box {
  /** Of the picture's width and height, 0 to 1, cut at its edges. */
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  /** Its caption, else the name of its class, else "class 3"; "" for a box without all of these. */
  readonly label: string;
  /** "acc 0.9, iou 0.7". */
  readonly scores: string;
  /** Boxes of one class have one, also in other pictures if the class is a number. */
  readonly slot: number;
}

export interface BoxGroup {
  /** "predictions". */
  readonly name: string;
  readonly boxes: readonly Box[];
}

/** The groups that have boxes, in the order of the script. `size` is that of the picture in pixels. */
export function boxGroups(about: ValueMap, size: Size): BoxGroup[] {
  const given = about.boxes;
  if (!isValueMap(given) || !(size.width > 0 && size.height > 0)) return [];
  const classes = classNames(about.classes);
  const slots = new Map<string, number>();
  const groups: BoxGroup[] = [];
  for (const [name, group] of Object.entries(given)) {
    if (!isValueMap(group) || !Array.isArray(group.box_data)) continue;
    const labels = new Map([...classes, ...labelsOf(group.class_labels)]);
    const boxes: Box[] = [];
    for (const each of group.box_data as readonly Value[]) {
      if (!isValueMap(each)) continue;
      const place = placeOf(each, size);
      if (place !== null) boxes.push({ ...place, ...wordsOf(each, labels), slot: slotOf(each.class_id, slots) });
    }
    if (boxes.length > 0) groups.push({ name, boxes });
  }
  return groups;
}

export function hasBoxes(about: ValueMap): boolean {
  return isValueMap(about.boxes) && Object.keys(about.boxes).length > 0;
}

/** The first `most` boxes over all groups. */
export function firstBoxes(groups: readonly BoxGroup[], most: number): BoxGroup[] {
  let left = most;
  return groups.map(({ name, boxes }) => {
    const shown = boxes.slice(0, left);
    left -= shown.length;
    return { name, boxes: shown };
  });
}

/** How many boxes each group has, over all pictures; in the order of the first picture with it. */
export function groupCounts(groups: readonly BoxGroup[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { name, boxes } of groups) counts.set(name, (counts.get(name) ?? 0) + boxes.length);
  return counts;
}

function placeOf({ position, domain }: ValueMap, size: Size): Pick<Box, "left" | "top" | "width" | "height"> | null {
  if (!isValueMap(position)) return null;
  const [across, down] = domain === "pixel" ? [size.width, size.height] : [1, 1];
  const ends = Array.isArray(position.middle)
    ? [...around(position.middle[0], position.width), ...around(position.middle[1], position.height)]
    : [position.minX, position.maxX, position.minY, position.maxY].map(numberOf);
  if (!ends.every(Number.isFinite)) return null;
  const [x1, x2, y1, y2] = ends as [number, number, number, number];
  const left = cut(Math.min(x1, x2) / across);
  const top = cut(Math.min(y1, y2) / down);
  const width = cut(Math.max(x1, x2) / across) - left;
  const height = cut(Math.max(y1, y2) / down) - top;
  return width > 0 && height > 0 ? { left, top, width, height } : null;
}

function around(middle: Value | undefined, length: Value | undefined): [number, number] {
  const half = numberOf(length) / 2;
  return [numberOf(middle) - half, numberOf(middle) + half];
}

function cut(fraction: number): number {
  return Math.min(1, Math.max(0, fraction));
}

function numberOf(value: Value | undefined): number {
  return typeof value === "number" || typeof value === "bigint" ? Number(value) : NaN;
}

function wordsOf(box: ValueMap, labels: ReadonlyMap<string, string>): Pick<Box, "label" | "scores"> {
  const id = textOf(box.class_id);
  const label = textOf(box.box_caption) || labels.get(id) || (id === "" ? "" : `class ${id}`);
  const scores = isValueMap(box.scores) ? Object.entries(box.scores) : [];
  return {
    label,
    scores: scores
      .filter(([, value]) => !Number.isNaN(numberOf(value)))
      .map(([name, value]) => `${name} ${formatNumber(numberOf(value))}`)
      .join(", "),
  };
}

/** The number of the class itself, else one for each other class in turn. */
function slotOf(value: Value | undefined, slots: Map<string, number>): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  const id = textOf(value);
  if (!slots.has(id)) slots.set(id, slots.size);
  return slots.get(id)!;
}

export function labelsOf(value: Value | undefined): [string, string][] {
  return isValueMap(value) ? Object.entries(value).map(([id, label]) => [id, textOf(label)]) : [];
}

/** The names in `Image(classes=[{"id": 1, "name": "cat"}])`. */
export function classNames(value: Value | undefined): [string, string][] {
  if (!Array.isArray(value)) return [];
  return (value as readonly Value[]).filter(isValueMap).map((each) => [textOf(each.id), textOf(each.name)]);
}

function textOf(value: Value | undefined): string {
  return typeof value === "string" || typeof value === "number" || typeof value === "bigint" ? String(value) : "";
}
