/** What each tab of a run is given. */
import type { RunBefore, RunChanges, RunDetail } from "../../api/types.js";

export interface RunTabProps {
  run: RunDetail;
  /** Change the run, on the page at once. */
  onChange(changes: RunChanges, before?: RunBefore): Promise<string | null>;
  /** The hub says that the run changed: read it again. */
  onRefresh?(): void;
}
