import { describe, expect, it } from "vitest";

import { drawnSize, namesOf, paint, shareText } from "../../src/pages/media/masks.js";
import { classColor } from "../../src/state/palette.js";

function grey(...ids: number[]): Uint8ClampedArray {
  return new Uint8ClampedArray(ids.flatMap((id) => [id, id, id, 255]));
}

function colorAt(pixels: Uint8ClampedArray, at: number): string {
  const hex = [...pixels.slice(4 * at, 4 * at + 3)].map((part) => part.toString(16).padStart(2, "0"));
  return `#${hex.join("")}`;
}

describe("a mask", () => {
  it("has the colours of its classes, and their shares of the picture", () => {
    const pixels = grey(1, 7, 7, 7);
    expect(paint(pixels, new Map([["7", "road"]]))).toEqual([
      { id: 7, label: "road", share: 0.75 },
      { id: 1, label: "class 1", share: 0.25 },
    ]);
    expect([0, 1, 3].map((at) => colorAt(pixels, at))).toEqual([classColor(1), classColor(7), classColor(7)].map((each) => each.toLowerCase()));
    expect([3, 7, 11, 15].map((at) => pixels[at])).toEqual([255, 255, 255, 255]);
  });

  it.each([[undefined, 0], ["background", 0], ["BG", 0], ["cat", 255]])("with the class 0 called %s has the alpha %i there", (name, alpha) => {
    const pixels = grey(0, 1);
    const classes = paint(pixels, new Map(name === undefined ? [] : [["0", name]]));
    expect(pixels[3]).toBe(alpha);
    expect(classes.map(({ id }) => id)).toEqual(alpha === 0 ? [1] : [0, 1]);
  });

  it("has names of its own before those of the image", () => {
    const about = { classes: [{ id: 1, name: "cat" }, { id: 2, name: "dog" }] };
    expect([...namesOf({ labels: { "2": "wolf" } }, about)]).toEqual([["1", "cat"], ["2", "wolf"]]);
  });

  it("is drawn smaller where it is large", () => {
    expect(drawnSize(8000, 4000, 4096)).toEqual([4096, 2048]);
    expect(drawnSize(20, 10, 512)).toEqual([20, 10]);
    expect(drawnSize(100_000, 1, 512)).toEqual([512, 1]);
  });
});

it("shares are percent of the picture", () => {
  expect([0.125, 0.0001, 1, 0].map(shareText)).toEqual(["12.5 %", "< 0.1 %", "100.0 %", "0.0 %"]);
});
