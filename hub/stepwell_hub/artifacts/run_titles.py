"""Names and states of the runs in a lineage graph, from the store: the catalog has only ids."""

from dataclasses import replace

from stepwell_hub.artifacts.answers import Lineage, Node
from stepwell_hub.asking import Asker
from stepwell_store import queries


async def with_run_titles(asker: Asker, lineage: Lineage) -> Lineage:
    """Return ``lineage`` with names and states of its runs; a run missing in the store was deleted.

    Raises:
        StoreError, ApiError: The store does not answer, or is busy.
    """
    by_project: dict[str, list[str]] = {}
    for node in lineage.nodes:
        if node.kind == "run":
            by_project.setdefault(node.project, []).append(node.name)
    known: dict[tuple[str, str], queries.RunOverview] = {}
    for project, run_ids in by_project.items():
        found = await asker.ask(queries.runs_by_id, project, run_ids)
        known |= {(project, run_id): run for run_id, run in found.items()}
    return replace(lineage, nodes=tuple(_titled(node, known) for node in lineage.nodes))


def _titled(node: Node, known: dict[tuple[str, str], queries.RunOverview]) -> Node:
    if node.kind != "run" or node.is_deleted:
        return node
    run = known.get((node.project, node.name))
    if run is None:
        return replace(node, is_deleted=True)
    return replace(node, title=run.name, state=run.state, last_seen=run.last_seen)
