/** The versions of a report that are kept, each a link to it. */
import { listReportVersions, type Report } from "../../api/reports.js";
import { Dialog } from "../../parts/Dialog.js";
import { formatBytes, formatCount, formatMoment } from "../../parts/format.js";
import { Failure } from "../../parts/Notice.js";
import { Skeleton } from "../../parts/Skeleton.js";
import { useResource } from "../../state/resource.js";
import { pathOf } from "../../state/routes.js";

export function Versions({ report, onClose }: { report: Pick<Report, "id" | "project">; onClose(): void }) {
  const found = useResource(`versions ${report.id}`, (signal) => listReportVersions(report.id, { signal }));
  const versions = found.data.value?.versions;
  const path = pathOf({ page: "report", project: report.project, reportId: report.id, isEdited: false });
  return (
    <Dialog title="Versions of this report" onClose={onClose}>
      {found.error.value && (
        <Failure what="The versions could not be read" error={found.error.value} onRetry={() => void found.load()} />
      )}
      {!versions && !found.error.value && <Skeleton rows={3} />}
      {versions && (
        <div class="scroll-x report-versions" tabIndex={0} role="group" aria-label="Table of versions">
          <table class="rows">
            <thead>
              <tr>
                <th scope="col">Version</th>
                <th scope="col">Saved</th>
                <th scope="col">Title</th>
                <th scope="col" class="number">Size</th>
              </tr>
            </thead>
            <tbody>
              {versions.map(({ version, title, size, saved_at }, at) => (
                <tr key={version}>
                  <th scope="row">
                    <a href={at === 0 ? path : `${path}?v=${version}`} onClick={onClose}>
                      {at === 0 ? `${formatCount(version)}, the newest` : formatCount(version)}
                    </a>
                  </th>
                  <td>{formatMoment(saved_at)}</td>
                  <td>{title}</td>
                  <td class="number">{formatBytes(size)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Dialog>
  );
}
