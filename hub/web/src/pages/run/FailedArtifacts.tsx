/** Versions of artifacts that the run logged and that could not be made: the last one of each name. */
import { isValueMap, type ValueMap } from "../../api/values.js";
import { formatMoment } from "../../parts/format.js";

/** In the metadata, from the daemon. */
const PATH = "failed_artifacts";

export function hasFailedArtifacts(metadata: ValueMap): boolean {
  return isValueMap(metadata[PATH]);
}

/** The metadata without what `FailedArtifacts` shows. */
export function withoutFailedArtifacts(metadata: ValueMap): ValueMap {
  return Object.fromEntries(Object.entries(metadata).filter(([path]) => path !== PATH));
}

export function FailedArtifacts({ metadata }: { metadata: ValueMap }) {
  const failed = metadata[PATH];
  if (!isValueMap(failed)) return null;
  return (
    <section class="card warning" aria-label="Failed artifacts">
      <header class="card-head">
        <h2>Artifacts that were not made</h2>
      </header>
      <ul class="gaps">
        {Object.values(failed).filter(isValueMap).map(({ name, reason, at }) => (
          <li key={name}>
            <span><strong>{`${name}`}</strong>{`: ${reason}`}</span>
            {typeof at === "number" && <span class="fact">{formatMoment(at)}</span>}
          </li>
        ))}
      </ul>
    </section>
  );
}
