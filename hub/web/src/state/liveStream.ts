/**
 * The live stream: server-sent events of one hub, with back-off, for several listeners.
 *
 * Runs in a SharedWorker, so that all tabs share it, or in the tab itself. There is one connection
 * per watched project; the interests of its listeners are joined and sent to the hub, so
 * only awaited events are sent. Events are doorbells: they name what changed.
 */

export interface LiveWatch {
  /** null: the list of projects. */
  readonly project: string | null;
  readonly runs: readonly string[];
  readonly metrics: readonly string[];
  /** True: also the media of the runs. */
  readonly media?: boolean;
}

export type LiveEvent =
  | { readonly type: "event"; readonly event: string; readonly data: unknown }
  /** True once the stream runs; after a break events may have been missed. */
  | { readonly type: "state"; readonly isConnected: boolean };

export type LiveTell = (event: LiveEvent) => void;

export interface LiveIo {
  fetch: (path: string, init: RequestInit) => Promise<Response>;
  /** Calls back after some milliseconds; returns a function that prevents it. */
  after: (milliseconds: number, call: () => void) => () => void;
  random: () => number;
}

const API = "/api/v1";
const NARROW_MS = 30;
const NARROW_AGAIN_MS = 2000;
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 15_000;
/** What is watched goes along in the address up to this length; servers refuse longer ones. */
const QUERY_CHARACTERS_MAX = 4000;

/** Milliseconds to wait before the n-th try (from 1): doubling, with up to a half of jitter. */
export function backoff(attempt: number, random: () => number): number {
  const full = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** (attempt - 1));
  return full * (0.5 + random() / 2);
}

/** All streams of a browser, or of a tab without SharedWorker. */
export class LiveStreams {
  private readonly streams = new Map<string | null, Stream>();
  private readonly watches = new Map<object, LiveWatch>();

  constructor(private readonly io: LiveIo) {}

  /** Begin or change what `owner` watches; null ends it. */
  watch(owner: object, watch: LiveWatch | null, tell: LiveTell): void {
    const before = this.watches.get(owner);
    if (before !== undefined && before.project !== watch?.project)
      this.leave(before.project, owner);
    if (watch === null) {
      this.watches.delete(owner);
      return;
    }
    this.watches.set(owner, watch);
    let stream = this.streams.get(watch.project);
    if (stream === undefined)
      this.streams.set(watch.project, (stream = new Stream(watch.project, this.io)));
    stream.join(owner, watch, tell);
  }

  private leave(project: string | null, owner: object): void {
    const stream = this.streams.get(project);
    if (stream === undefined || !stream.leave(owner)) return;
    this.streams.delete(project);
  }
}

class Stream {
  private readonly listeners = new Map<object, { watch: LiveWatch; tell: LiveTell }>();
  private readonly abort = new AbortController();
  private subscription = "";
  private sent = "";
  private lastEventId = "";
  private isConnected = false;
  /** The newest "runs" event: a listener that joins later needs it to tell what is new. */
  private lastRuns: LiveEvent | null = null;
  private cancelNarrow: (() => void) | null = null;

  constructor(
    private readonly project: string | null,
    private readonly io: LiveIo,
  ) {
    // In a moment: the first listener joins right after.
    queueMicrotask(() => void this.run());
  }

  join(owner: object, watch: LiveWatch, tell: LiveTell): void {
    const isNew = !this.listeners.has(owner);
    this.listeners.set(owner, { watch, tell });
    if (isNew && this.isConnected) tell({ type: "state", isConnected: true });
    if (isNew && this.lastRuns !== null) tell(this.lastRuns);
    this.narrowSoon();
  }

  /** True: the last listener left and the stream is closed. */
  leave(owner: object): boolean {
    this.listeners.delete(owner);
    if (this.listeners.size > 0) {
      this.narrowSoon();
      return false;
    }
    this.cancelNarrow?.();
    this.abort.abort();
    return true;
  }

  private async run(): Promise<void> {
    const { signal } = this.abort;
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        await this.connect(() => (attempt = 0));
      } catch {
        // For every error of the stream: report it, wait, try again.
      }
      if (signal.aborted) return;
      this.subscription = "";
      this.setConnected(false);
      await new Promise<void>((done) => {
        const cancel = this.io.after(backoff(Math.max(1, attempt), this.io.random), done);
        signal.addEventListener("abort", () => (cancel(), done()), { once: true });
      });
    }
  }

  private async connect(onOpen: () => void): Promise<void> {
    const watched = this.watched();
    const query = queryOf(watched);
    const path =
      this.project === null
        ? "/live"
        : `/projects/${encodeURIComponent(this.project)}/live${query ?? ""}`;
    const headers: Record<string, string> = { Accept: "text/event-stream" };
    if (this.lastEventId !== "") headers["Last-Event-ID"] = this.lastEventId;
    const response = await this.io.fetch(API + path, {
      headers,
      credentials: "same-origin",
      cache: "no-store",
      signal: this.abort.signal,
    });
    if (!response.ok || response.body === null) throw new Error(`live stream: ${response.status}`);
    onOpen();
    // Without names the hub goes on with what was watched before the break.
    this.sent = query === null ? "" : JSON.stringify(watched);
    this.setConnected(true);
    const parser = new EventParser();
    const reader = response.body
      .pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array<ArrayBuffer>>)
      .getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      for (const event of parser.push(value)) this.take(event);
    }
  }

  private take({ id, event, data }: ParsedEvent): void {
    if (id !== "") this.lastEventId = id;
    let parsed: unknown;
    try {
      parsed = JSON.parse(data);
    } catch {
      return;
    }
    if (event === "hello") {
      const { subscription } = parsed as { subscription?: unknown };
      this.subscription = typeof subscription === "string" ? subscription : "";
      this.narrowSoon();
      return;
    }
    const told: LiveEvent = { type: "event", event, data: parsed };
    if (event === "runs") this.lastRuns = told;
    for (const { tell } of this.listeners.values()) tell(told);
  }

  /** What all listeners watch together. */
  private watched(): Watched {
    return joined([...this.listeners.values()].map(({ watch }) => watch));
  }

  private setConnected(isConnected: boolean): void {
    this.isConnected = isConnected;
    for (const { tell } of this.listeners.values()) tell({ type: "state", isConnected });
  }

  private narrowSoon(milliseconds = NARROW_MS): void {
    if (this.subscription === "" || this.cancelNarrow !== null) return;
    this.cancelNarrow = this.io.after(milliseconds, () => {
      this.cancelNarrow = null;
      void this.narrow();
    });
  }

  /** Tell the hub what all listeners together watch. */
  private async narrow(): Promise<void> {
    if (this.subscription === "" || this.project === null) return;
    const body = JSON.stringify(this.watched());
    if (body === this.sent) return;
    this.sent = body;
    const isTaken = await this.post(`${API}/live/${encodeURIComponent(this.subscription)}`, body);
    if (isTaken || this.abort.signal.aborted) return;
    this.sent = "";
    this.narrowSoon(NARROW_AGAIN_MS);
  }

  private async post(path: string, body: string): Promise<boolean> {
    try {
      const response = await this.io.fetch(path, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        credentials: "same-origin",
        body,
        signal: this.abort.signal,
      });
      return response.ok;
    } catch {
      return false;
    }
  }
}

/** The hub's limits; what is beyond them is not live. */
const RUNS_MAX = 2000;
const METRICS_MAX = 1000;

interface Watched {
  runs: string[];
  metrics: string[];
  media?: true;
}

/** Parameters for the address; null when they are too long for it. */
function queryOf({ runs, metrics, media }: Watched): string | null {
  const parameters = new URLSearchParams([
    ...runs.map((run) => ["runs", run]),
    ...metrics.map((metric) => ["metrics", metric]),
    ...(media ? [["media", "true"]] : []),
  ]);
  const text = parameters.toString();
  if (text.length > QUERY_CHARACTERS_MAX) return null;
  return text === "" ? "" : `?${text}`;
}

function joined(watches: readonly LiveWatch[]): Watched {
  const all = (names: readonly string[], max: number) => [...new Set(names)].sort().slice(0, max);
  return {
    runs: all(
      watches.flatMap((watch) => watch.runs),
      RUNS_MAX,
    ),
    metrics: all(
      watches.flatMap((watch) => watch.metrics),
      METRICS_MAX,
    ),
    ...(watches.some((watch) => watch.media) ? { media: true as const } : {}),
  };
}

export interface ParsedEvent {
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

/** Parser of server-sent events, for text in any pieces. */
export class EventParser {
  private rest = "";
  private event = "message";
  private data: string[] = [];
  private id = "";

  push(text: string): ParsedEvent[] {
    const events: ParsedEvent[] = [];
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (this.data.length > 0)
          events.push({ id: this.id, event: this.event, data: this.data.join("\n") });
        this.event = "message";
        this.data = [];
        continue;
      }
      const colon = line.indexOf(":");
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "event") this.event = value;
      if (field === "data") this.data.push(value);
      if (field === "id" && !value.includes("\0")) this.id = value;
    }
    return events;
  }
}
