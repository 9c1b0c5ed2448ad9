/** Nested values with search, groups that open and shut, and a button that copies them as JSON. */
import { useSignal } from "@preact/signals";

import { encodeJson, type Value, type ValueMap } from "../api/values.js";
import { leafCount, treeLines, type TreeLine } from "../state/valueTree.js";
import { CopyButton } from "./CopyButton.js";
import { formatCount, formatExact, formatValue } from "./format.js";
import { Icon } from "./Icon.js";

const SEARCH_FROM = 12;
const LINES_MAX = 400;
/** The whole text is in the copy. */
const TEXT_CHARACTERS_MAX = 1000;

interface ValueTreeProps {
  title: string;
  root: ValueMap;
  /** Shown where there is nothing. */
  empty: string;
  /** Numbers that are not whole in few digits; all digits are in the hint. */
  isRounded?: boolean;
  /** A group with a key `_type` is a logged medium. */
  hasMedia?: boolean;
  /** Another text for a value; the value itself stays in the hint. Undefined: none. */
  textOf?(key: string, value: Value): string | undefined;
}

export function ValueTree({ title, root, empty, isRounded = false, hasMedia = false, textOf }: ValueTreeProps) {
  const search = useSignal("");
  const toggled = useSignal<ReadonlySet<string>>(new Set());
  const isWhole = useSignal(false);
  const count = leafCount(root);
  const lines = treeLines(root, { toggled: toggled.value, search: search.value, textOf: formatExact, hasMedia });
  const shown = isWhole.value ? lines : lines.slice(0, LINES_MAX);
  const toggle = (path: string) => {
    const next = new Set(toggled.value);
    if (!next.delete(path)) next.add(path);
    toggled.value = next;
  };
  return (
    <section class="card tree" aria-label={title}>
      <header class="card-head">
        <h2>{title}</h2>
        <span class="fact">{count > 0 && formatCount(count)}</span>
        {count >= SEARCH_FROM && (
          <input
            type="search"
            aria-label={`Search ${title.toLowerCase()}`}
            placeholder="Search"
            value={search.value}
            onInput={(event) => (search.value = event.currentTarget.value)}
          />
        )}
        {count > 0 && <CopyButton what={`${title.toLowerCase()} as JSON`} text={() => encodeJson(root, 2)} />}
      </header>
      {count === 0 && <p class="fact">{empty}</p>}
      {count > 0 && lines.length === 0 && <p class="fact">No line matches.</p>}
      {shown.length > 0 && (
        <dl>
          {shown.map((line) => (
            <Line
              key={line.path}
              line={line}
              isRounded={isRounded}
              own={line.value === undefined ? undefined : textOf?.(line.key, line.value)}
              onToggle={toggle}
            />
          ))}
        </dl>
      )}
      {shown.length < lines.length && (
        <button type="button" class="small" onClick={() => (isWhole.value = true)}>
          {`Show all ${formatCount(lines.length)} lines`}
        </button>
      )}
    </section>
  );
}

interface LineProps {
  line: TreeLine;
  isRounded: boolean;
  own: string | undefined;
  onToggle(path: string): void;
}

function Line({ line, isRounded, own, onToggle }: LineProps) {
  const indent = { paddingLeft: `${line.depth * 14}px` };
  if (line.value === undefined) {
    return (
      <div class="group">
        <dt style={indent}>
          <button type="button" class="quiet" aria-expanded={line.isOpen} onClick={() => onToggle(line.path)}>
            <Icon name={line.isOpen ? "down" : "right"} /> {line.key}
          </button>
        </dt>
        <dd class="fact">{line.medium !== "" ? line.medium : !line.isOpen && formatCount(line.count)}</dd>
      </div>
    );
  }
  const exact = cut(formatExact(line.value));
  const text = own ?? (isRounded && !Number.isInteger(line.value) ? cut(formatValue(line.value)) : exact);
  return (
    <div>
      <dt style={indent} title={line.path}>{line.key}</dt>
      <dd class={kindOf(line.value)} title={exact}>
        {text === "" ? emptyText(line.value) : text}
      </dd>
    </div>
  );
}

function cut(text: string): string {
  return text.length > TEXT_CHARACTERS_MAX ? `${text.slice(0, TEXT_CHARACTERS_MAX)}…` : text;
}

function kindOf(value: Value): string {
  if (value === null || typeof value === "boolean") return "literal";
  return typeof value === "number" || typeof value === "bigint" ? "numeric" : "text";
}

function emptyText(value: Value): string {
  return value === null ? "null" : '""';
}
