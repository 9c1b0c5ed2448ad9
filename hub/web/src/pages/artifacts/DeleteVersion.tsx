/** Deletes a version. Shows first everything that is deleted with it; a version with aliases needs force. */
import { useSignal } from "@preact/signals";

import { deleteVersion, type Version } from "../../api/artifacts.js";
import { ApiError } from "../../api/errors.js";
import { Dialog } from "../../parts/Dialog.js";
import { formatAmount, formatBytes } from "../../parts/format.js";
import { navigate } from "../../state/navigation.js";
import { pathOf } from "../../state/routes.js";
import { say } from "../../state/toasts.js";

export function DeleteVersion({ version, onChanged }: { version: Version; onChanged(): void }) {
  const isOpen = useSignal(false);
  return (
    <span class="actions">
      <button type="button" class="danger" onClick={() => (isOpen.value = true)}>Delete…</button>
      {isOpen.value && <Question version={version} onChanged={onChanged} onClose={() => (isOpen.value = false)} />}
    </span>
  );
}

interface QuestionProps {
  version: Version;
  onChanged(): void;
  onClose(): void;
}

function Question({ version, onChanged, onClose }: QuestionProps) {
  const isBusy = useSignal(false);
  const failure = useSignal<Error | null>(null);
  const { project, name, version: number, aliases } = version;
  const label = `${name}:${number}`;
  const force = aliases.length > 0;
  const go = async () => {
    isBusy.value = true;
    try {
      await deleteVersion({ project, name, version: number }, { force });
      say(`${label} is deleted`);
      navigate(pathOf({ page: "artifacts", project }));
    } catch (error) {
      failure.value = error as Error;
      isBusy.value = false;
      // An alias came meanwhile: the question changes with it.
      if (error instanceof ApiError && error.code === "version_aliased") onChanged();
    }
  };
  return (
    <Dialog title={`Delete ${label}?`} onClose={onClose}>
      <p>
        {`${formatAmount(version.file_count, "file")} with ${formatBytes(version.size)} are deleted permanently, except `}
        those of another version or a run. The version number is not used again. The lineage keeps the name.
      </p>
      {force && (
        <p>
          {`It has the ${aliases.length === 1 ? "alias" : "aliases"} ${aliases.join(", ")}. `}
          {aliases.includes("latest") && "latest moves to the newest remaining version. "}
          {aliases.some((alias) => alias !== "latest") && "Scripts that ask for another alias of it fail until it is set again."}
        </p>
      )}
      {failure.value && <p class="filter-error" role="alert">{failure.value.message}</p>}
      <div class="dialog-actions">
        <button type="button" onClick={onClose}>Back</button>
        <button type="button" class="danger" disabled={isBusy.value} onClick={() => void go()}>
          {force ? "Delete with its aliases" : "Delete the version"}
        </button>
      </div>
    </Dialog>
  );
}
