/** The frame of each panel of a report: its title, and a message if it has no data or an error. */
import type { ComponentChildren } from "preact";

import type { PanelFields } from "../../api/reports.js";
import { Failure } from "../../parts/Notice.js";
import { Skeleton } from "../../parts/Skeleton.js";
import type { Resource } from "../../state/resource.js";
import { textOf } from "./fields.js";

interface PanelFrameProps {
  kind: string;
  fields: PanelFields;
  children: ComponentChildren;
}

export function PanelFrame({ kind, fields, children }: PanelFrameProps) {
  const title = textOf(fields, "title");
  return (
    <section class="report-panel" data-panel={kind} aria-label={title || `${kind} panel`}>
      {title !== "" && <p class="report-panel-title">{title}</p>}
      {children}
    </section>
  );
}

interface AnsweredProps<T> {
  resource: Resource<T>;
  /** Of the loading picture. */
  rows?: number;
  /** Why there is nothing to show, or "". */
  empty(found: T): string;
  children(found: T): ComponentChildren;
}

/** The answer of a resource, with what stands in its place until there is one. */
export function Answered<T>({ resource, rows = 3, empty, children }: AnsweredProps<T>) {
  const found = resource.data.value;
  const error = resource.error.value;
  if (error !== null && found === null)
    return <Failure what="This panel could not be read" error={error} onRetry={() => void resource.load()} />;
  if (found === null) return <Skeleton rows={rows} />;
  const nothing = empty(found);
  if (nothing !== "") return <p class="panel-empty">{nothing}</p>;
  return <>{children(found)}</>;
}

/** That the panel has fewer runs than match. */
export function Cut({ cut }: { cut: string }) {
  return cut === "" ? null : <p class="fact">{cut}</p>;
}
