"""Colours of runs while the catalog is away, and slots of runs that are gone."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stepwell_hub.catalog.catalog import Catalog
from stepwell_hub.catalog.door import CatalogDoor, Found
from stepwell_hub.config import HubConfig
from stepwell_hub.errors import CatalogUnavailableError
from stepwell_hub.run_colors import AWAY_SECONDS, SWEEP_SECONDS, RunColors
from stepwell_store import EmbeddedStore, queries
from tests.hub.conftest import Hub
from tests.hub.made import make_run
from tests.store.made import fresh_project


@pytest.fixture
def lonely(tmp_path: Path, store: EmbeddedStore) -> Iterator[Hub]:
    """A hub whose catalog is away."""
    away = HubConfig(data=tmp_path, catalog="postgresql://nobody@127.0.0.1:1/none")
    made = Hub(away, store, tmp_path / "static")
    with made.program:
        yield made


def test_runs_are_listed_without_the_catalog_and_it_is_said(lonely: Hub) -> None:
    project = fresh_project()
    for run_id in ("a", "b", "c"):
        make_run(lonely.context.store, project, run_id)
    answers = [
        lonely.program.post(f"/api/v1/projects/{project}/runs/query", json={}) for _ in range(2)
    ]
    for answer in answers:
        assert answer.status_code == 200
        assert "catalog does not answer" in answer.json()["color_problem"]
    first, second = ({r["run_id"]: r["slot"] for r in each.json()["runs"]} for each in answers)
    assert first == second
    assert all(0 <= slot < 20 for slot in first.values())
    detail = lonely.program.get(f"/api/v1/projects/{project}/runs/a")
    assert (detail.status_code, detail.json()["slot"]) == (200, first["a"])


def test_a_run_is_deleted_without_the_catalog(lonely: Hub) -> None:
    project = fresh_project()
    make_run(lonely.context.store, project, "a")
    assert lonely.program.delete(f"/api/v1/projects/{project}/runs/a").status_code == 204
    assert lonely.program.get(f"/api/v1/projects/{project}/runs/a").status_code == 404


def test_views_need_the_catalog(lonely: Hub) -> None:
    answer = lonely.program.get("/api/v1/views", params={"project": "p"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "catalog_unavailable")


class Door(CatalogDoor):
    """The way to another door's catalog, which can be away."""

    def __init__(self, other: CatalogDoor) -> None:
        self.other, self.is_away = other, False

    async def do(self, work: Callable[[Catalog], Found]) -> Found:
        if self.is_away:
            raise CatalogUnavailableError("away")
        return await self.other.do(work)


def test_a_catalog_that_is_away_is_asked_again_after_a_while(hub: Hub, tmp_path: Path) -> None:
    project, now = fresh_project(), [0.0]
    make_run(hub.context.store, project, "a")
    context = hub.context
    door = Door(context.catalog)
    colors = RunColors(door, context.asker, clock=lambda: now[0])

    async def test() -> None:
        (run,) = queries.list_runs(context.store, project).items
        door.is_away = True
        assert (await colors.slots(project, [run])).problem == "away"
        door.is_away = False
        assert (await colors.slots(project, [run])).problem == "away"
        now[0] += AWAY_SECONDS
        assert (await colors.slots(project, [run])).problem == ""

    hub.program.portal.call(test)  # type: ignore[union-attr]


def sweeping() -> list[asyncio.Task[Any]]:
    return [task for task in asyncio.all_tasks() if task.get_name() == "sweep-slots"]


def test_slots_of_runs_that_were_deleted_elsewhere_are_taken_back(hub: Hub) -> None:
    project, now = fresh_project(), [0.0]
    context = hub.context
    for run_id in ("a", "b", "c"):
        make_run(context.store, project, run_id)
    colors = RunColors(context.catalog, context.asker, clock=lambda: now[0])

    async def held() -> list[str]:
        return await context.catalog.do(lambda catalog: catalog.runs_with_slots(project))

    async def test() -> None:
        runs = queries.list_runs(context.store, project).items
        await colors.slots(project, runs)
        queries.delete_run(context.store, project, "b")
        await colors.slots(project, runs[:1])
        assert sweeping() == []  # Not yet due.
        now[0] += SWEEP_SECONDS
        await colors.slots(project, runs[:1])
        (sweep,) = sweeping()
        await asyncio.wait_for(sweep, 60)
        assert sorted(await held()) == ["a", "c"]

    hub.program.portal.call(test)  # type: ignore[union-attr]


@pytest.mark.parametrize("field", ["project", "name", "query"])
def test_a_view_with_a_nul_is_refused_by_its_field(hub: Hub, field: str) -> None:
    body = {"project": "p", "name": "n", "query": "q"} | {field: "a\0b"}
    answer = hub.program.post("/api/v1/views", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["field"] == field
    assert hub.program.get("/api/v1/views/a%00b").status_code == 404
