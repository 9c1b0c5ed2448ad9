"""Names of series are sent again only when they may have been lost."""

from stepwell_store import Store
from stepwell_store.known_names import AGE_SECONDS_MAX, NAMES_MAX, KnownNames
from stepwell_store.queries import delete_run
from tests.store.made import build, decoded, fresh_project, insert, rows, writer


def test_what_was_stored_lately_is_known():
    now = 100.0
    known = KnownNames(lambda: now)
    assert not known.has_all(["a"])
    known.add(["a", "b"])
    assert known.has_all(["a", "b"])
    assert not known.has_all(["a", "c"])
    now += AGE_SECONDS_MAX
    assert not known.has_all(["a"])


def test_the_memory_is_bounded():
    known = KnownNames(lambda: 0.0)
    for number in range(2 * NAMES_MAX):
        known.add([number])
    assert len(known._stored_at) <= NAMES_MAX


def test_a_table_of_names_is_written_once_for_many_extents(store: Store):
    project = fresh_project()

    def parts():
        (row,) = store.query(
            "SELECT count() AS n FROM series WHERE project = {p:String}", parameters={"p": project}
        )
        return row["n"]

    for extent in range(3):
        made = decoded([rows(1, [extent], [1.0])])
        insert(store, build((writer(project), made), schemas={1: ("loss",)}), f"{project}{extent}")
        assert parts() == 1
    delete_run(store, project, "run")
    assert parts() == 0
