"""Several hubs on one catalog: each trial is handed out once, in SQLite and in PostgreSQL alike."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from stepwell_hub.catalog import asks, project_deletion, reports, sweeps, trial_values, trials
from stepwell_hub.catalog.asks import Ask, Suggestion
from stepwell_hub.catalog.catalog import Catalog, open_catalog
from stepwell_hub.catalog.models import (
    AnsweredKey,
    Attempt,
    Report,
    ReportVersion,
    Sweep,
    SweepAgent,
    Trial,
)
from stepwell_hub.catalog.trial_values import News
from stepwell_hub.errors import SweepNotFoundError
from stepwell_hub.sweeps.answers import LEASE_SECONDS, Order
from stepwell_hub.sweeps.config import parse_config
from tests.hub.catalogs import emptied
from tests.servers.postgresql import PostgreSQLServer

pytestmark = pytest.mark.holds("kill-sweep")


HUBS = 4
AGENTS = 64
CONFIG = {"method": "random", "parameters": {"lr": {"min": 0.0, "max": 1.0}}, "seed": 1}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.processes)])
def hubs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Catalog]]:
    url = ""
    if request.param == "postgresql":
        server: PostgreSQLServer = request.getfixturevalue("postgresql")
        url = emptied(server)
    opened = [open_catalog(tmp_path, url) for _ in range(HUBS)]
    yield opened
    for each in opened:
        each.close()


def made(catalog: Catalog, key: str = "made", **config: Any) -> str:
    parsed = parse_config(CONFIG | config)
    now = time.time()
    return sweeps.create(catalog, project="p", config=parsed, key=key, now=now, alive_at=now).id


def agent(catalog: Catalog, sweep_id: str, key: str = "agent") -> str:
    return sweeps.register(
        catalog,
        sweep_id,
        key=key,
        host="node",
        pid=1,
        kind="command",
        now=time.time(),
        lease_seconds=LEASE_SECONDS,
    ).agent


def ask(catalog: Catalog, sweep_id: str, *asked: Ask, expired_at: float = 0.0) -> list[Any]:
    return asks.ask(
        catalog,
        sweep_id,
        asked,
        now=time.time(),
        expired_at=expired_at,
        lease_seconds=LEASE_SECONDS,
    )


def at_once(*works: Any) -> None:
    """Do all of it in threads of their own; an error of one is an error here."""
    failed: list[BaseException] = []

    def do(work: Any) -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=do, args=(each,)) for each in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def numbers(given: list[Any]) -> list[int]:
    return sorted(each.trial.number for each in given)


@pytest.mark.slow
def test_agents_of_several_hubs_get_different_trials(hubs: list[Catalog]) -> None:
    sweep_id = made(hubs[0])
    who = agent(hubs[0], sweep_id)
    given: list[Any] = []

    def work(place: int) -> None:
        given.extend(ask(hubs[place % HUBS], sweep_id, Ask(who, f"key{place}")))

    at_once(*(lambda place=place: work(place) for place in range(AGENTS)))
    assert numbers(given) == list(range(1, AGENTS + 1))
    told = sweeps.trials(hubs[0], sweep_id, limit=100, cursor=None).trials
    assert {each.run_id for each in told} == {each.trial.run_id for each in given}


def test_one_key_at_several_hubs_gets_one_answer(hubs: list[Catalog]) -> None:
    made_by: list[str] = []
    at_once(*(lambda each=each: made_by.append(made(each)) for each in hubs))
    assert len(set(made_by)) == 1
    who = agent(hubs[0], made_by[0])
    given: list[Any] = []
    at_once(
        *(lambda each=each: given.extend(ask(each, made_by[0], Ask(who, "same"))) for each in hubs)
    )
    assert len(set(map(repr, given))) == 1


def test_one_of_several_ends_counts(hubs: list[Catalog]) -> None:
    sweep_id = made(hubs[0], run_cap=1)
    who = agent(hubs[0], sweep_id)
    ask(hubs[0], sweep_id, Ask(who, "a"))
    counted: list[bool] = []

    def work(place: int) -> None:
        ended = trials.end(
            hubs[place],
            sweep_id,
            1,
            agent_id=who,
            fencing=1,
            key=f"end{place}",
            state="finished",
            exit_code=0,
            now=time.time(),
        )
        counted.append(ended.counted)

    at_once(*(lambda place=place: work(place) for place in range(HUBS)))
    assert sorted(counted) == [False] * (HUBS - 1) + [True]
    assert sweeps.get(hubs[1], sweep_id, time.time()).state == "finished"


def test_a_trial_that_nobody_holds_is_given_to_one(hubs: list[Catalog]) -> None:
    sweep_id = made(hubs[0])
    who = agent(hubs[0], sweep_id)
    ask(hubs[0], sweep_id, Ask(who, "first"))
    later = time.time() + 1000  # All leases are over at this moment.
    given: list[Any] = []

    def work(place: int) -> None:
        # The new leases are not: they are judged by the moment before them.
        given.extend(ask(hubs[place], sweep_id, Ask(who, f"k{place}"), expired_at=later - 990))

    past = time.time() - 10
    with hubs[0].changing() as session:
        trial = session.get(trials.Trial, (sweep_id, 1))
        assert trial is not None
        trial.lease_until = past
    at_once(*(lambda place=place: work(place) for place in range(HUBS)))
    fencings = sorted((each.trial.number, each.trial.fencing) for each in given)
    assert fencings == [(1, 2), (2, 1), (3, 1), (4, 1)]


def test_several_asks_together_are_answered_each_by_its_own(hubs: list[Catalog]) -> None:
    sweep_id = made(hubs[0], method="grid", parameters={"a": {"values": [1, 2]}})
    who = agent(hubs[0], sweep_id)
    given = ask(
        hubs[0],
        sweep_id,
        Ask(who, "a"),
        Ask("nobody", "b"),
        Ask(who, "a"),
        Ask(who, "c"),
        Ask(who, "d"),
    )
    assert [each.trial.number for each in (given[0], given[2], given[3])] == [1, 1, 2]
    assert isinstance(given[1], SweepNotFoundError)
    assert isinstance(given[4], Order)
    assert given[4].command == "wait"


def test_a_suggestion_of_a_number_that_is_gone_is_not_used(hubs: list[Catalog]) -> None:
    sweep_id = made(hubs[0], method="bayes", metric={"name": "loss"})
    who = agent(hubs[0], sweep_id)
    suggestion = Suggestion(1, {"lr": 0.5})
    given = ask(hubs[0], sweep_id, Ask(who, "a", suggestion), Ask(who, "b", suggestion))
    assert given[0].trial.params == {"lr": 0.5}
    assert (given[1].number, len(given[1].seen)) == (2, 1)


def test_two_hubs_that_look_write_one_stop_and_old_values_change_nothing(
    hubs: list[Catalog],
) -> None:
    early = {"type": "hyperband", "min_iter": 1}
    sweep_id = made(hubs[0], metric={"name": "loss"}, early_terminate=early)
    who = agent(hubs[0], sweep_id)
    ask(hubs[0], sweep_id, Ask(who, "a"), Ask(who, "b"))
    news = [News(n, 1, float(n), float(n), 1, {1: float(n)}, False) for n in (1, 2)]
    wrote: list[bool] = []
    at_once(
        *(
            lambda each=each: wrote.append(trial_values.note(each, sweep_id, news, time.time()))
            for each in hubs
        )
    )
    assert sorted(wrote) == [False] * (HUBS - 1) + [True]
    found = sweeps.commands(hubs[0], None, time.time())
    assert [(each.number, each.reason) for each in found.commands] == [(2, "early_terminate")]
    old = [News(1, 0, -9.0, -9.0, 5, {}, True)]
    trial_values.note(hubs[0], sweep_id, old, time.time())
    best = sweeps.get(hubs[0], sweep_id, time.time()).best
    assert best is not None
    assert (best.number, best.value) == (1, 1.0)


def test_commands_are_forgotten_and_their_numbers_never_come_again(hubs: list[Catalog]) -> None:
    now = time.time()
    sweep_id = made(hubs[0])
    who = agent(hubs[0], sweep_id)
    ask(hubs[0], sweep_id, Ask(who, "a"), Ask(who, "b"))

    def cancel(sweep: str) -> None:
        sweeps.change(
            hubs[0],
            sweep,
            state="canceled",
            name=None,
            description=None,
            config=None,
            now=now,
            alive_at=now,
        )

    cancel(sweep_id)
    cursor = int(sweeps.commands(hubs[0], None, now).cursor)
    assert sweeps.commands(hubs[0], None, now + 601).commands == ()
    parsed = parse_config(CONFIG)
    # A new sweep forgets what is old.
    later = now + 601
    other = sweeps.create(
        hubs[0], project="p", config=parsed, key="other", now=later, alive_at=later
    ).id
    ask(hubs[0], other, Ask(agent(hubs[0], other, "other"), "c"))
    cancel(other)
    (command,) = sweeps.commands(hubs[0], cursor, now).commands
    assert command.sweep == other


def test_a_deleted_project_takes_its_sweeps_reports_and_views_with_it(hubs: list[Catalog]) -> None:
    catalog = hubs[0]
    old = made(catalog, "old")
    ask(catalog, old, Ask(agent(catalog, old), "a"))

    def report(key: str) -> None:
        now = time.time()
        found = reports.create(catalog, project="p", title=key, text="# a", key=key, now=now)
        reports.save(catalog, found.id, title=key, text="# b", version=1, now=now)

    report("old")
    deletion = project_deletion.ask(catalog, "p", now=time.time())
    report("new")
    new = made(catalog, "new")
    for each in hubs[:2]:  # Once more, as after a kill.
        project_deletion.delete_sweeps_and_reports(each, deletion)
    with pytest.raises(SweepNotFoundError):
        ask(catalog, old, Ask("any", "b"))
    late = News(1, 1, best=0.5, last=0.5, steps=1, bands={}, is_settled=True)
    assert not trial_values.note(catalog, old, [late], time.time()), "its values came too late"
    with catalog.reading() as session:
        assert [each.id for each in session.scalars(select(Sweep))] == [new]
        scopes = {each.scope for each in session.scalars(select(AnsweredKey))}
        assert scopes == {"create"}, "the keys of its sweeps are forgotten"
        for table in (SweepAgent, Trial, Attempt):
            assert not session.scalars(select(table)).all()
        assert [each.title for each in session.scalars(select(Report))] == ["new"]
        assert [each.title for each in session.scalars(select(ReportVersion))] == ["new"]
