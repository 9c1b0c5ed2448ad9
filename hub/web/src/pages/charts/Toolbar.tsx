/** The controls of a board: metric search, axes, and how lines are drawn. */
import { useSignal } from "@preact/signals";
import { useEffect, useId, useMemo, useRef } from "preact/hooks";

import { halfLifeOfWeight } from "../../engine/smoothing.js";
import { Popover } from "../../parts/Popover.js";
import { TypedInput } from "../../parts/TypedInput.js";
import { isPaused, setPaused } from "../../state/live.js";
import { useKeys } from "../../state/keys.js";
import type { Board } from "./board.js";
import type { ChartsValues } from "./view.js";

const SEARCH_MS = 120;
const X_AXES = ["auto", "step", "time", "relative"] as const;
const Y_SCALES = [
  ["lin", "linear"],
  ["log", "logarithmic"],
  ["symlog", "symmetric logarithmic"],
] as const;
/** Half-lives of the slider: none, then 1, 2, 5, 10 … 1,000,000 steps. */
const HALF_LIVES = [
  0,
  ...[1, 10, 100, 1e3, 1e4, 1e5].flatMap((power) => [power, 2 * power, 5 * power]),
  1e6,
];

export function Toolbar({ board, canGroup = false }: { board: Board; canGroup?: boolean }) {
  const values = board.values.value;
  const search = useRef<HTMLInputElement>(null);
  const keys = useMemo(() => shortcuts(board, search), [board]);
  useKeys(keys);
  return (
    <div class="charts-toolbar">
      <MetricSearch board={board} field={search} />
      <AxisChoices board={board} />
      <Popover
        label={values.sm > 0 ? `View · ${values.sm}` : "View"}
        name="View settings"
        title="View settings"
      >
        {() => <ViewSettings board={board} canGroup={canGroup} />}
      </Popover>
      {board.isZoomed.value && (
        <button type="button" title="Show all of x (0)" onClick={board.showAll}>
          Reset zoom
        </button>
      )}
      <button
        type="button"
        aria-pressed={isPaused.value}
        title={isPaused.value ? "Resume live updates (.)" : "Pause live updates (.)"}
        onClick={() => setPaused(!isPaused.peek())}
      >
        {isPaused.value ? "Paused" : "Pause"}
      </button>
    </div>
  );
}

function AxisChoices({ board }: { board: Board }) {
  const values = board.values.value;
  return (
    <>
      <div class="choices" role="group" aria-label="x axis">
        {X_AXES.map((x) => (
          <button
            key={x}
            type="button"
            aria-pressed={values.x === x}
            title={x === "auto" ? "Each metric over its step metric, else over the step" : undefined}
            onClick={() => board.chooseX(x)}
          >
            {x}
          </button>
        ))}
      </div>
      <div class="choices" role="group" aria-label="y scale">
        {Y_SCALES.map(([y, name]) => (
          <button
            key={y}
            type="button"
            aria-pressed={values.y === y}
            title={name}
            onClick={() => board.change({ y })}
          >
            {y}
          </button>
        ))}
      </div>
    </>
  );
}

function MetricSearch({
  board,
  field,
}: {
  board: Board;
  field: { current: HTMLInputElement | null };
}) {
  const { m } = board.values.value;
  const typed = useSignal(m);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => {
    if (field.current !== document.activeElement) typed.value = m;
  }, [m]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const names = board.names.names.value;
  const error = board.names.error.value;
  const id = useId();
  return (
    <div class="metric-search">
      <input
        ref={field}
        type="search"
        class="mono"
        aria-label="Search metrics"
        aria-invalid={error !== null && m !== ""}
        aria-describedby={id}
        placeholder={`/ search ${names === null || m !== "" ? "" : `${names.length} `}metrics: regex, e.g. ^val/|grad`}
        spellcheck={false}
        value={typed.value}
        onInput={(event) => {
          typed.value = event.currentTarget.value;
          clearTimeout(timer.current);
          timer.current = setTimeout(() => board.change({ m: typed.peek() }), SEARCH_MS);
        }}
      />
      <span
        id={id}
        class={error !== null && m !== "" ? "search-note bad" : "search-note"}
        role="status"
      >
        {m === "" ? "" : error !== null ? error.message : `${names?.length ?? 0} match`}
      </span>
    </div>
  );
}

function ViewSettings({ board, canGroup }: { board: Board; canGroup: boolean }) {
  const values = board.values.value;
  const at = HALF_LIVES.findLastIndex((halfLife) => halfLife <= values.sm);
  const unit = values.x === "step" || values.x === "auto" ? "steps" : "points";
  return (
    <div class="view-settings">
      <div class="narrow-axes">
        <AxisChoices board={board} />
      </div>
      <label>
        <span>{`Smoothing: half-life in ${unit}`}</span>
        <span class="pair">
          <input
            type="range"
            min={0}
            max={HALF_LIVES.length - 1}
            value={at}
            aria-label="Smoothing"
            onInput={(event) =>
              board.change({ sm: HALF_LIVES[Number(event.currentTarget.value)] ?? 0 })
            }
          />
          <input
            type="number"
            min={0}
            step="any"
            title="A number from 0 to 1 is treated as a weight per point"
            value={values.sm}
            aria-label={`Half-life in ${unit}`}
            onChange={(event) =>
              board.change({ sm: halfLifeOf(Number(event.currentTarget.value)) })
            }
          />
        </span>
      </label>
      <label class="check">
        <input
          type="checkbox"
          checked={values.b === "on"}
          onChange={() => board.change({ b: values.b === "on" ? "off" : "on" })}
        />
        <span>Band from minimum to maximum</span>
      </label>
      <label class="check">
        <input
          type="checkbox"
          checked={values.lx}
          disabled={values.x === "time"}
          onChange={() => board.change({ lx: !values.lx })}
        />
        <span>Logarithmic x axis</span>
      </label>
      <label>
        <span>Ranks of a run</span>
        <select
          value={values.r}
          disabled={values.g !== ""}
          title={values.g === "" ? "" : "Groups are means of runs"}
          onChange={(event) => board.change({ r: event.currentTarget.value as ChartsValues["r"] })}
        >
          <option value="mean">mean</option>
          <option value="apart">apart</option>
        </select>
      </label>
      <label>
        <span>x from a metric</span>
        <TypedInput
          type="text"
          class="mono"
          placeholder="epoch"
          value={values.x.startsWith("metric:") ? values.x.slice("metric:".length) : ""}
          onTyped={(name) => board.chooseX(name === "" ? "auto" : `metric:${name}`)}
        />
      </label>
      {canGroup && (
        <label>
          <span>Group runs by</span>
          <TypedInput
            type="text"
            class="mono"
            placeholder="group, job_type, config.lr"
            value={values.g}
            onTyped={(text) => board.change({ g: text })}
          />
        </label>
      )}
      <label>
        <span>Columns</span>
        <select
          value={String(values.w)}
          onChange={(event) => board.change({ w: Number(event.currentTarget.value) })}
        >
          <option value="0">by width</option>
          {[1, 2, 3, 4, 5, 6].map((count) => (
            <option key={count} value={String(count)}>
              {count}
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}

/** A number from 0 to 1 is a weight per point, as other tools have it. */
function halfLifeOf(typed: number): number {
  if (typed > 0 && typed < 1) return Number(halfLifeOfWeight(typed).toPrecision(3));
  return Number.isFinite(typed) ? Math.max(0, typed) : 0;
}

function shortcuts(board: Board, search: { current: HTMLInputElement | null }) {
  const next = <T,>(names: readonly T[], now: T) => names[(names.indexOf(now) + 1) % names.length]!;
  const smooth = (by: number) => () => {
    const at = HALF_LIVES.findLastIndex((halfLife) => halfLife <= board.values.peek().sm);
    board.change({ sm: HALF_LIVES[Math.min(Math.max(at + by, 0), HALF_LIVES.length - 1)] ?? 0 });
  };
  return [
    { keys: "/", what: "search metrics", run: () => search.current?.focus() },
    {
      keys: "x",
      what: "next x axis",
      run: () => board.chooseX(next<string>(X_AXES, board.values.peek().x)),
    },
    {
      keys: "y",
      what: "next y scale",
      run: () => board.change({ y: next(["lin", "log", "symlog"], board.values.peek().y) }),
    },
    { keys: "]", what: "smooth more", run: smooth(1) },
    { keys: "[", what: "smooth less", run: smooth(-1) },
    {
      keys: "m",
      what: "show or hide bands",
      run: () => board.change({ b: board.values.peek().b === "on" ? "off" : "on" }),
    },
    {
      keys: "0",
      what: "reset the zoom",
      run: () => board.isZoomed.peek() && board.showAll(),
    },
    { keys: ".", what: "pause or go on live", run: () => setPaused(!isPaused.peek()) },
  ];
}
