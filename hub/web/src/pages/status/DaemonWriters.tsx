/** The processes that log through the daemon, or did since it started. */
import { formatCount, formatNumber } from "../../parts/format.js";
import { isValueMap, type Value, type ValueMap } from "../../api/values.js";
import { pathOf } from "../../state/routes.js";
import { lastFrameText } from "./daemonText.js";

export function DaemonWriters({ writers }: { writers: Value | undefined }) {
  const all = Array.isArray(writers) ? writers.filter((each: Value) => isValueMap(each)) : [];
  if (all.length === 0) return null;
  const connected = all.filter((each) => each["connected"] !== false || each["relayed"] === true).length;
  return (
    <section class="card" aria-label="Writers of the daemon">
      <header class="card-head">
        <h2>Writers</h2>
        <span class="fact">{`${formatCount(connected)} of ${formatCount(all.length)} connected`}</span>
      </header>
      <div class="scroll-x" tabIndex={0} role="group" aria-label="Table of processes">
        <table class="rows dense">
          <thead>
            <tr>
              <th scope="col">Run</th>
              <th scope="col">Label</th>
              <th scope="col">Host</th>
              <th scope="col" class="number">Pid</th>
              <th scope="col" class="number">Points/s</th>
              <th scope="col" class="number">Last frame</th>
            </tr>
          </thead>
          <tbody>
            {all.map((writer) => (
              <WriterRow key={text(writer, "writer_id")} writer={writer} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function WriterRow({ writer }: { writer: ValueMap }) {
  const [project, runId] = [text(writer, "project"), text(writer, "run_id")];
  const rate = writer["points_per_second"];
  return (
    <tr title={`writer ${text(writer, "writer_id")}`}>
      <th scope="row">
        {runId === "" ? "node" : <a href={pathOf({ page: "run", project, runId, tab: "charts" })}>{`${project}/${runId}`}</a>}
      </th>
      <td>{text(writer, "label")}</td>
      <td>{text(writer, "host")}</td>
      <td class="number">{text(writer, "pid")}</td>
      <td class="number">{typeof rate === "number" ? formatNumber(rate) : ""}</td>
      <td class="number">{lastFrameText(writer)}</td>
    </tr>
  );
}

function text(writer: ValueMap, key: string): string {
  const value = writer[key];
  return value === null || value === undefined ? "" : String(value);
}
