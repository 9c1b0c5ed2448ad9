/** The list of runs, page by page. */
import { expect, test } from "vitest";

import { ApiError } from "../../src/api/errors.js";
import type { RunOverview, RunsPage, RunsQuery } from "../../src/api/types.js";
import { makeRunsList } from "../../src/state/runsList.js";

const VIEW = { filter: "", sort: ["-started"], columns: [], archived: false };
const run = (at: number) => ({ run_id: `r${at}`, name: `run ${at}` }) as RunOverview;

/** A hub with `count` runs that notes what it was asked. */
function hub(count: number) {
  const asked: RunsQuery[] = [];
  const runs = Array.from({ length: count }, (_, at) => run(at));
  const ask = async (_project: string, query: RunsQuery): Promise<RunsPage> => {
    asked.push(query);
    if (query.filter === "(") throw new ApiError(400, "filter_invalid", "no", { field: "filter", position: 0 });
    const from = Number(query.cursor ?? 0);
    const page = runs.slice(from, from + query.limit);
    const end = from + page.length;
    return { runs: page, next_cursor: end < runs.length ? String(end) : null, total: runs.length };
  };
  return { ask, asked, runs };
}

const settled = (list: ReturnType<typeof makeRunsList>) =>
  new Promise<void>((done) => {
    const stop = list.isLoading.subscribe((isLoading) => {
      if (!isLoading) queueMicrotask(() => (stop(), done()));
    });
  });

test("rows that got points are read again with the columns, in their order", async () => {
  const { ask, asked, runs } = hub(3);
  const list = makeRunsList("p", ask);
  list.show({ ...VIEW, columns: ["summary.loss"] });
  await settled(list);
  runs.splice(0, 3, { ...run(1), name: "fresh" });
  await list.reread(new Set(["r1", "elsewhere"]));
  expect(asked.at(-1)).toMatchObject({ filter: 'id:"r1"', columns: ["summary.loss"], limit: 1 });
  expect(list.rows.value.map(({ name }) => name)).toEqual(["run 0", "fresh", "run 2"]);
});

test("the first page comes first, the rest when it is needed", async () => {
  const { ask, asked } = hub(2000);
  const list = makeRunsList("p", ask);
  list.show(VIEW);
  await settled(list);
  expect([list.rows.value.length, list.total.value, asked.length]).toEqual([100, 2000, 1]);
  list.need(90);
  list.need(1100);
  await settled(list);
  expect([list.rows.value.length, asked.length]).toEqual([1100, 2]);
  expect(list.rows.value.map((row) => row.run_id)).toEqual(Array.from({ length: 1100 }, (_, at) => `r${at}`));
});

test("a page never has more values than the hub gives", async () => {
  const { ask, asked } = hub(3000);
  const list = makeRunsList("p", ask);
  list.show({ ...VIEW, columns: Array.from({ length: 400 }, (_, at) => `config.${at}`) });
  await list.needAll();
  expect(list.rows.value).toHaveLength(3000);
  expect(asked.map(({ limit }) => limit)).toEqual([100, 1250, 1250, 1250]);
});

test("a refresh reads as far as was needed and takes changes over", async () => {
  const { ask, runs } = hub(700);
  const list = makeRunsList("p", ask);
  list.show(VIEW);
  await settled(list);
  list.need(650);
  await settled(list);
  runs.unshift(run(-1));
  list.refresh();
  await settled(list);
  expect(list.rows.value[0]?.run_id).toBe("r-1");
  expect([list.rows.value.length, list.total.value]).toEqual([650, 701]);
});

test("a run that moved to a later page is listed once", async () => {
  const { ask, runs } = hub(300);
  const list = makeRunsList("p", ask);
  list.show(VIEW);
  await settled(list);
  runs.unshift(run(-1));
  list.need(300);
  await settled(list);
  const ids = list.rows.value.map((row) => row.run_id);
  expect(new Set(ids).size).toBe(ids.length);
});

test("a wrong filter keeps the rows and says where it is wrong", async () => {
  const { ask } = hub(3);
  const list = makeRunsList("p", ask);
  list.show(VIEW);
  await settled(list);
  list.show({ ...VIEW, filter: "(" });
  await settled(list);
  expect(list.filterError.value?.details.position).toBe(0);
  expect(list.rows.value).toHaveLength(3);
  list.show(VIEW);
  await settled(list);
  expect(list.filterError.value).toBeNull();
});

test("a second view ends the request of the first", async () => {
  const { ask } = hub(5);
  const list = makeRunsList("p", ask);
  list.show({ ...VIEW, filter: "(" });
  list.show(VIEW);
  await settled(list);
  expect(list.filterError.value).toBeNull();
  expect(list.rows.value).toHaveLength(5);
});

test("points that come keep a running run from looking silent", async () => {
  const { ask, runs } = hub(3);
  runs.forEach((each, at) => Object.assign(each, { state: at === 2 ? "finished" : "running", last_seen: 100 }));
  const list = makeRunsList("p", ask);
  list.show(VIEW);
  await settled(list);
  list.seen(new Set(["r0", "r2"]), 105);
  expect(list.rows.value.map((row) => row.last_seen)).toEqual([100, 100, 100]);
  list.seen(new Set(["r0", "r2"]), 160);
  expect(list.rows.value.map((row) => row.last_seen)).toEqual([160, 100, 100]);
});
