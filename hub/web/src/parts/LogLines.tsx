/**
 * Lines of a console: only those that can be seen are in the document.
 *
 * At the top end earlier lines load, at the bottom later ones; the visible lines stay
 * where they are. A viewer who is at the end stays there when lines come.
 */
import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";

import type { ConsoleLine } from "../api/types.js";
import { parseAnsi, plainText } from "../state/ansi.js";
import type { ConsoleState } from "../state/console.js";
import { formatCount, formatMoment } from "./format.js";
import { rowWindow } from "./rowWindow.js";
import { splitMatches } from "./splitMatches.js";

const LINE_HEIGHT = 18;
/** A longer line is cut on the page: drawing a megabyte of text stops the browser. */
const LINE_CHARACTERS_MAX = 4000;
const LOAD_WITHIN = 400;

interface LogLinesProps {
  state: ConsoleState;
  search: string;
  isAtEnd: boolean;
  /** Scroll to the first line from this moment on; 0 for none. */
  showMoment: number;
  onLeaveEnd(): void;
  onReachEnd(): void;
}

export function LogLines({ state, search, isAtEnd, showMoment, onLeaveEnd, onReachEnd }: LogLinesProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const top = useSignal(0);
  const height = useSignal(800);
  const kept = useRef<{ first: string | undefined; moment: number }>({ first: undefined, moment: 0 });
  const lines = state.lines.value;

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => (height.value = element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const before = kept.current.first;
    kept.current.first = lines[0]?.id;
    if (isAtEnd) {
      element.scrollTop = element.scrollHeight;
    } else if (showMoment !== 0 && showMoment !== kept.current.moment) {
      const at = lines.findIndex((line) => (line.time ?? 0) >= showMoment);
      element.scrollTop = Math.max(0, at - 3) * LINE_HEIGHT;
    } else if (before !== undefined && before !== lines[0]?.id) {
      const added = lines.findIndex((line) => line.id === before);
      if (added > 0) element.scrollTop += added * LINE_HEIGHT;
    }
    kept.current.moment = showMoment;
    top.value = element.scrollTop;
  }, [lines, isAtEnd, showMoment]);

  const scroll = (element: HTMLDivElement) => {
    const goesUp = element.scrollTop < top.value;
    top.value = element.scrollTop;
    const below = element.scrollHeight - element.clientHeight - element.scrollTop;
    if (goesUp && below > LINE_HEIGHT) onLeaveEnd();
    if (element.scrollTop < LOAD_WITHIN) void state.loadEarlier();
    if (below < LOAD_WITHIN && state.hasLater.value) void state.loadLater();
    else if (below < 2 && !goesUp) onReachEnd();
  };

  const { first, last } = rowWindow({ top: top.value, height: height.value, rowHeight: LINE_HEIGHT, count: lines.length });
  const hasLabels = lines.some((line) => line.label !== "");
  return (
    <div
      ref={scroller}
      class="log-lines"
      role="log"
      aria-label="Console lines"
      aria-live="off"
      tabIndex={0}
      onScroll={(event) => scroll(event.currentTarget)}
    >
      <div class="log-space" style={{ height: `${lines.length * LINE_HEIGHT}px` }}>
        <div class="log-window" style={{ transform: `translateY(${first * LINE_HEIGHT}px)` }}>
          {lines.slice(first, last).map((line) => (
            <Line key={line.id} line={line} search={search} hasLabels={hasLabels} />
          ))}
        </div>
      </div>
    </div>
  );
}

function Line({ line, search, hasLabels }: { line: ConsoleLine; search: string; hasLabels: boolean }) {
  const moment = line.time === null ? "" : formatMoment(line.time);
  const text = line.text.slice(0, LINE_CHARACTERS_MAX);
  const more = line.text.length - text.length;
  return (
    <div class={`log-line ${line.stream}`}>
      <time class="log-time" title={`${moment}, line ${line.number} of ${line.stream}`}>{moment.slice(11)}</time>
      {hasLabels && <span class="log-label" title={line.label}>{line.label}</span>}
      <span class="log-text">
        {search === "" ? <Colored text={text} /> : <Marked text={text} search={search} />}
        {more > 0 && <span class="fact">{` … ${formatCount(more)} more characters`}</span>}
      </span>
    </div>
  );
}

function Colored({ text }: { text: string }) {
  return (
    <>
      {parseAnsi(text).map((span, at) =>
        span.classes === "" ? span.text : <span key={at} class={span.classes}>{span.text}</span>,
      )}
    </>
  );
}

function Marked({ text, search }: { text: string; search: string }) {
  return (
    <>
      {splitMatches(plainText(text), search).map((piece, at) =>
        piece.isMatch ? <mark key={at}>{piece.text}</mark> : piece.text,
      )}
    </>
  );
}
