/**
 * Changes of runs: shown at once, sent to the hub, taken back with a message when it refuses.
 */
import { deleteRun, editRun, getRun } from "../api/hub.js";
import { ApiError } from "../api/errors.js";
import type { RunBefore, RunChanges, RunDetail, RunOverview } from "../api/types.js";
import type { Resource } from "./resource.js";
import type { RunsList } from "./runsList.js";
import { say } from "./toasts.js";

/** The changes, and what the page shows meanwhile: a run without a name goes by its id. */
function named(runId: string, asked: RunChanges): { changes: RunChanges; shown: RunChanges } {
  if (asked.name === undefined) return { changes: asked, shown: asked };
  const name = asked.name.trim();
  if (name === "") say(`The name was removed; the run is shown by its id, ${runId}`);
  return { changes: { ...asked, name }, shown: { ...asked, name: name === "" ? runId : name } };
}

/**
 * The notes as they are now if a change was refused because someone else changed them meanwhile;
 * else null. Says why the run was not changed.
 */
async function refused(run: RunOverview, failure: unknown): Promise<string | null> {
  const isOlder = failure instanceof ApiError && failure.code === "notes_changed";
  if (!isOlder) {
    say(`${run.name || run.run_id} was not changed: ${(failure as Error).message}`, "bad");
    return null;
  }
  const now = await getRun(run.project, run.run_id).then(({ notes }) => notes, () => null);
  if (now === null) {
    say(`${run.name || run.run_id} was not changed: ${failure.message}`, "bad");
    return null;
  }
  const start = now.length > SHOWN_CHARACTERS ? `${now.slice(0, SHOWN_CHARACTERS)}…` : now;
  say(`The notes were changed meanwhile, to "${start}". Ctrl+Enter saves your text, Escape discards it.`, "bad");
  return now;
}

const SHOWN_CHARACTERS = 200;

/** Returns notes that someone else wrote meanwhile: then the run is not changed. */
export async function changeRun(
  list: RunsList,
  run: RunOverview,
  asked: RunChanges,
  opened: RunBefore | null = null,
): Promise<string | null> {
  const { changes, shown } = named(run.run_id, asked);
  const before = Object.fromEntries(
    Object.keys(changes).map((key) => [key, run[key as keyof RunChanges]]),
  ) as RunChanges;
  list.patch(run.run_id, shown);
  try {
    const { tags } = await editRun(run.project, run.run_id, changes, opened);
    if (changes.tags !== undefined) list.patch(run.run_id, { tags });
    return null;
  } catch (failure) {
    list.patch(run.run_id, before);
    const notes = await refused(run, failure);
    if (notes !== null) list.patch(run.run_id, { notes });
    return notes;
  }
}

/** Tags as a person types them, with commas between; each once. `\,` is a comma in a tag. */
export function parseTags(text: string): string[] {
  const parts = text.match(/(?:\\[\\,]|[^,])+/g) ?? [];
  const tags = parts.map((part) => part.replace(/\\([\\,])/g, "$1").trim());
  return [...new Set(tags.filter((tag) => tag !== ""))];
}

export function formatTags(tags: readonly string[]): string {
  return tags.map((tag) => tag.replace(/[\\,]/g, "\\$&")).join(", ");
}

export interface DeletionOutcome {
  deleted: Set<string>;
  /** Runs that still run; the hub deletes them only by force. */
  running: RunOverview[];
  failure: Error | null;
}

/**
 * Delete one after the other, until all are gone, `signal` is aborted, or one fails for another
 * reason than running. The one that is on its way is waited for.
 */
export async function deleteRuns(
  runs: readonly RunOverview[],
  options: { force: boolean; signal: AbortSignal; onProgress(done: number): void },
  remove: typeof deleteRun = deleteRun,
): Promise<DeletionOutcome> {
  const outcome: DeletionOutcome = { deleted: new Set(), running: [], failure: null };
  for (const run of runs) {
    if (options.signal.aborted) break;
    try {
      await remove(run.project, run.run_id, { force: options.force });
      outcome.deleted.add(run.run_id);
    } catch (failure) {
      if (!(failure instanceof ApiError) || failure.code !== "run_is_running") {
        return { ...outcome, failure: failure as Error };
      }
      outcome.running.push(run);
    }
    options.onProgress(outcome.deleted.size + outcome.running.length);
  }
  return outcome;
}

/** Change the run of a page: shown at once, and as it was when the hub refuses. As `changeRun`. */
export async function changeDetail(
  resource: Resource<RunDetail>,
  asked: RunChanges,
  opened: RunBefore | null = null,
): Promise<string | null> {
  const before = resource.data.peek();
  if (before === null) return null;
  const { changes, shown } = named(before.run_id, asked);
  resource.set({ ...before, ...shown });
  try {
    resource.set(await editRun(before.project, before.run_id, changes, opened));
    return null;
  } catch (failure) {
    resource.set(before);
    const notes = await refused(before, failure);
    if (notes !== null) resource.set({ ...(resource.data.peek() ?? before), notes });
    return notes;
  }
}
