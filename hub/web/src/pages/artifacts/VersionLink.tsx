/** A link to a version: NAME:vN, with a mark if it was deleted. */
import type { Version } from "../../api/artifacts.js";
import { pathOf } from "../../state/routes.js";

type Named = Pick<Version, "project" | "name" | "version" | "state">;

/** `project`: of the page; another one is said. */
export function VersionLink({ version, project }: { version: Named; project: string }) {
  const { name, version: number, state } = version;
  const elsewhere = version.project === project ? "" : `${version.project}/`;
  return (
    <>
      <a href={pathOf({ page: "version", project: version.project, name, version: number, tab: "overview" })}>
        {`${elsewhere}${name}:${number}`}
      </a>
      {state === "deleted" && <> <span class="tag">deleted</span></>}
    </>
  );
}

export function Aliases({ aliases }: { aliases: readonly string[] }) {
  return <>{aliases.map((alias) => <span key={alias} class="tag">{alias}</span>)}</>;
}
