/** Which columns of runs are shown: the project's config and summary, searched by the hub. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";

import type { AttributeKey } from "../api/types.js";
import { findColumnKeys } from "../state/columnKeys.js";
import { OWN_COLUMNS, columnTitle } from "../state/columns.js";
import { makeResource } from "../state/resource.js";
import { Popover } from "./Popover.js";
import { formatAmount } from "./format.js";

interface ColumnChooserProps {
  project: string;
  columns: readonly string[];
  onChange(columns: readonly string[]): void;
  label?: ComponentChildren;
  name?: string;
}

const LIMIT = 100;
const DELAY_MS = 120;
const STATISTICS = ["min", "max", "mean", "first"] as const;

export function ColumnChooser({ project, columns, onChange, label = "Columns", name }: ColumnChooserProps) {
  return (
    <Popover label={label} {...(name ? { name } : {})} title="Columns">
      {() => <Chooser project={project} columns={columns} onChange={onChange} />}
    </Popover>
  );
}

interface Choice {
  column: string;
  title: string;
  note: string;
}
type Groups = readonly { name: string; choices: readonly Choice[] }[];

function Chooser({ project, columns, onChange }: Omit<ColumnChooserProps, "label" | "name">) {
  const search = useSignal("");
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  const found = useMemo(
    () => makeResource<Groups>((signal) => findChoices(project, "", signal)),
    [project],
  );
  useEffect(() => {
    const start = () => found.load((signal) => findChoices(project, search.value, signal));
    const timer = setTimeout(() => void start(), search.value === "" ? 0 : DELAY_MS);
    return () => clearTimeout(timer);
  }, [search.value]);
  const toggle = (column: string) =>
    onChange(columns.includes(column) ? columns.filter((each) => each !== column) : [...columns, column]);
  const groups = found.data.value ?? [];
  return (
    <div class="chooser">
      <input
        type="search"
        aria-label="Search columns"
        placeholder="Search columns (RE2)"
        spellcheck={false}
        ref={field}
        value={search.value}
        onInput={(event) => (search.value = event.currentTarget.value)}
      />
      {columns.length > 0 && search.value === "" && (
        <Group
          name="Shown"
          choices={columns.map((column) => ({ column, title: columnTitle(column), note: kindOf(column) }))}
          columns={columns}
          onToggle={toggle}
        />
      )}
      {found.error.value && <p class="filter-error" role="status">{found.error.value.message}</p>}
      {groups.map((group) => (
        <Group key={group.name} {...group} columns={columns} onToggle={toggle} />
      ))}
      {found.data.value && groups.every((group) => group.choices.length === 0) && (
        <p class="fact">No column matches the search.</p>
      )}
    </div>
  );
}

interface GroupProps {
  name: string;
  choices: readonly Choice[];
  columns: readonly string[];
  onToggle(column: string): void;
}

function Group({ name, choices, columns, onToggle }: GroupProps) {
  if (choices.length === 0) return null;
  return (
    <fieldset>
      <legend>{name}</legend>
      {choices.map(({ column, title, note }) => (
        <label key={column} class="choice">
          <input type="checkbox" checked={columns.includes(column)} onChange={() => onToggle(column)} />
          <span class="choice-title mono" title={column}>{title}</span>
          <span class="fact">{note}</span>
        </label>
      ))}
      {choices.length === LIMIT && <p class="fact">The first {LIMIT}. Search for others.</p>}
    </fieldset>
  );
}

async function findChoices(project: string, search: string, signal: AbortSignal): Promise<Groups> {
  const { config, summary, metrics } = await findColumnKeys(project, search, LIMIT, signal);
  const choices = (keys: readonly AttributeKey[]) =>
    keys.map(({ kind, path, run_count }) => ({
      column: `${kind}.${path}`, title: path, note: run_count > 0 ? formatAmount(run_count, "run") : "",
    }));
  // Only of a search: each metric has several.
  const withStatistics = search === "" ? [] : metrics;
  const own = OWN_COLUMNS.filter((column) => column.includes(search.toLowerCase()));
  return [
    { name: "Config", choices: choices(config) },
    { name: "Summary", choices: choices(summary) },
    {
      name: "Statistics of metrics",
      choices: withStatistics.slice(0, LIMIT / STATISTICS.length).flatMap((path) =>
        STATISTICS.map((name) => ({ column: `metric.${path}:${name}`, title: `${path}:${name}`, note: "" })),
      ),
    },
    { name: "Run", choices: own.map((column) => ({ column, title: columnTitle(column), note: "" })) },
  ];
}

function kindOf(column: string): string {
  return /^(config|summary|metric)\./.exec(column)?.[1] ?? "run";
}
