"""Reports in the catalog, whoever writes at the same time, in SQLite and in PostgreSQL alike."""

import threading
from typing import Any

from stepwell_hub.catalog import reports
from stepwell_hub.catalog.catalog import Catalog
from stepwell_hub.errors import ApiError

NOW = 1_800_000_000.0


def make(catalog: Catalog, number: int = 0, *, key: str = "key") -> reports.Report:
    return reports.create(catalog, project="p", title=f"T{number}", text="one", key=key, now=NOW)


def at_once(work: Any) -> list[Any]:
    """Return what ``work(number)`` gives or raises, of eight threads."""
    found: list[Any] = []
    together = threading.Barrier(8, timeout=60)

    def run(number: int) -> None:
        together.wait()
        try:
            found.append(work(number))
        except ApiError as error:
            found.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return found


def test_one_key_makes_one_report_and_one_version_is_saved_once(catalogs: list[Catalog]) -> None:
    made = at_once(lambda number: make(catalogs[number % 4]))
    assert len({each.id for each in made}) == 1
    report_id = made[0].id

    def save(number: int) -> reports.Report:
        catalog = catalogs[number % 4]
        text = f"by {number}"
        return reports.save(catalog, report_id, version=1, title="T", text=text, now=NOW + 1)

    answers = at_once(save)
    [saved] = [each for each in answers if not isinstance(each, ApiError)]
    assert {each.failure.code for each in answers if isinstance(each, ApiError)} == {
        "report_changed"
    }
    assert reports.read(catalogs[0], report_id) == saved
    assert [each.version for each in reports.versions(catalogs[1], report_id).versions] == [2, 1]


def test_reports_of_the_same_moment_are_listed_once_each(catalogs: list[Catalog]) -> None:
    ids = {make(catalogs[0], number, key=f"key{number}").id for number in range(7)}
    found: list[str] = []
    cursor: str | None = None
    for _ in range(4):
        page = reports.listed(catalogs[1], "p", limit=2, cursor=cursor)
        found += [each.id for each in page.reports]
        cursor = page.next_cursor
    assert cursor is None
    assert len(found) == 7
    assert set(found) == ids


def test_a_clock_that_was_set_back_puts_no_report_behind_its_past(catalogs: list[Catalog]) -> None:
    report = make(catalogs[0])
    saved = reports.save(catalogs[0], report.id, version=1, title="T", text="2", now=NOW - 100)
    assert saved.updated_at == NOW
