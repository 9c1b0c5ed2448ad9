/** The pointer on a chart: reading, dragging a zoom, the wheel, fingers. */
import { signal } from "@preact/signals";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { Chart as Engine } from "../../src/engine/chart.js";
import type { ChartProps } from "../../src/parts/chartProps.js";
import { makePointer } from "../../src/parts/chartPointer.js";
import type { Readout } from "../../src/parts/ChartReadout.js";

let frames: (() => void)[] = [];
const nextFrame = () => {
  for (const frame of frames.splice(0)) frame();
};

beforeEach(() => {
  frames = [];
  vi.stubGlobal("requestAnimationFrame", (call: () => void) => frames.push(call));
  vi.stubGlobal("cancelAnimationFrame", () => (frames = []));
});
afterEach(() => vi.unstubAllGlobals());

/** A plot of 100 pixels for x from 0 to 1000, with one line at y 50. */
function chart(more: Partial<ChartProps> = {}) {
  const selections: unknown[] = [];
  const engine = {
    valueAt: (x: number) => Math.min(1000, Math.max(0, x * 10)),
    isInPlot: (x: number, y: number) => x >= 0 && x <= 100 && y >= 0 && y <= 100,
    setCursor: vi.fn(),
    setSelection: (range: unknown) => selections.push(range),
    hits: () => [{ line: { series: { runId: "r1" } }, index: 0, x: 0, value: 1, distance: 5 }],
    xRange: () => [0, 1000],
  };
  const props = {
    label: "loss",
    series: [],
    link: { cursor: signal(null), highlighted: signal<string | null>(null) },
    onZoom: vi.fn(),
    ...more,
  } satisfies ChartProps;
  const readout = signal<Readout | null>(null);
  const source = {};
  const pointer = makePointer(
    () => engine as unknown as Engine,
    { current: props },
    source,
    readout,
  );
  return { pointer, props, readout, selections, source };
}

function at(x: number, y: number, more: Record<string, unknown> = {}) {
  const target = {
    getBoundingClientRect: () => ({ left: 0, top: 0, width: 100 }),
    setPointerCapture: () => undefined,
  };
  const event = {
    clientX: x,
    clientY: y,
    pointerType: "mouse",
    button: 0,
    currentTarget: target,
    ...more,
  };
  return event as unknown as PointerEvent & WheelEvent;
}

describe("the pointer", () => {
  it("is read once a frame, shared, and highlights the run that it is near", () => {
    const { pointer, props, readout, source } = chart();
    pointer.move(at(10, 40));
    pointer.move(at(20, 45));
    expect(frames).toHaveLength(1);
    nextFrame();
    expect(props.link.cursor.value).toEqual({ x: 200, source });
    expect(props.link.highlighted.value).toBe("r1");
    expect(readout.value).toMatchObject({ x: 200, left: 20, isKeyboard: false });
  });

  it("that leaves takes its read-out along, a finger does not", () => {
    const { pointer, props, readout } = chart();
    pointer.down(at(10, 40, { pointerType: "touch" }));
    nextFrame();
    pointer.leave(at(10, 40, { pointerType: "touch" }));
    expect(readout.value).not.toBeNull();
    pointer.leave(at(10, 40));
    expect(readout.value).toBeNull();
    expect(props.link.cursor.value).toBeNull();
    expect(props.link.highlighted.value).toBeNull();
  });

  it("outside the plot reads nothing", () => {
    const { pointer, readout } = chart();
    pointer.move(at(10, 40));
    nextFrame();
    pointer.move(at(10, 400));
    nextFrame();
    expect(readout.value).toBeNull();
  });
});

describe("a drag", () => {
  it("zooms to the range, whichever way it went", () => {
    const { pointer, props, selections } = chart();
    pointer.down(at(60, 50));
    pointer.move(at(20, 50));
    pointer.up();
    expect(selections).toEqual([[200, 600], null]);
    expect(props.onZoom).toHaveBeenCalledExactlyOnceWith([200, 600], "drag");
  });

  it.each([
    ["of a few pixels", 52, {}],
    ["of another button", 90, { button: 2 }],
    ["of a finger", 90, { pointerType: "touch" }],
  ])("%s does not zoom", (_, to, more) => {
    const { pointer, props } = chart();
    pointer.down(at(50, 50, more));
    pointer.move(at(to, 50, more));
    pointer.up();
    expect(props.onZoom).not.toHaveBeenCalled();
  });

  it("that is cancelled does not zoom", () => {
    const { pointer, props } = chart();
    pointer.down(at(20, 50));
    pointer.move(at(60, 50));
    pointer.cancel();
    pointer.up();
    expect(props.onZoom).not.toHaveBeenCalled();
  });
});

describe("the wheel", () => {
  const wheel = (x: number, deltaY: number, ctrlKey: boolean) =>
    at(x, 50, { deltaY, ctrlKey, preventDefault: vi.fn() });

  it("with Ctrl zooms around the pointer and leaves the page alone", () => {
    const { pointer, props } = chart();
    const event = wheel(25, -200, true);
    pointer.wheel(event);
    expect(event.preventDefault).toHaveBeenCalled();
    const [[first, last], how] = vi.mocked(props.onZoom).mock.calls[0] as [[number, number], string];
    expect(how).toBe("wheel");
    expect(last - first).toBeLessThan(1000);
    expect((250 - first) / (last - first)).toBeCloseTo(0.25, 9);
  });

  it("alone scrolls the page", () => {
    const { pointer, props } = chart();
    const event = wheel(25, -200, false);
    pointer.wheel(event);
    expect(event.preventDefault).not.toHaveBeenCalled();
    expect(props.onZoom).not.toHaveBeenCalled();
  });
});

it("a double click goes one zoom back, or shows all without remembered zooms", () => {
  const onZoomBack = vi.fn();
  const remembered = chart({ onZoomBack });
  remembered.pointer.back();
  expect(onZoomBack).toHaveBeenCalledOnce();
  const plain = chart();
  plain.pointer.back();
  expect(plain.props.onZoom).toHaveBeenCalledExactlyOnceWith(null, "back");
});
