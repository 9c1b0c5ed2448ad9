/** The chart: what is drawn again for what, and what is said of it. Canvases only record calls. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { Chart, type ChartInput } from "../../src/engine/chart.js";
import { techniqueFor } from "../../src/engine/draw.js";
import { drawGrid } from "../../src/engine/drawGrid.js";
import { layoutOf } from "../../src/engine/layout.js";
import type { ChartSeries } from "../../src/engine/lines.js";
import { makeScale, ticks } from "../../src/engine/scales.js";
import type { ChartTheme } from "../../src/engine/theme.js";
import { random } from "./encode.js";
import { bucketed, type Point, steps } from "./series.js";

const THEME: ChartTheme = {
  ink3: "#666666",
  grid: "#dddddd",
  card: "#ffffff",
  accent: "#008888",
  ramp: ["#aaaaaa", "#008888", "#000000"],
  font: "sans-serif",
};
const LETTER_PIXELS = 6;

interface Call {
  name: string;
  arguments: unknown[];
}

function recorder(): { context: CanvasRenderingContext2D; calls: Call[] } {
  const calls: Call[] = [];
  const context = new Proxy({} as Record<string, unknown>, {
    get: (own, name: string) => {
      if (name === "measureText") return (text: string) => ({ width: text.length * LETTER_PIXELS });
      if (name === "createImageData")
        return (width: number, height: number) => ({
          width,
          height,
          data: new Uint8ClampedArray(width * height * 4),
        });
      if (name in own) return own[name];
      return (...given: unknown[]) => void calls.push({ name, arguments: given });
    },
  });
  return { context: context as unknown as CanvasRenderingContext2D, calls };
}

function canvas() {
  const { context, calls } = recorder();
  const element = { width: 0, height: 0, getContext: () => context };
  return { element: element as unknown as HTMLCanvasElement, calls };
}

let frames: (() => void)[] = [];
const nextFrame = () => {
  for (const frame of frames.splice(0)) frame();
};

beforeEach(() => {
  frames = [];
  vi.stubGlobal("requestAnimationFrame", (call: () => void) => frames.push(call));
  vi.stubGlobal("document", { createElement: () => canvas().element });
});
afterEach(() => {
  // The queue is one for the page: what a test leaves in it would be the next one's.
  while (frames.length > 0) nextFrame();
  vi.unstubAllGlobals();
});

function series(id: string, points: Point[]): ChartSeries {
  return { id, runId: id, name: id, color: "#2462b1", data: bucketed(points, 0, id) };
}

function input(all: ChartSeries[], more: Partial<ChartInput> = {}): ChartInput {
  return {
    series: all,
    xUnit: "number",
    xScale: "linear",
    yScale: "linear",
    zoom: null,
    smoothing: { halfLife: 0, unit: "x" },
    bands: true,
    theme: THEME,
    ...more,
  };
}

function chart(all: ChartSeries[], more: Partial<ChartInput> = {}) {
  const [base, overlay] = [canvas(), canvas()];
  const made = new Chart({ base: base.element, overlay: overlay.element });
  made.resize(400, 200, 1);
  made.update(input(all, more));
  nextFrame();
  return { made, base, overlay };
}

const TWO = [series("a", steps([1, 2, 3, 4])), series("b", steps([4, 3, 2, 1]))];

describe("a chart", () => {
  it("draws once for all that changed before a frame", () => {
    const { made } = chart(TWO);
    made.update(input(TWO, { zoom: [1, 2] }));
    made.update(input(TWO, { zoom: [1, 3] }));
    made.setCursor(2);
    nextFrame();
    expect(made.debugState()).toMatchObject({ dataDraws: 2, x: [1, 3], lines: 2, buckets: 8 });
  });

  it("never draws grid and data for the cursor, a highlight or a selection", () => {
    const { made, base } = chart(TWO);
    const before = base.calls.length;
    made.setCursor(1, 50);
    nextFrame();
    made.setHighlight("a");
    nextFrame();
    made.setSelection([1, 2]);
    nextFrame();
    expect(base.calls.length).toBe(before);
    expect(made.debugState()).toMatchObject({ dataDraws: 1, overlayDraws: 4, highlight: "a" });
  });

  it("reads the nearest line first, and the same hits while the cursor rests", () => {
    const { made } = chart(TWO);
    made.setCursor(0, 195);
    expect(made.hits().map((hit) => hit.line.series.id)).toEqual(["a", "b"]);
    expect(made.hits()).toBe(made.hits());
    made.setCursor(0, 5);
    expect(made.hits()[0]!.line.series.id).toBe("b");
  });

  it("steps from bucket to bucket within the zoom", () => {
    const { made } = chart(TWO, { zoom: [1, 3] });
    expect([made.neighbour(null, 1), made.neighbour(1, 1), made.neighbour(3, 1)]).toEqual([
      1,
      2,
      null,
    ]);
    expect([made.neighbour(null, -1), made.neighbour(2, -1)]).toEqual([3, 1]);
  });

  it("maps pixels to values and keeps them in the plot", () => {
    const { made } = chart(TWO);
    const [left, , right] = made.debugState().plot;
    expect(made.valueAt(left)).toBeCloseTo(0, 9);
    expect(made.valueAt((left + right) / 2)).toBeCloseTo(1.5, 9);
    expect(made.valueAt(99999)).toBeCloseTo(3, 9);
    expect(made.pixelAt(3)).toBeCloseTo(right, 9);
    expect(made.pixelAt(4)).toBeNull();
  });

  it("without points, and after its end, draws and says nothing", () => {
    const { made, base } = chart([series("a", [])]);
    expect(made.debugState()).toMatchObject({ lines: 0, buckets: 0 });
    expect(made.hits()).toEqual([]);
    made.update(input(TWO));
    made.destroy();
    const before = base.calls.length;
    nextFrame();
    expect(base.calls.length).toBe(before);
    expect(base.element.width).toBe(0);
  });

  it("is drawn by strokes, by the rasteriser or as a density, by its number of lines", () => {
    expect([1, 30, 31, 100, 101, 5000].map(techniqueFor)).toEqual([
      "stroke",
      "stroke",
      "raster",
      "raster",
      "density",
      "density",
    ]);
    const many = Array.from({ length: 150 }, (_, i) => series(`r${i}`, steps([i, i + 1, i])));
    const { made, base } = chart(many);
    expect(made.debugState().technique).toBe("density");
    expect(base.calls.filter(({ name }) => name === "drawImage")).toHaveLength(1);
  });

  it("strokes a line in parts where it has holes", () => {
    const { base } = chart([series("a", steps([1, 2, Number.NaN, 3, 4]))], { bands: false });
    const [left, top] = [38, 6];
    const inPlot = base.calls.filter(
      ({ name, arguments: [x, y] }) =>
        /^(move|line)To$/.test(name) && Number(x) >= left && Number(y) >= top,
    );
    const data = inPlot.slice(inPlot.findLastIndex(({ name }) => name === "stroke"));
    const lastFour = data.filter(({ name }) => name === "lineTo").length;
    expect(lastFour).toBeGreaterThan(0);
    // A stroke joins 1 to 2 and 3 to 4, and never 2 to 3; the mark of NaN is a cross of two lines.
    const path = base.calls.map(({ name }) => name).join(" ");
    expect(path).toMatch(/moveTo lineTo moveTo lineTo stroke/);
  });
});

describe("labels of x", () => {
  it("stay inside the picture and never touch, at every width", () => {
    const next = random(21);
    for (let round = 0; round < 300; round++) {
      const width = 120 + Math.floor(next() * 900);
      const layout = layoutOf(width, 200, 1, 30);
      const x = makeScale("linear", next() * 100, 1000 + next() * 1e6, layout.left, layout.right);
      const y = makeScale("linear", 0, 1, layout.bottom, layout.top);
      const { context, calls } = recorder();
      drawGrid(context, layout, { x, y, xTicks: ticks(x, 8), yTicks: [] }, THEME);
      let free = 0;
      for (const call of calls.filter(({ name }) => name === "fillText")) {
        const [text, at] = call.arguments as [string, number];
        expect(at).toBeGreaterThanOrEqual(free);
        free = at + text.length * LETTER_PIXELS;
        expect(free).toBeLessThanOrEqual(width);
      }
    }
  });
});
