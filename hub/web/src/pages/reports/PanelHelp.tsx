/** The kinds of panels, their fields, and a button that puts an example into the text. */
import { listPanelKinds, type PanelField, type PanelKind } from "../../api/reports.js";
import { Failure } from "../../parts/Notice.js";
import { Popover } from "../../parts/Popover.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { useResource } from "../../state/resource.js";

export function PanelHelp({ onInsert }: { onInsert(text: string): void }) {
  return (
    <Popover label="Insert a panel" title="Kinds of panels">
      {() => <div class="panel-kinds"><Kinds onInsert={onInsert} /></div>}
    </Popover>
  );
}

function Kinds({ onInsert }: { onInsert(text: string): void }) {
  const found = useResource("panels", (signal) => listPanelKinds({ signal }));
  const error = found.error.value;
  if (error) return <Failure what="The kinds of panels could not be read" error={error} onRetry={() => void found.load()} />;
  if (!found.data.value) return <Skeleton rows={4} />;
  return <>{found.data.value.kinds.map((kind) => <Kind key={kind.name} kind={kind} onInsert={onInsert} />)}</>;
}

function Kind({ kind, onInsert }: { kind: PanelKind; onInsert(text: string): void }) {
  return (
    <section aria-label={kind.name}>
      <header>
        <h3 class="mono">{kind.name}</h3>
        <span class="fact grow">{kind.about}</span>
        <button
          type="button"
          class="small"
          aria-label={`Insert a ${kind.name} panel`}
          onClick={(event) => {
            event.currentTarget.closest<HTMLElement>("[popover]")?.hidePopover();
            onInsert(`\`\`\`stepwell\n${kind.example}\n\`\`\`\n`);
          }}
        >
          Insert
        </button>
      </header>
      <details>
        <summary class="fact">Fields</summary>
        <dl>
          {kind.fields.map((field) => (
            <div key={field.name}>
              <dt class="mono">{field.name}</dt>
              <dd>{fieldText(field)}</dd>
            </div>
          ))}
        </dl>
      </details>
    </section>
  );
}

function fieldText({ about, required, choices, default: fallback }: PanelField): string {
  const given = Array.isArray(fallback) ? fallback.join(", ") : String(fallback ?? "");
  const parts = [about];
  if (choices.length > 0) parts.push(`one of ${choices.join(", ")}`);
  if (required) parts.push("required");
  else if (given !== "" && given !== "0") parts.push(`default ${given}`);
  return parts.join("; ");
}
