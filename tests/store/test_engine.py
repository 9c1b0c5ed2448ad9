"""The embedded engine: its traps avoided, its process supervised, its directory its own."""

import ctypes
import os
import random
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from stepwell_store import (
    EmbeddedStore,
    QueryError,
    StoreBusyError,
    StoreRejectedError,
    StoreUnavailableError,
    connect_embedded,
    open_embedded,
)
from stepwell_store.aggregates import ROLLUP_WIDTHS
from stepwell_store.channel import INLINE_BYTES_MAX, Message, read_memory_file, receive_message
from stepwell_store.ddl import DURABLE_SETTINGS
from stepwell_store.engine import EngineSession
from stepwell_store.engine_process import EngineProcess
from stepwell_store.engine_watch import EngineWatch
from stepwell_store.errors import SocketMissingError
from stepwell_store.migrations import NEWEST
from stepwell_store.supervisor import RESTART_DELAY_SECONDS_MAX, Supervisor, restart_delay
from stepwell_store.tables import TABLES
from tests.processes import is_alive
from tests.store.made import build, decoded, fresh_project, insert, log, rows, writer
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


@pytest.fixture(scope="session")
def store(engine: EmbeddedStore) -> EmbeddedStore:
    return engine


@pytest.fixture
def own_store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    """A store that the test may break."""
    opened = open_embedded(tmp_path / "data", memory_bytes_max=1 << 30)
    opened.migrate()
    yield opened
    opened.close()


def points_block(project: str, count: int = 1000):
    parts = (writer(project), decoded([rows(1, range(count), np.arange(count))]))
    (block,) = (each for each in build(parts, schemas={1: ("loss",)}) if each.table == "points")
    return block


def count_points(store: EmbeddedStore, project: str) -> int:
    (row,) = store.query(
        "SELECT count() AS n FROM points "
        "WHERE series IN (SELECT series FROM series WHERE project = {p:String})",
        parameters={"p": project},
    )
    return row["n"]


# Trap 1: an insert that the table refuses must not look like one that succeeded.


def test_a_refused_row_is_an_error_of_the_data_and_nothing_is_stored(own_store: EmbeddedStore):
    own_store.query("ALTER TABLE points ADD CONSTRAINT small CHECK value < 500")
    with pytest.raises(
        StoreRejectedError, match=r"insert into points: .*rejects these rows"
    ) as caught:
        own_store.insert(points_block("p"), "token")
    assert caught.value.code == 469
    assert own_store.query("SELECT count() AS n FROM points") == [{"n": 0}]


@pytest.mark.holds("store-overloaded")
def test_too_many_parts_is_raised_and_the_same_token_stores_the_block_once_later(
    own_store: EmbeddedStore,
):
    own_store.query("SYSTEM STOP MERGES points")
    own_store.insert(points_block("first"), "a")
    own_store.query("ALTER TABLE points MODIFY SETTING parts_to_throw_insert = 1")
    block = points_block("second")
    with pytest.raises(StoreUnavailableError, match="retrying until it succeeds") as caught:
        own_store.insert(block, "b")
    assert caught.value.code == 252
    own_store.query("ALTER TABLE points RESET SETTING parts_to_throw_insert")
    for _ in range(3):
        own_store.insert(block, "b")
    assert own_store.query("SELECT count() AS n FROM points") == [{"n": 2000}]


def test_bytes_that_are_no_block_are_an_error(store: EmbeddedStore):
    class Torn:
        table = "points"
        columns = points_block("torn").columns
        names = ()

        def native(self):
            return [b"".join(points_block("torn").native())[:-100]]

    with pytest.raises((StoreRejectedError, StoreUnavailableError)):
        store.insert(Torn(), "torn")
    assert count_points(store, "torn") == 0


# Trap 2: a resent block must not count twice, in any table.


@pytest.mark.holds("power-loss")
def test_every_table_deduplicates_and_survives_a_power_loss(store: EmbeddedStore):
    tables = store.query(
        "SELECT name, engine_full FROM system.tables "
        "WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    )
    assert len(tables) == len(TABLES) + 1
    for table in tables:
        for name, value in DURABLE_SETTINGS.items():
            assert f"{name} = {value}" in table["engine_full"], table["name"]


@pytest.mark.holds("stored-once", "token-other-content")
def test_a_block_sent_again_changes_no_table(store: EmbeddedStore):
    project = fresh_project()
    made = rows(1, range(200), np.arange(200))
    blocks = build((writer(project), decoded([made])), schemas={1: ("loss",)})
    series = "series IN (SELECT series FROM series WHERE project = {p:String})"
    counts = []
    for _ in range(2):
        insert(store, blocks, "again")
        counts.append(
            [
                store.query(
                    f"SELECT {what} AS n FROM {table} WHERE {series}", parameters={"p": project}
                )
                for what, table in (
                    ("count()", "points"),
                    ("sum(count)", "series_stats"),
                    ("sum(count)", "step_rollups"),
                    ("sum(sum)", "step_rollups"),
                )
            ]
        )
    assert counts[0] == counts[1]
    assert counts[0][:3] == [[{"n": 200}], [{"n": 200}], [{"n": 600}]]


@pytest.mark.holds("kill-engine")
@pytest.mark.slow
def test_an_engine_killed_in_the_middle_of_inserts_stores_each_block_once(
    own_store: EmbeddedStore,
):
    seed = random.randrange(2**32)
    print(f"seed={seed}")
    chance = random.Random(seed)
    project, count, extents = "killed", 100_000, 4
    for extent in range(extents):
        first = extent * count
        made = rows(1, range(first, first + count), np.arange(count))
        blocks = build((writer(project), decoded([made])), schemas={1: ("loss",)})
        assert own_store.engine_pid is not None
        killing = threading.Timer(
            chance.random() * 0.1, os.kill, (own_store.engine_pid, signal.SIGKILL)
        )
        killing.start()
        for block in blocks:
            insert_until_stored(own_store, block, f"{extent}:{block.table}")
        killing.join()
        for block in blocks:
            insert_until_stored(own_store, block, f"{extent}:{block.table}")
    assert own_store.restarts >= 1
    assert count_points(own_store, project) == extents * count
    for table in (
        "series_stats",
        *(f"step_rollups WHERE width = {each}" for each in ROLLUP_WIDTHS),
    ):
        (counted,) = own_store.query(f"SELECT sum(count) AS n FROM {table}")
        assert counted["n"] == extents * count, table


def insert_until_stored(store: EmbeddedStore, block, token: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            store.insert(block, token)
            return
        except StoreUnavailableError:
            assert time.monotonic() < deadline


# Trap 3: one process a directory, crashes that hang, forked children.


class Freed:
    """A result as chdb gives it: its bytes are other ones as soon as nobody holds it."""

    def __init__(self, content: bytes) -> None:
        self._content = bytearray(content)

    def get_memview(self) -> "Freed":
        return self

    def view(self) -> memoryview:
        return memoryview(self._content)

    def __del__(self) -> None:
        self._content[:] = bytes(len(self._content))


@pytest.mark.parametrize("size", [100, INLINE_BYTES_MAX + 1])
def test_a_result_is_held_until_it_is_sent(size: int):
    class Connection:
        def query(self, *arguments: object, **named: object) -> object:
            return Freed(b"x" * size)

    ours, theirs = socket.socketpair()
    with ours, theirs:
        fields = {
            "op": "query",
            "sql": "",
            "format": "Native",
            "parameters": {},
            "timeout_seconds": 1.0,
        }
        EngineSession(Connection(), EngineWatch(Connection), number=1).answer(
            ours, Message(fields, b"", [])
        )
        answer = receive_message(theirs)
    assert answer is not None
    content = read_memory_file(answer.descriptors[0]) if answer.descriptors else answer.body
    answer.close()
    assert content == b"x" * size


def test_a_late_cancellation_of_the_last_query_does_not_end_the_next():
    """Until the settings of a query are set, its connection has the comment of the last one."""

    class Connection:
        told: ClassVar[list[str]] = []

        def query(self, sql: str, *arguments: object, **named: object) -> object:
            self.told.append(sql)
            if len(self.told) == 2:
                raise RuntimeError("Code: 394. DB::Exception: Query 'q' is killed in pending state")
            return Freed(b"x")

    ours, theirs = socket.socketpair()
    with ours, theirs:
        fields = {"op": "query", "sql": "SELECT 1", "format": "Native", "parameters": {}}
        EngineSession(Connection(), EngineWatch(Connection), number=1).answer(
            ours, Message({**fields, "timeout_seconds": 1.0}, b"", [])
        )
        answer = receive_message(theirs)
    assert answer is not None
    assert (answer.fields, bytes(answer.body)) == ({}, b"x")
    answer.close()
    _, first, second, asked = Connection.told
    assert first == second
    assert asked == "SELECT 1"


def test_a_second_owner_is_told_who_holds_the_directory(store: EmbeddedStore):
    with pytest.raises(StoreBusyError, match=rf"\(pid {store.engine_pid}\).*stop it"):
        open_embedded(store.data_dir, lock_wait_seconds=0.1)


def test_an_engine_that_just_ends_is_waited_for(tmp_path: Path):
    first = open_embedded(tmp_path)
    closing = threading.Timer(0.3, first.close)
    closing.start()
    second = open_embedded(tmp_path)
    assert second.ping(timeout_seconds=10)
    second.close()
    closing.join()


@pytest.mark.holds("store-hangs")
def test_an_engine_that_hangs_is_killed_and_started_again(tmp_path: Path):
    def start() -> EngineProcess:
        return EngineProcess(tmp_path, memory_bytes_max=1 << 30)

    first = start()
    supervisor = Supervisor(
        first, start, tmp_path / "engine.sock", ping_period_seconds=0.1, ping_timeout_seconds=0.5
    )
    store = EmbeddedStore(tmp_path, supervisor)
    os.kill(first.pid, signal.SIGSTOP)
    wait_until(lambda: store.restarts == 1, "another engine")
    assert store.engine_pid != first.pid
    assert not first.is_alive
    assert store.ping(timeout_seconds=10)
    store.close()


def test_a_forked_child_talks_on_a_connection_of_its_own(store: EmbeddedStore):
    project = fresh_project()
    log(store, writer(project), [0], loss=[1.0])
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if count_points(store, project) == 1 else 2
            store.close()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert count_points(store, project) == 1


def test_the_engine_ends_with_its_owner_however_that_ends(tmp_path: Path):
    script = (
        "import sys, time; from pathlib import Path; from stepwell_store import open_embedded\n"
        "store = open_embedded(Path(sys.argv[1])); print(store.engine_pid, flush=True)\n"
        "time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        engine_pid = int(owner.stdout.readline())
        assert is_alive(engine_pid)
        owner.kill()
    wait_until(lambda: not is_alive(engine_pid), "the engine's end")
    open_embedded(tmp_path).close()


def test_signals_to_the_group_do_not_end_the_engine(store: EmbeddedStore):
    assert store.engine_pid is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(store.engine_pid, number)
    assert store.ping(timeout_seconds=10)
    assert store.restarts == 0


def test_the_socket_is_for_owner_and_group_only(store: EmbeddedStore):
    mode = (store.data_dir / "engine.sock").stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o660


def test_a_folder_too_deep_for_a_socket_address_works(tmp_path: Path):
    deep = tmp_path.joinpath(*["a-rather-long-folder-name"] * 5)
    assert len(os.fsencode(deep / "engine.sock")) > 107
    opened = open_embedded(deep)
    with socket.socket() as unrelated:
        assert unrelated is not None
    assert opened.query("SELECT 1 AS one") == [{"one": 1}]
    opened.close()


def test_an_engine_that_cannot_start_says_why(tmp_path: Path):
    (tmp_path / "store").write_text("in the way")
    with pytest.raises(StoreUnavailableError, match=r"ended with code 1.*engine\.log"):
        open_embedded(tmp_path)


_OPEN = """
import sys
from pathlib import Path
from stepwell_store import StoreUnavailableError, open_embedded
try:
    open_embedded(Path(sys.argv[1]))
except StoreUnavailableError as error:
    print(error)
"""


def obey_modes() -> None:
    """Take from root the right to ignore the modes of files, also for later programs."""
    if os.geteuid() == 0:
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            assert ctypes.CDLL(None).prctl(24, capability, 0, 0, 0) == 0  # PR_CAPBSET_DROP


@pytest.mark.parametrize("place", ["store", "store/store", "store/data"])
def test_a_store_without_permission_is_named_with_its_remedy(tmp_path: Path, place: str):
    store = open_embedded(tmp_path)
    store.migrate()
    store.close()
    forbidden = tmp_path / place
    mode = forbidden.stat().st_mode
    forbidden.chmod(0)
    try:
        text = subprocess.run(
            [sys.executable, "-c", _OPEN, str(tmp_path)],
            preexec_fn=obey_modes,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
    finally:
        forbidden.chmod(mode)
    assert text.startswith(f"{forbidden}: opening the store failed, because user {os.getuid()} has")
    assert "the mode is 000" in text
    assert "`chown -R`" in text
    assert "Poco" not in text


def test_the_engine_keeps_its_temporary_files_in_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    data.mkdir()
    elsewhere.mkdir()
    (data / "engine.tmp" / "clickhouse-embedded-of-a-killed-engine").mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(elsewhere))
    opened = open_embedded(data)
    try:
        assert opened.query("SELECT 1 AS one") == [{"one": 1}]
        assert list(elsewhere.iterdir()) == []
        left = [each.name for each in (data / "engine.tmp").iterdir()]
        assert "clickhouse-embedded-of-a-killed-engine" not in left
    finally:
        opened.close()


def test_the_engine_starts_if_the_folder_that_tmpdir_names_is_not_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TMPDIR", "/proc")  # Also root cannot write there.
    opened = open_embedded(tmp_path)
    assert opened.query("SELECT 1 AS one") == [{"one": 1}]
    opened.close()


def test_the_wait_between_restarts_grows_to_a_bound():
    delays = [restart_delay(failures) for failures in range(100)]
    assert delays == sorted(delays)
    assert delays[0] <= 0.1
    assert delays[-1] == RESTART_DELAY_SECONDS_MAX


# Tools beside the daemon.


def test_a_tool_uses_the_engine_that_lives(store: EmbeddedStore):
    tool = connect_embedded(store.data_dir)
    assert tool.engine_pid is None
    assert tool.query("SELECT 1 AS one") == [{"one": 1}]
    tool.close()
    assert store.ping(timeout_seconds=10)


def test_a_tool_waits_for_the_tables_of_a_new_store(tmp_path: Path):
    owner = open_embedded(tmp_path)
    migration = threading.Timer(0.5, owner.migrate)
    migration.start()
    tool = connect_embedded(tmp_path)
    assert tool.query("SELECT count() AS n FROM points") == [{"n": 0}]
    migration.join()  # Behind the tables it notes the versions, one by one.
    assert tool.schema_version() == NEWEST
    tool.close()
    owner.close()


def test_a_tool_without_an_engine_starts_one_for_as_long_as_it_works(tmp_path: Path):
    tool = connect_embedded(tmp_path)
    pid = tool.engine_pid
    assert pid is not None
    assert is_alive(pid)
    tool.close()
    assert not is_alive(pid)


def test_a_closed_store_and_a_missing_engine_are_named(tmp_path: Path):
    with pytest.raises(SocketMissingError, match=r"engine\.sock: no store engine answers"):
        EmbeddedStore(tmp_path, None).query("SELECT 1")
    opened = open_embedded(tmp_path)
    opened.close()
    opened.close()
    with pytest.raises(StoreUnavailableError, match="is closed"):
        opened.query("SELECT 1")
    assert not opened.ping()


# Requests.


def test_parameters_and_results_keep_their_values(store: EmbeddedStore):
    texts = ["", "a'b", 'c"\\d', "e\tf\ng\r\0h", "ü 🪣", "{x:String}", "\\N", "NULL"]
    numbers = [0, 2**64 - 1]
    (row,) = store.query(
        "SELECT {texts:Array(String)} AS texts, {numbers:Array(UInt64)} AS numbers, "
        "{low:Int64} AS low, {half:Float64} AS half, {none:Nullable(String)} AS none, "
        "{yes:Bool} AS yes, [{half:Float64}] AS halves, "
        "CAST(({low:Int64}, nan), 'Tuple(a Int64, b Float64)') AS pair",
        parameters={
            "texts": texts,
            "numbers": numbers,
            "low": -(2**63),
            "half": 0.1,
            "none": None,
            "yes": True,
        },
    )
    pair = row.pop("pair")
    assert row == {
        "texts": texts,
        "numbers": numbers,
        "low": -(2**63),
        "half": 0.1,
        "none": None,
        "yes": True,
        "halves": [0.1],
    }
    assert pair["a"] == -(2**63)
    assert pair["b"] != pair["b"]
    for text in texts:
        assert store.query("SELECT {t:String} AS t", parameters={"t": text}) == [{"t": text}]


def test_nan_and_infinities_are_floats(store: EmbeddedStore):
    (row,) = store.query(
        "SELECT nan AS n, inf AS p, -inf AS m, CAST(NULL, 'Nullable(Float64)') AS z"
    )
    assert row["n"] != row["n"]
    assert (row["p"], row["m"], row["z"]) == (float("inf"), float("-inf"), None)


def test_a_large_result_arrives_whole(store: EmbeddedStore):
    data = store.query_bytes("SELECT number FROM numbers(1000000)", output_format="RowBinary")
    assert np.array_equal(np.frombuffer(data, "<u8"), np.arange(1_000_000))


def test_a_wrong_query_is_told_with_its_remedy(store: EmbeddedStore):
    with pytest.raises(QueryError, match=r"nosuch.*correct the query"):
        store.query("SELECT nosuch")
    with pytest.raises(TypeError, match="a query parameter is"):
        store.query("SELECT 1", parameters={"x": object()})
    with pytest.raises(ValueError, match="invalid token"):
        store.insert(points_block("p"), "it's")


def test_a_query_is_given_up_at_its_time_limit(store: EmbeddedStore):
    with pytest.raises(StoreUnavailableError) as caught:
        store.query(
            "SELECT sleepEachRow(0.1) FROM numbers(30) SETTINGS max_block_size = 1",
            timeout_seconds=0.3,
        )
    assert caught.value.code == 159
    assert store.query("SELECT 1 AS one") == [{"one": 1}]


@pytest.mark.holds("store-overloaded")
def test_the_memory_limit_ends_the_query_not_the_engine(store: EmbeddedStore):
    with pytest.raises(StoreUnavailableError) as caught:
        store.query_bytes("SELECT groupArray(number) FROM numbers(300000000)", output_format="Null")
    assert caught.value.code == 241
    assert store.restarts == 0
    assert store.ping(timeout_seconds=10)


@pytest.mark.holds("broken-schema")
def test_a_missing_table_is_made_and_the_insert_repeated(own_store: EmbeddedStore):
    own_store.query("DROP TABLE points SYNC")
    own_store.insert(points_block("p"), "token")
    assert own_store.query("SELECT count() AS n FROM points") == [{"n": 1000}]


def test_many_threads_share_a_store(store: EmbeddedStore):
    project = fresh_project()
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for step in range(5):
                log(store, writer(project, label=str(number)), [step], loss=[1.0])
                store.query("SELECT 1")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert count_points(store, project) == 40
