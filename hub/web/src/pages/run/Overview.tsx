/** What a run is: facts, notes, config, summary, processes, and what is missing. */
import { useSignal } from "@preact/signals";

import { listGaps, listWriters } from "../../api/hub.js";
import type { Value } from "../../api/values.js";
import { Age } from "../../parts/Age.js";
import { durationSeconds } from "../../parts/columnValues.js";
import { CopyButton } from "../../parts/CopyButton.js";
import { DeleteRuns } from "../../parts/DeleteRuns.js";
import { Editable } from "../../parts/Editable.js";
import { formatAmount, formatDuration, formatMoment } from "../../parts/format.js";
import { exitCodeText } from "../../parts/shownState.js";
import { ValueTree } from "../../parts/ValueTree.js";
import { now } from "../../state/clock.js";
import { formatTags, parseTags } from "../../state/edits.js";
import { useFollow, writerFacts } from "../../state/follow.js";
import { navigate } from "../../state/navigation.js";
import { runColor } from "../../state/palette.js";
import { useResource } from "../../state/resource.js";
import { pathOf } from "../../state/routes.js";
import { theme } from "../../state/theme.js";
import { Fact } from "./Fact.js";
import { FailedArtifacts, withoutFailedArtifacts } from "./FailedArtifacts.js";
import { Gaps } from "./Gaps.js";
import type { RunTabProps } from "./runTab.js";
import { Source } from "./Source.js";
import { Writers } from "./Writers.js";

export function Overview({ run, onChange }: RunTabProps) {
  const { project, run_id } = run;
  const writers = useResource(`writers ${run_id}`, (signal) => listWriters(project, run_id, { signal }));
  const gaps = useResource(`gaps ${run_id}`, (signal) => listGaps(project, run_id, { signal }));
  useFollow(writers, writerFacts(run));
  useFollow(gaps, writerFacts(run));
  return (
    <div class="overview">
      <div class="column">
        <Facts run={run} onChange={onChange} />
        <Gaps run={run} gaps={gaps} />
        <FailedArtifacts metadata={run.metadata} />
        <Source metadata={run.metadata} />
        <Writers writers={writers} />
      </div>
      <ValueTree title="Config" root={run.config} empty="The run has no config." />
      <div class="column">
        <ValueTree title="Summary" isRounded hasMedia root={run.summary} textOf={automaticText} empty="The run has no summary." />
        {Object.keys(run.defined_metrics).length > 0 && (
          <ValueTree title="Defined metrics" root={run.defined_metrics} empty="" />
        )}
        <ValueTree title="Metadata" root={withoutFailedArtifacts(run.metadata)} empty="The run has no metadata." />
      </div>
    </div>
  );
}

/** What the hub itself adds to a summary, as people read it. */
function automaticText(key: string, value: Value): string | undefined {
  if (typeof value !== "number") return undefined;
  if (key === "_timestamp") return formatMoment(value);
  return key === "_runtime" ? formatDuration(value) : undefined;
}

function Facts({ run, onChange }: RunTabProps) {
  const duration = durationSeconds(run, now.value);
  return (
    <section class="card" aria-label="Run">
      <header class="card-head">
        <h2>Run</h2>
        <RunActions run={run} onChange={onChange} />
      </header>
      <dl class="facts">
        <Fact name="Id">
          <code>{run.run_id}</code> <CopyButton what="the id" text={run.run_id} />
        </Fact>
        <Fact name="Started">{run.started_at !== null && formatMoment(run.started_at)}</Fact>
        <Fact name={run.ended_at === null ? "Last seen" : "Ended"}>
          {run.ended_at === null ? <Age moment={run.last_seen} /> : formatMoment(run.ended_at)}
        </Fact>
        <Fact name="Duration">{duration !== null && formatDuration(duration)}</Fact>
        {run.exit_code !== null && run.state !== "running" && <Fact name="Exit code">{exitCodeText(run.exit_code, run.state)}</Fact>}
        <Fact name="Host">{run.hosts.join(", ")}</Fact>
        <Fact name="Logged">
          {`${formatAmount(run.point_count, "point")} of ${formatAmount(run.metric_count, "metric")}`}
        </Fact>
        {run.job_type !== "" && <Fact name="Job type">{run.job_type}</Fact>}
        <Fact name="Group">
          <Editable what="the group" value={run.group} onSave={(group) => void onChange({ group })}>{run.group}</Editable>
        </Fact>
        <Fact name="Tags">
          <Editable what="the tags" value={formatTags(run.tags)} onSave={(text, before) => void onChange({ tags: parseTags(text) }, { tags: parseTags(before) })}>
            {run.tags.map((tag) => (
              <span key={tag} class="tag">{tag}</span>
            ))}
          </Editable>
        </Fact>
        <Fact name="Color">
          <input
            type="color"
            aria-label="Color of the run"
            value={runColor(run, theme.value)}
            onChange={(event) => onChange({ color: event.currentTarget.value })}
          />
          {run.color !== "" && (
            <button type="button" class="small" onClick={() => onChange({ color: "" })}>As chosen by the hub</button>
          )}
        </Fact>
        <Fact name="Notes">
          <Editable what="the notes" value={run.notes} isLong onSave={(notes, before) => onChange({ notes }, { notes: before })}>
            <span class="notes">{run.notes}</span>
          </Editable>
        </Fact>
      </dl>
    </section>
  );
}

function RunActions({ run, onChange }: RunTabProps) {
  const isDeleting = useSignal(false);
  return (
    <span class="actions">
      <button type="button" class="small" onClick={() => onChange({ archived: !run.archived })}>
        {run.archived ? "Take out of the archive" : "Archive"}
      </button>
      <button type="button" class="small danger" onClick={() => (isDeleting.value = true)}>Delete…</button>
      {isDeleting.value && (
        <DeleteRuns
          runs={[run]}
          onClose={() => (isDeleting.value = false)}
          onDeleted={() => navigate(pathOf({ page: "table", project: run.project }))}
        />
      )}
    </span>
  );
}
