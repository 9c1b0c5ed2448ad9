/**
 * The kinds of media that the page shows. Another kind is one more entry: how it draws a value.
 *
 * Files are the last entry: each type that no other kind takes is a list of files.
 */
import type { ComponentType } from "preact";

import type { MediaValue } from "../../api/types.js";
import { TableValue } from "../datatable/TableValue.js";
import type { TableView } from "../datatable/view.js";
import { Files } from "./Files.js";

export interface ValueProps {
  readonly project: string;
  readonly value: MediaValue;
  /** True in a cell of the wall: room for little. */
  readonly isSmall: boolean;
  /** How the tables of the page are shown, from the address. */
  readonly tables: TableStore;
  /** Show one of the value's items on the whole screen. */
  onOpen(value: MediaValue, at: number): void;
}

export interface TableStore {
  viewOf(metric: string, label: string): TableView;
  /** A step that the Back button undoes. */
  change(metric: string, label: string, view: TableView): void;
}

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
