/** No page has this address. */
import { Notice } from "../parts/Notice.js";
import { PageHeader } from "../parts/PageHeader.js";

export function Missing() {
  return (
    <main>
      <PageHeader crumbs={[{ label: "Not found" }]} />
      <Notice title="No page has this address">
        <p>
          <a href="/">All projects</a>
        </p>
      </Notice>
    </main>
  );
}
