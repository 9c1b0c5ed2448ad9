import { describe, expect, it } from "vitest";

import { drawnSize, legendOf, namesOf, paint, shareText } from "../../src/pages/media/masks.js";
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
      { id: 7, name: "road", share: 0.75 },
      { id: 1, name: "", share: 0.25 },
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
    const wolf = { labels: { "2": "wolf" } };
    expect([...namesOf(wolf, [wolf, { labels: { "1": "bear" } }], about)]).toEqual([["1", "cat"], ["2", "wolf"]]);
  });

  it("without names has those of the other masks, of which the first counts", () => {
    const masks = [{ labels: {} }, { labels: { "0": "sky", "1": "road" } }, { labels: { "1": "street", "2": "car" } }];
    expect(Object.fromEntries(namesOf(masks[0]!, masks, {}))).toEqual({ "0": "sky", "1": "road", "2": "car" });
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

describe("the legend of masks", () => {
  const drawn = (...masks: [string, string][]) => new Map(masks.map(([mask, name]) => [mask, [{ id: 1, name, share: 0.5 }]]));

  it.each([
    ["has a name that any mask gives", drawn(["prediction", ""], ["truth", "road"]), "road"],
    ["has no name where no mask has one", drawn(["prediction", ""]), "class 1"],
    ["says which mask gives which name", drawn(["prediction", "street"], ["truth", "road"]), "road (truth), street (prediction)"],
    ["has the name of both masks once", drawn(["prediction", "road"], ["truth", "road"]), "road"],
  ])("%s", (_, picture, label) => {
    expect(legendOf([picture], ["truth", "prediction"]).map((line) => line.label)).toEqual([label]);
  });

  it("has the classes of both pictures by their number, without masks that are hidden", () => {
    const other = new Map([["truth", [{ id: 0, name: "sky", share: 1 }]], ["lost", null]]);
    expect(legendOf([drawn(["truth", "road"], ["hidden", "x"]), other], ["lost", "truth"])).toEqual([
      { id: 0, label: "sky", shares: ["truth: 100.0 %"] },
      { id: 1, label: "road", shares: ["truth: 50.0 %"] },
    ]);
  });
});
