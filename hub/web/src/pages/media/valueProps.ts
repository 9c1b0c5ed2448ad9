/** What each kind of medium is given to draw a value. */
import type { MediaValue } from "../../api/types.js";
import type { TableView } from "../datatable/view.js";

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
