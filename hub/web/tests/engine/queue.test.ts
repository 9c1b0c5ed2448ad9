/** The queue of frames: overlays at once, charts within a frame's time, each once. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { requestDraw, withdrawDraw } from "../../src/engine/queue.js";

let frames: (() => void)[] = [];
let now = 0;
const nextFrame = () => {
  for (const frame of frames.splice(0)) frame();
};

beforeEach(() => {
  frames = [];
  now = 0;
  vi.stubGlobal("requestAnimationFrame", (call: () => void) => frames.push(call));
  vi.stubGlobal("performance", { now: () => now });
});
afterEach(() => {
  // The queue is one for the page: what a test leaves in it would be the next one's.
  while (frames.length > 0) nextFrame();
  vi.unstubAllGlobals();
});

function drawables(count: number, milliseconds: number) {
  const drawn: number[] = [];
  const all = Array.from({ length: count }, (_, i) => ({
    draw: () => {
      now += milliseconds;
      drawn.push(i);
    },
  }));
  return { all, drawn };
}

describe("the queue", () => {
  it("spreads slow charts over frames, in order, each once", () => {
    const { all, drawn } = drawables(5, 6);
    for (const one of [...all, ...all]) requestDraw(one, true);
    nextFrame();
    expect(drawn).toEqual([0, 1]);
    nextFrame();
    nextFrame();
    nextFrame();
    expect(drawn).toEqual([0, 1, 2, 3, 4]);
    expect(frames).toEqual([]);
  });

  it("draws every overlay in the next frame, before the charts", () => {
    const { all, drawn } = drawables(4, 20);
    requestDraw(all[0]!, true);
    requestDraw(all[1]!, true);
    requestDraw(all[2]!, false);
    requestDraw(all[3]!, false);
    nextFrame();
    expect(drawn).toEqual([2, 3, 0]);
  });

  it("leaves out what was withdrawn", () => {
    const { all, drawn } = drawables(2, 1);
    requestDraw(all[0]!, true);
    requestDraw(all[1]!, false);
    withdrawDraw(all[0]!);
    withdrawDraw(all[1]!);
    nextFrame();
    expect(drawn).toEqual([]);
  });
});
