/**
 * What is being written: title and text, whether they are saved, and why not.
 *
 * Nothing that was typed is lost: a save that is refused leaves the text as it is, and what is
 * unsaved is also kept in the browser until it is saved or discarded.
 */
import { batch, computed, signal, type ReadonlySignal } from "@preact/signals";

import { ApiError } from "../../api/errors.js";
import type { Report } from "../../api/reports.js";

export interface Kept {
  /** The version that the text is based on. */
  version: number;
  title: string;
  text: string;
  /** Milliseconds since 1970. */
  at: number;
}

/** Where unsaved texts are kept: the browser's storage. */
export interface Keeper {
  read(reportId: string): Kept | null;
  write(reportId: string, kept: Kept | null): void;
}

export type Save = (
  reportId: string,
  body: { version: number; title: string; text: string },
) => Promise<Report>;

export interface Draft {
  readonly title: ReadonlySignal<string>;
  readonly text: ReadonlySignal<string>;
  /** As it was saved last, as far as this page knows. */
  readonly saved: ReadonlySignal<Report>;
  readonly isUnsaved: ReadonlySignal<boolean>;
  readonly isSaving: ReadonlySignal<boolean>;
  /** Why the last save failed. */
  readonly failure: ReadonlySignal<Error | null>;
  /** Another version was saved meanwhile. */
  readonly isConflict: ReadonlySignal<boolean>;
  /** When the unsaved text was written that was found in the browser; null: there was none. */
  readonly restoredAt: ReadonlySignal<number | null>;
  change(changes: { title?: string; text?: string }): void;
  save(): Promise<boolean>;
  /** Go on from a newer version: the text stays, the next save replaces that version. */
  rebase(newer: Report): void;
  /** Take the saved text instead. */
  discard(report?: Report): void;
}

export function makeDraft(report: Report, save: Save, keeper: Keeper, now: () => number): Draft {
  const found = keeper.read(report.id);
  const isOld = found === null || (found.title === report.title && found.text === report.text);
  const title = signal(isOld ? report.title : found.title);
  const text = signal(isOld ? report.text : found.text);
  // A text from an older version is saved on that one, so the hub notices what came between.
  const saved = signal<Report>(isOld ? report : { ...report, version: found.version });
  const isSaving = signal(false);
  const failure = signal<Error | null>(null);
  const restoredAt = signal(isOld ? null : found.at);
  const isUnsaved = computed(() => title.value !== saved.value.title || text.value !== saved.value.text);

  const keep = () =>
    keeper.write(
      report.id,
      isUnsaved.peek()
        ? { version: saved.peek().version, title: title.peek(), text: text.peek(), at: now() }
        : null,
    );
  return {
    title,
    text,
    saved,
    isUnsaved,
    isSaving,
    failure,
    isConflict: computed(() => failure.value instanceof ApiError && failure.value.code === "report_changed"),
    restoredAt,
    change(changes) {
      batch(() => {
        if (changes.title !== undefined) title.value = changes.title;
        if (changes.text !== undefined) text.value = changes.text;
      });
      keep();
    },
    async save() {
      if (isSaving.peek()) return false;
      isSaving.value = true;
      try {
        const body = { version: saved.peek().version, title: title.peek(), text: text.peek() };
        const answer = await save(report.id, body);
        // What was typed meanwhile stays unsaved.
        batch(() => ((saved.value = answer), (failure.value = null), (restoredAt.value = null)));
        keep();
        return true;
      } catch (error) {
        failure.value = error as Error;
        return false;
      } finally {
        isSaving.value = false;
      }
    },
    rebase(newer) {
      batch(() => ((saved.value = newer), (failure.value = null), (restoredAt.value = null)));
      keep();
    },
    discard(newer = report) {
      batch(() => {
        saved.value = newer;
        title.value = newer.title;
        text.value = newer.text;
        failure.value = null;
        restoredAt.value = null;
      });
      keep();
    },
  };
}

const PREFIX = "stepwell.report.";

/** The browser's own storage; where it is blocked or full, nothing is kept. */
export const browserKeeper: Keeper = {
  read(reportId) {
    try {
      const kept = JSON.parse(localStorage.getItem(PREFIX + reportId) ?? "null") as Kept | null;
      const isWhole =
        typeof kept?.version === "number" && typeof kept.title === "string" && typeof kept.text === "string";
      return isWhole ? { ...kept, at: Number(kept.at) || 0 } : null;
    } catch {
      return null;
    }
  },
  write(reportId, kept) {
    try {
      if (kept === null) localStorage.removeItem(PREFIX + reportId);
      else localStorage.setItem(PREFIX + reportId, JSON.stringify(kept));
    } catch {
      // The page says itself that the text is unsaved.
    }
  },
};
