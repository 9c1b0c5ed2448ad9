/**
 * Sections: metrics grouped by prefix, and which of their panels are near the screen. Pure.
 */

export interface Section {
  /** Text before the first slash; "" for names without one. */
  readonly name: string;
  readonly metrics: readonly string[];
}

/** How the address names a section; a list in it cannot hold an empty text. */
export function foldKey(name: string): string {
  return name === "" ? "." : name;
}

const FIRST = ["", "train", "training", "val", "validation", "eval", "test"];
const collator = new Intl.Collator("en", { numeric: true });

/** Sections in reading order: plain names, training, validation, then by name. */
export function sectionsOf(metrics: readonly string[]): Section[] {
  const groups = new Map<string, string[]>();
  for (const metric of metrics) {
    const slash = metric.indexOf("/");
    const name = slash > 0 ? metric.slice(0, slash) : "";
    const group = groups.get(name);
    if (group) group.push(metric);
    else groups.set(name, [metric]);
  }
  const rank = (name: string) =>
    FIRST.includes(name.toLowerCase()) ? FIRST.indexOf(name.toLowerCase()) : FIRST.length;
  return [...groups]
    .map(([name, inside]) => ({ name, metrics: inside.sort(collator.compare) }))
    .sort((a, b) => rank(a.name) - rank(b.name) || collator.compare(a.name, b.name));
}

/** Sizes in CSS pixels. */
export interface Grid {
  readonly columns: number;
  readonly panelHeight: number;
  readonly gap: number;
  readonly headHeight: number;
}

export interface PlacedSection {
  readonly section: Section;
  readonly isFolded: boolean;
  readonly top: number;
  readonly height: number;
}

/** Where each section is, and the height of all. */
export function placeSections(
  sections: readonly Section[],
  folded: ReadonlySet<string>,
  grid: Grid,
): { placed: PlacedSection[]; height: number } {
  let top = 0;
  const placed = sections.map((section) => {
    const isFolded = folded.has(foldKey(section.name));
    const rows = isFolded ? 0 : Math.ceil(section.metrics.length / grid.columns);
    const height = grid.headHeight + rows * (grid.panelHeight + grid.gap);
    const place = { section, isFolded, top, height };
    top += height;
    return place;
  });
  return { placed, height: top };
}

/** Indices [from, to) of a section's metrics whose rows touch [top, bottom) of the board. */
export function metricsWithin(
  place: PlacedSection,
  grid: Grid,
  top: number,
  bottom: number,
): readonly [number, number] {
  if (place.isFolded) return [0, 0];
  const pitch = grid.panelHeight + grid.gap;
  const start = place.top + grid.headHeight;
  const from = Math.max(0, Math.floor((top - start) / pitch)) * grid.columns;
  const to = Math.max(0, Math.ceil((bottom - start) / pitch)) * grid.columns;
  const count = place.section.metrics.length;
  return [Math.min(from, count), Math.min(Math.max(from, to), count)];
}

const COLUMN_LEAST = 300;
const COLUMNS_MAX = 6;

/** Columns for a width: the chosen number, or (0) as many as are comfortable. */
export function columnsFor(width: number, chosen: number, gap: number): number {
  if (chosen > 0) return Math.min(COLUMNS_MAX, chosen);
  return Math.max(1, Math.min(4, Math.floor((width + gap) / (COLUMN_LEAST + gap))));
}
