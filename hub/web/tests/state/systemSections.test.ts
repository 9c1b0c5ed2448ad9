/** Node metrics in sections. */
import { expect, test } from "vitest";

import type { BucketSeries } from "../../src/engine/frames.js";
import { deviceSlots, hasEnded, systemSections } from "../../src/state/systemSections.js";

const series = (label: string, values: number[], lastX = 0) =>
  ({
    host: "n1", label, length: values.length, width: 1,
    min: values, max: values, lastX: values.map((_, at) => lastX + at),
  }) as unknown as BucketSeries;

test("metrics go to their section, the known ones first, and constant ones aside", () => {
  const metrics = new Map([
    ["cgroup/memory_used_bytes", [series("", [1, 2])]],
    ["cpu/utilization_ratio", [series("", [0.1, 0.2])]],
    ["disk/read_bytes_per_second", [series("sda", [1, 2])]],
    ["gpu/fan_ratio", [series("gpu0", [0.1, 0.2])]],
    ["gpu/memory_total_bytes", [series("gpu0", [80, 80])]],
    ["gpu/power_watts", [series("gpu0", [5, 5])]],
    ["gpu/utilization_ratio", [series("gpu0", [1, 2])]],
    ["load/1m", [series("", [1, 2])]],
    ["process/threads", [series("rank 0", [3, 4])]],
  ]);
  expect(systemSections(metrics)).toEqual([
    { title: "GPUs", metrics: ["gpu/utilization_ratio", "gpu/power_watts", "gpu/fan_ratio"], constant: ["gpu/memory_total_bytes"] },
    { title: "Processes of this run", metrics: ["process/threads"], constant: [] },
    { title: "Limits of the job (cgroup)", metrics: ["cgroup/memory_used_bytes"], constant: [] },
    { title: "Node", metrics: ["cpu/utilization_ratio", "load/1m"], constant: [] },
    { title: "Disks", metrics: ["disk/read_bytes_per_second"], constant: [] },
  ]);
});

test("a metric is constant where each of its devices is, at any value", () => {
  const metrics = new Map([["gpu/power_limit_watts", [series("gpu0", [700, 700]), series("gpu1", [300, 300])]]]);
  expect(systemSections(metrics)[0]?.constant).toEqual(["gpu/power_limit_watts"]);
});

test("a device without a value for a minute, while others have one, has ended", () => {
  const gone = series("gpu3", [1, 1], 10e6);
  expect(hasEnded(gone, 30e6)).toBe(false);
  expect(hasEnded(gone, 90e6)).toBe(true);
});

test("a device has one colour in all panels, counted as numbers", () => {
  const slots = deviceSlots([[series("gpu10", [1]), series("gpu2", [1])], [series("gpu2", [2])]]);
  expect([...slots.keys()]).toEqual(['["n1","gpu2"]', '["n1","gpu10"]']);
});
