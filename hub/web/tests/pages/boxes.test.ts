import { describe, expect, it } from "vitest";

import type { ValueMap } from "../../src/api/values.js";
import { boxGroups, firstBoxes, groupCounts, hasBoxes } from "../../src/pages/media/boxes.js";
import { classColor, inkOn, SLOT_COUNT } from "../../src/state/palette.js";
import cases from "./boxes.json";

const SIZE = { width: 200, height: 100 };
const PLACE = { minX: 0.1, maxX: 0.5, minY: 0.2, maxY: 0.6 };

function only(box: ValueMap, more: ValueMap = {}, about: ValueMap = {}) {
  const groups = boxGroups({ boxes: { predictions: { box_data: [box], ...more } }, ...about }, SIZE);
  return groups[0]?.boxes[0];
}

describe("boxes", () => {
  it.each(cases)("are read as in an exported report: $name", ({ about, size, groups }) => {
    const rounded = (part: number) => Math.round(part * 1e6) / 1e6;
    const found = boxGroups(about as unknown as ValueMap, size).map(({ name, boxes }) => ({
      name,
      boxes: boxes.map(({ left, top, width, height, ...others }) => ({
        place: [left, top, width, height].map(rounded),
        ...others,
      })),
    }));
    expect(found).toEqual(groups);
  });

  it("are at fractions of the picture, or at its pixels", () => {
    const near = (box: ReturnType<typeof only>) =>
      [box?.left, box?.top, box?.width, box?.height].map((each) => Math.round(each! * 1000) / 1000);
    const expected = [0.1, 0.2, 0.4, 0.4];
    expect(near(only({ position: PLACE }))).toEqual(expected);
    expect(near(only({ position: { middle: [0.3, 0.4], width: 0.4, height: 0.4 } }))).toEqual(expected);
    const pixels = { minX: 20, maxX: 100, minY: 20, maxY: 60 };
    expect(near(only({ position: pixels, domain: "pixel" }))).toEqual(expected);
    expect(near(only({ position: { middle: [60, 40], width: 80, height: 40 }, domain: "pixel" }))).toEqual(expected);
    expect(near(only({ position: { minX: -1, maxX: 0.5, minY: 0.5, maxY: 9 } }))).toEqual([0, 0.5, 0.5, 0.5]);
    expect(near(only({ position: { minX: 0.5, maxX: 0.1, minY: 0.6, maxY: 0.2 } }))).toEqual(expected);
  });

  it("that are none are left out", () => {
    const places = [
      null, 3, {}, { minX: 0.1 }, { ...PLACE, maxX: NaN }, { ...PLACE, maxX: "0.5" }, { ...PLACE, maxX: Infinity },
      { ...PLACE, maxX: 0.1 }, { minX: 2, maxX: 3, minY: 0, maxY: 1 }, { middle: [0.5], width: 1, height: 1 },
    ];
    for (const position of places) expect(only({ position })).toBeUndefined();
    for (const boxes of [null, "<b>", [1], { a: 1 }, { a: { box_data: "x" } }, { a: { box_data: [1, null, "… (9 items)"] } }])
      expect(boxGroups({ boxes } as ValueMap, SIZE)).toEqual([]);
    expect(boxGroups({ boxes: { a: { box_data: [{ position: PLACE }] } } }, { width: 0, height: 0 })).toEqual([]);
    expect([hasBoxes({}), hasBoxes({ boxes: {} }), hasBoxes({ boxes: { a: 1 } })]).toEqual([false, false, true]);
  });

  it("have a caption, else the name of their class", () => {
    const box = { position: PLACE, class_id: 1 };
    const labels = { class_labels: { 1: "cat" } };
    expect(only({ ...box, box_caption: "a cat" }, labels)?.label).toBe("a cat");
    expect(only(box, labels)?.label).toBe("cat");
    expect(only(box, {}, { classes: [{ id: 1, name: "dog" }] })?.label).toBe("dog");
    expect(only(box, labels, { classes: [{ id: 1, name: "dog" }] })?.label).toBe("cat");
    expect(only(box)?.label).toBe("class 1");
    expect(only({ position: PLACE })?.label).toBe("");
    expect(only({ ...box, box_caption: { a: 1 }, scores: { acc: 0.91234567, iou: 1, bad: "x", none: NaN } })?.scores)
      .toBe("acc 0.91235, iou 1");
  });

  it("of one class have one colour", () => {
    const box_data = [2, 0, 2, "cat", "dog", "cat"].map((class_id) => ({ position: PLACE, class_id }));
    const [group] = boxGroups({ boxes: { a: { box_data } } }, SIZE);
    expect(group?.boxes.map(({ slot }) => slot)).toEqual([2, 0, 2, 0, 1, 0]);
    expect(classColor(SLOT_COUNT + 3)).toBe(classColor(3));
    expect([inkOn("#fadbc0"), inkOn("#551111")]).toEqual(["#000000", "#ffffff"]);
  });

  it("beyond the limit are not drawn", () => {
    const box_data = Array.from({ length: 4 }, () => ({ position: PLACE }));
    const groups = boxGroups({ boxes: { a: { box_data }, b: { box_data } } }, SIZE);
    expect(firstBoxes(groups, 5).map(({ boxes }) => boxes.length)).toEqual([4, 1]);
    expect(groups.map(({ name }) => name)).toEqual(["a", "b"]);
  });

  it("of two compared pictures are counted by group", () => {
    const box_data = Array.from({ length: 4 }, () => ({ position: PLACE }));
    const one = boxGroups({ boxes: { a: { box_data }, b: { box_data } } }, SIZE);
    const other = boxGroups({ boxes: { c: { box_data }, a: { box_data } } }, SIZE);
    expect([...groupCounts([...one, ...other])]).toEqual([["a", 8], ["b", 4], ["c", 4]]);
  });
});
