/**
 * The requested rows of a table, in blocks: rows that are scrolled to are requested, and only
 * the newest request matters. An answer to an older view is dropped.
 */
import { batch, signal, type ReadonlySignal } from "@preact/signals";

import { isAborted } from "../../api/errors.js";
import type { TablePage, TableQuery, TableRow } from "../../api/tables.js";

export const BLOCK_ROWS = 200;
/** Blocks that are kept; the ones used last. */
const BLOCKS_MAX = 50;

export interface TableRows {
  /** Rows that fit; null until it is known. */
  readonly matching: ReadonlySignal<number | null>;
  readonly error: ReadonlySignal<Error | null>;
  /** Changes with every block that comes in. */
  readonly version: ReadonlySignal<number>;
  at(index: number): TableRow | undefined;
  /** Ask for what is not there of the rows from `first` to before `last`. */
  need(first: number, last: number): void;
  retry(): void;
  close(): void;
}

export type AskPage = (query: Pick<TableQuery, "offset" | "limit">, signal: AbortSignal) => Promise<TablePage>;

export function makeTableRows(ask: AskPage): TableRows {
  const blocks = new Map<number, readonly TableRow[]>();
  const matching = signal<number | null>(null);
  const error = signal<Error | null>(null);
  const version = signal(0);
  let running: { block: number; abort: AbortController } | null = null;
  let wanted: [number, number] = [0, 1];

  const missing = (): number | null => {
    for (let block = Math.floor(wanted[0] / BLOCK_ROWS); block * BLOCK_ROWS < wanted[1]; block++) {
      if (!blocks.has(block)) return block;
    }
    return null;
  };

  const keep = (block: number, rows: readonly TableRow[]) => {
    blocks.set(block, rows);
    for (const old of blocks.keys()) {
      if (blocks.size <= BLOCKS_MAX) break;
      blocks.delete(old);
    }
  };

  async function fill(): Promise<void> {
    const block = missing();
    if (block === null || error.value !== null || running?.block === block) return;
    running?.abort.abort();
    const mine = { block, abort: new AbortController() };
    running = mine;
    try {
      const page = await ask({ offset: block * BLOCK_ROWS, limit: BLOCK_ROWS }, mine.abort.signal);
      if (running !== mine) return;
      keep(block, page.rows);
      batch(() => ((matching.value = page.matching), version.value++));
    } catch (failure) {
      if (running === mine && !isAborted(failure)) error.value = failure as Error;
    } finally {
      if (running === mine) running = null;
    }
    await fill();
  }

  return {
    matching,
    error,
    version,
    at: (index) => blocks.get(Math.floor(index / BLOCK_ROWS))?.[index % BLOCK_ROWS],
    need: (first, last) => {
      wanted = [first, Math.min(last, matching.value ?? last)];
      void fill();
    },
    retry: () => {
      error.value = null;
      void fill();
    },
    close: () => {
      running?.abort.abort();
      running = null;
      wanted = [0, 0];
    },
  };
}
