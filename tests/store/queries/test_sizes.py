"""How large the tables are."""

from stepwell_store import Store
from stepwell_store.queries import table_sizes
from tests.store.made import fresh_project, log, writer


def test_sizes_grow_with_what_is_stored(store: Store) -> None:
    def points() -> tuple[int, int]:
        found = {each.table: each for each in table_sizes(store)}
        return (found["points"].rows, found["points"].bytes) if "points" in found else (0, 0)

    before = points()
    log(store, writer(fresh_project()), range(1000), loss=[0.5] * 1000)
    after = points()
    assert after[0] == before[0] + 1000
    assert after[1] > 0
