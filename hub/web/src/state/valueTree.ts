/** Nested values as lines of a tree, and the search in it. Pure. */
import { isValueMap, type Value, type ValueMap } from "../api/values.js";

export interface TreeLine {
  /** Keys from the root joined by dots, also for showing where a match is. */
  path: string;
  key: string;
  depth: number;
  /** Undefined for the head of a group. */
  value: Value | undefined;
  /** Of a group: how many entries it has. */
  count: number;
  /** Of a group that describes a logged medium, such as an image: what it is; else "". */
  medium: string;
  /** Of a group: whether what is in it is shown. */
  isOpen: boolean;
}

/**
 * The lines of `root`. Groups are open, and media are shut; those in `toggled` are the other way. Without `hasMedia`
 * no group is a medium. With a search, only leaves whose path or text has it, with the groups above them, all open.
 */
export function treeLines(
  root: ValueMap,
  { toggled, search, textOf, hasMedia = false }: {
    toggled: ReadonlySet<string>; search: string; textOf(value: Value): string; hasMedia?: boolean;
  },
): TreeLine[] {
  const wanted = search.trim().toLowerCase();
  const lines: TreeLine[] = [];
  const visit = (map: ValueMap, prefix: string, depth: number): boolean => {
    let hasAny = false;
    for (const [key, value] of Object.entries(map)) {
      const path = prefix === "" ? key : `${prefix}.${key}`;
      if (isValueMap(value) && Object.keys(value).length > 0) {
        const at = lines.length;
        const medium = hasMedia ? mediumName(value) : "";
        const isOpen = wanted !== "" || (medium === "") !== toggled.has(path);
        lines.push({ path, key, depth, value: undefined, count: Object.keys(value).length, medium, isOpen });
        const hasLines = isOpen && visit(value, path, depth + 1);
        if (wanted !== "" && !hasLines) lines.length = at;
        hasAny ||= hasLines;
      } else if (wanted === "" || path.toLowerCase().includes(wanted) || textOf(value).toLowerCase().includes(wanted)) {
        lines.push({ path, key, depth, value, count: 0, medium: "", isOpen: false });
        hasAny = true;
      }
    }
    return hasAny;
  };
  visit(root, "", 0);
  return lines;
}

/** "image" of what was logged as `{"_type": "image-file", …}`; "" of what is no medium. */
export function mediumName(map: ValueMap): string {
  const type = map._type;
  if (typeof type !== "string") return "";
  return `${type.replace(/-file$/, "").replaceAll("-", " ")}${isKept(map) ? "" : ", not kept"}`;
}

/** Whether a medium, or one in a list of media, has bytes. */
function isKept(map: ValueMap): boolean {
  if (Array.isArray(map.items)) return map.items.length === 0 || map.items.some((each) => isValueMap(each) && isKept(each));
  return map.kept !== false && map.blob !== null;
}

/** How many values are in it, at any depth. */
export function leafCount(root: ValueMap): number {
  return Object.values(root).reduce<number>((sum, value) => sum + (isValueMap(value) ? leafCount(value) : 1), 0);
}
