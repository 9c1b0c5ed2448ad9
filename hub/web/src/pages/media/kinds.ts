/**
 * The kinds of media that the page shows. To add a kind, add an entry that draws a value.
 *
 * Files are the last entry: each type that no other kind takes is a list of files.
 */
import type { ComponentType } from "preact";

import { TableValue } from "../datatable/TableValue.js";
import { Files } from "./Files.js";
import type { ValueProps } from "./valueProps.js";

export interface MediaKind {
  has(type: string): boolean;
  readonly View: ComponentType<ValueProps>;
}

const KINDS: readonly MediaKind[] = [
  { has: (type) => type === "table-file", View: TableValue },
  { has: () => true, View: Files },
];

export function kindOf(type: string): MediaKind {
  return KINDS.find((kind) => kind.has(type)) ?? KINDS[KINDS.length - 1]!;
}
