/**
 * Changes of runs: shown at once, sent to the hub, taken back with a message when it refuses.
 */
import { deleteRun, editRun } from "../api/hub.js";
import { ApiError } from "../api/errors.js";
import type { RunChanges, RunDetail, RunOverview } from "../api/types.js";
import type { Resource } from "./resource.js";
import type { RunsList } from "./runsList.js";
import { say } from "./toasts.js";

export async function changeRun(list: RunsList, run: RunOverview, changes: RunChanges): Promise<void> {
  const before = Object.fromEntries(
    Object.keys(changes).map((key) => [key, run[key as keyof RunChanges]]),
  ) as RunChanges;
  list.patch(run.run_id, changes);
  try {
    await editRun(run.project, run.run_id, changes);
  } catch (failure) {
    list.patch(run.run_id, before);
    say(`${run.name || run.run_id} was not changed: ${(failure as Error).message}`, "bad");
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

/** Delete one after the other, until all are gone or one fails for another reason than running. */
export async function deleteRuns(
  runs: readonly RunOverview[],
  options: { force: boolean; onProgress(done: number): void },
): Promise<DeletionOutcome> {
  const outcome: DeletionOutcome = { deleted: new Set(), running: [], failure: null };
  for (const run of runs) {
    try {
      await deleteRun(run.project, run.run_id, { force: options.force });
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

/** Change the run of a page: shown at once, and as it was when the hub refuses. */
export async function changeDetail(resource: Resource<RunDetail>, changes: RunChanges): Promise<void> {
  const before = resource.data.peek();
  if (before === null) return;
  resource.set({ ...before, ...changes });
  try {
    resource.set(await editRun(before.project, before.run_id, changes));
  } catch (failure) {
    resource.set(before);
    say(`The run was not changed: ${(failure as Error).message}`, "bad");
  }
}
