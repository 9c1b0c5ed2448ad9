"""/healthz and /readyz: free for everybody, and they say nothing but one line."""

import asyncio

import pytest

from stepwell_hub.config import HubConfig
from stepwell_hub.health import HEALTH, PATHS, READY, Health
from tests.hub.conftest import Hub


async def true() -> bool:
    return True


async def false() -> bool:
    return False


@pytest.mark.parametrize("path", PATHS)
def test_no_key_is_needed_and_any_name_will_do(hub: Hub, path: str) -> None:
    answer = hub.client("http://10.1.2.3:8470").get(path)
    assert answer.status_code == 200
    assert answer.text in ("alive\n", "ready\n")


@pytest.mark.parametrize("path", PATHS)
def test_a_kubelet_may_ask_a_hub_behind_a_proxy(
    hub: Hub, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stepwell_hub.app import create_app  # The same parts under other settings.
    from stepwell_hub.key_file import KeyFile

    settings = HubConfig(data=hub.config.data, host="0.0.0.0", proxy="10.9.9.9")
    monkeypatch.setattr(hub.context, "config", settings)
    hub.app = create_app(hub.context, KeyFile(hub.config.folder))
    asking = hub.client("http://node.example:8470")
    assert asking.get("/p/x").status_code == 400  # It knows neither the name nor the caller.
    assert asking.get(path).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_nothing_can_be_sent_there(hub: Hub, path: str) -> None:
    assert hub.browser.post(path).status_code == 405


def test_a_part_that_does_not_answer_is_named() -> None:
    health = Health({"store": true, "catalog": false})
    answer = asyncio.run(health.answer(READY, "GET"))
    assert (answer.status_code, answer.body) == (503, b"not ready: catalog does not answer\n")
    assert asyncio.run(health.answer(HEALTH, "GET")).status_code == 200


def test_a_part_that_is_dispensable_leaves_it_ready_and_is_named() -> None:
    health = Health({"store": true, "catalog": false}, dispensable={"catalog"})
    answer = asyncio.run(health.answer(READY, "GET"))
    assert (answer.status_code, answer.body) == (
        200,
        b"ready, degraded: catalog does not answer\n",
    )
    health = Health({"store": false, "catalog": false}, dispensable={"catalog"})
    assert asyncio.run(health.answer(READY, "GET")).status_code == 503


def test_a_check_that_hangs_is_given_up() -> None:
    async def hang() -> bool:
        await asyncio.Event().wait()
        return True

    health = Health({"store": hang}, check_seconds=0.01)
    answer = asyncio.run(health.answer(READY, "GET"))
    assert answer.status_code == 503


def test_however_often_it_is_asked_a_result_is_kept_for_five_seconds() -> None:
    now, looks = [100.0], []

    async def look() -> bool:
        looks.append(now[0])
        return len(looks) > 1

    async def ask() -> list[int]:
        health = Health({"store": look}, clock=lambda: now[0])
        both = await asyncio.gather(*(health.answer(READY, "GET") for _ in range(2)))
        now[0] += 4.5
        third = await health.answer(READY, "GET")
        now[0] += 0.5
        return [each.status_code for each in (*both, third, await health.answer(READY, "GET"))]

    assert asyncio.run(ask()) == [503, 503, 503, 200]
    assert looks == [100.0, 105.0]


def test_the_catalog_is_asked_once_it_is_in_use(hub: Hub) -> None:
    assert hub.program.get("/api/v1/projects").status_code == 200
    portal = hub.program.portal
    assert portal is not None
    assert portal.call(hub.context.catalog.answers)
