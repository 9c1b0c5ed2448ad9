/** What the hub, the daemon and the store say about themselves. */
import { getStatus } from "../../api/hub.js";
import { formatBytes, formatCount, formatValue } from "../../parts/format.js";
import { Failure } from "../../parts/Notice.js";
import { PageHeader } from "../../parts/PageHeader.js";
import { useResource } from "../../state/resource.js";

export function Status() {
  const status = useResource("status", (signal) => getStatus({ signal }));
  const { data, error } = status;
  return (
    <main>
      <PageHeader crumbs={[{ label: "Status" }]} />
      {error.value && <Failure what="The status could not be read" error={error.value} onRetry={() => status.load()} />}
      {data.value && (
        <>
          <h2>Hub</h2>
          <dl class="facts">
            {Object.entries(data.value.hub).map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{formatValue(value)}</dd>
              </div>
            ))}
          </dl>
          <h2>Store</h2>
          <table class="rows">
            <thead>
              <tr>
                <th scope="col">Table</th>
                <th scope="col" class="number">Rows</th>
                <th scope="col" class="number">Size</th>
              </tr>
            </thead>
            <tbody>
              {data.value.store.tables.map(({ table, rows, bytes }) => (
                <tr key={table}>
                  <th scope="row">{table}</th>
                  <td class="number">{formatCount(rows)}</td>
                  <td class="number">{formatBytes(bytes)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </>
      )}
    </main>
  );
}
