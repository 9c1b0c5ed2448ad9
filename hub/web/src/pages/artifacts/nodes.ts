/** The text of a node of a lineage, and where its link goes. Pure. */
import type { LineageNode } from "../../api/artifacts.js";
import { pathOf } from "../../state/routes.js";

/** The page of a node: a version's lineage, a run's artifacts. A deleted run has none. */
export function nodeHref({ kind, project, name, is_deleted }: LineageNode): string | undefined {
  if (kind === "run") return is_deleted ? undefined : pathOf({ page: "run", project, runId: name, tab: "artifacts" });
  const colon = name.lastIndexOf(":");
  return pathOf({ page: "version", project, name: name.slice(0, colon), version: name.slice(colon + 1), tab: "lineage" });
}

/** "run, finished", "dataset, deleted": what a node is. */
export function nodeFacts({ kind, type, state, is_deleted }: LineageNode): string {
  const what = kind === "run" ? "run" : type;
  if (is_deleted) return `${what}, deleted`;
  return state === "" ? what : `${what}, ${state}`;
}

/** The name, with the project where it is another one than that of the page. */
export function nodeTitle({ project, title }: LineageNode, here: string): string {
  return project === here ? title : `${project}/${title}`;
}
