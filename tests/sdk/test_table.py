"""Tables as scripts build and log them, read back from the Parquet that a worker makes."""

import io
import warnings
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stepwell import Image, Table
from stepwell._table_rows import pack_rows
from stepwell._values import split_values
from stepwell.testing import RecordingDaemon
from stepwell_wire.table_rows import GROUP_ROWS
from tests.sdk.conftest import Start
from tests.sdk.held import read_journal

# The environment of the oldest packages has none of them.
pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
polars = pytest.importorskip("polars")

from stepwell_daemon.blobs.tables import write_table  # noqa: E402


def made(table: Table, tmp_path: Path) -> tuple[list[dict[str, Any]], Any]:
    """Return the rows and the schema of the Parquet."""
    payload = b"".join(pack_rows([str(name) for name in table.columns], table.data, str))
    return read(payload, tmp_path)


def read(payload: bytes, tmp_path: Path) -> tuple[list[dict[str, Any]], Any]:
    target = tmp_path / "table.parquet"
    write_table(io.BytesIO(payload), len(payload), target)
    found = pq.read_table(target)
    return found.to_pylist(), found.schema


def column(values: list[Any], tmp_path: Path) -> tuple[list[Any], str]:
    rows, schema = made(Table(columns=["a"], data=[[value] for value in values]), tmp_path)
    return [row["c0"] for row in rows], str(schema.field("c0").type)


@pytest.mark.parametrize(
    ("given", "kept", "kind"),
    [
        ([1.5, None, float("inf")], [1.5, None, float("inf")], "double"),
        ([1, 2.5], [1.0, 2.5], "double"),
        ([1, None, 2**63 - 1], [1, None, 2**63 - 1], "int64"),
        ([True, None, False], [True, None, False], "bool"),
        (["ä\0\n", None, ""], ["ä\0\n", None, ""], "string"),
        ([None, None], [None, None], "string"),
        ([np.float32(0.5), np.int64(2)], [0.5, 2.0], "double"),
        ([np.int8(3), 4, None], [3, 4, None], "int64"),
        ([np.bool_(True), False], [True, False], "bool"),
        (["\ud800ä", "b"], ["\\ud800ä", "b"], "string"),
        (["\udce9", 1], ["\\udce9", "1"], "string"),
    ],
)
def test_a_column_has_the_type_of_its_values(
    tmp_path: Path, given: list[Any], kept: list[Any], kind: str
) -> None:
    assert column(given, tmp_path) == (kept, kind)


def test_moments(tmp_path: Path) -> None:
    noon = datetime(2026, 1, 31, 12, 0, 0, 1)
    kept, kind = column([noon, date(1969, 12, 31), np.datetime64(noon, "ns")], tmp_path)
    assert kind == "timestamp[us, tz=UTC]"
    whole = noon.replace(tzinfo=UTC)
    assert kept == [whole, datetime(1969, 12, 31, tzinfo=UTC), whole]


@pytest.mark.parametrize(
    ("given", "texts", "kinds"),
    [
        ([1, "one", None, 2.5, True], ["1", "one", None, "2.5", "true"],
         ["integer", "text", None, "number", "boolean"]),
        ([2**53 + 1, 0.5], ["9007199254740993", "0.5"], ["integer", "number"]),
        ([2**70, 1], [str(2**70), "1"], ["text", "integer"]),
    ],
)  # fmt: skip
def test_a_mixed_column_is_text_with_kinds(
    tmp_path: Path, given: list[Any], texts: list[Any], kinds: list[Any]
) -> None:
    rows, _ = made(Table(columns=["a"], data=[[value] for value in given]), tmp_path)
    assert [row["c0"] for row in rows] == texts
    assert [row["k0"] for row in rows] == kinds


@pytest.mark.slow
def test_groups_of_different_kinds_become_one_column(tmp_path: Path) -> None:
    large = 2**53 + 1
    for last, kind in ((0.5, "double"), ("x", "string"), (None, "int64")):
        values = [*range(GROUP_ROWS), last]
        kept, found = column(values, tmp_path)
        assert (len(kept), found) == (GROUP_ROWS + 1, kind)
    kept, found = column([large, *range(GROUP_ROWS - 1), 0.5], tmp_path)
    assert (kept[0], kept[-1], found) == (str(large), "0.5", "string")


def test_a_dataframe(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "i": [1, 2],
            "s": [None, "b"],
            "f": [0.5, float("nan")],
            "t": [pd.NaT, pd.Timestamp("2026-01-31")],
        }
    )
    for table in (Table(dataframe=frame), Table(data=frame)):
        assert table.columns == ["i", "s", "f", "t"]
        rows, _ = made(table, tmp_path)
        assert [row["c1"] for row in rows] == [None, "b"]
        assert rows[1]["c2"] != rows[1]["c2"]
        assert [row["c3"] for row in rows] == [None, datetime(2026, 1, 31, tzinfo=UTC)]


NOON = datetime(2026, 1, 31, 12)
COLUMNS = {
    "i": [1, None],
    "s": [None, "b"],
    "t": [None, NOON],
    "l": [[1, 2], None],
    "f": [0.5, float("inf")],
}
FRAMES = {
    "polars": lambda: polars.DataFrame(COLUMNS),
    "table of pyarrow": lambda: pa.table(COLUMNS),
    "batch of pyarrow": lambda: pa.record_batch(COLUMNS),
}


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("argument", ["data", "rows", "dataframe"])
def test_data_frames_of_other_packages(kind: str, argument: str, tmp_path: Path) -> None:
    table = Table(**{argument: FRAMES[kind]()})
    assert table.columns == list(COLUMNS)
    rows, _ = made(table, tmp_path)
    assert [row["c0"] for row in rows] == [1, None]
    assert [row["c1"] for row in rows] == [None, "b"]
    assert [row["c2"] for row in rows] == [None, NOON.replace(tzinfo=UTC)]
    assert [row["c4"] for row in rows] == [0.5, float("inf")]
    assert table.data[0][3] == [1, 2]


@pytest.mark.parametrize("kind", FRAMES)
def test_log_keeps_data_frames_as_tables_and_their_columns_as_lists(
    kind: str, offline: Start, tmp_path: Path
) -> None:
    frame = FRAMES[kind]()
    run = offline()
    run.log({"frame": frame, "column": frame["s"], "numbers": frame["i"]})
    held = read_journal(run._journal_dir)
    ((_, described),) = held.texts("frame")
    assert (described["_type"], described["columns"]) == ("table-file", list(COLUMNS))
    assert held.texts("column") == [(0, [None, "b"])]
    assert held.texts("numbers") == [(0, [1, None])]


def test_a_frame_that_was_not_computed_is_no_table() -> None:
    lazy = polars.DataFrame(COLUMNS).lazy()
    with pytest.raises(TypeError, match="as dataframe, not a polars"):
        Table(dataframe=lazy)


def test_moments_of_numpy_and_missing_values_in_cells(tmp_path: Path) -> None:
    day = np.datetime64("2026-01-31", "ns")
    rows, _ = made(Table(columns=["t"], data=np.array([[day], ["NaT"]], "M8[ns]")), tmp_path)
    assert [row["c0"] for row in rows] == [datetime(2026, 1, 31, tzinfo=UTC), None]
    records = np.array([(day, 1)], [("t", "M8[ns]"), ("n", "i4")])
    rows, _ = made(Table(columns=["t", "n"], data=records), tmp_path)
    assert (rows[0]["c0"], rows[0]["c1"]) == (datetime(2026, 1, 31, tzinfo=UTC), 1)
    rows, _ = made(Table(columns=["n"], data=[[np.datetime64("NaT")], [1]]), tmp_path)
    assert [row["c0"] for row in rows] == [None, 1]


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (pd.NA, None),
        (pd.NaT, None),
        (pd.Series([1, None], dtype="Int64"), [1, None]),
        (pd.to_datetime(["2026-01-31", None]), ["2026-01-31T00:00:00", None]),
    ],
)
def test_a_missing_value_of_pandas_is_none(value: object, kept: object) -> None:
    assert split_values({"x": value}, lambda *_: None).others == {"x": kept}


def test_row_labels_of_a_dataframe_are_its_first_columns(tmp_path: Path) -> None:
    people = pd.DataFrame({"city": ["Ulm", "Bonn", "Ulm"], "age": [31, 45, 9], "n": [1, 2, 3]})
    kept = {
        "index": people[["age"]].describe(),
        "city": people.groupby("city")["age"].agg(["mean", "max"]),
        "years": people.groupby(pd.cut(people["age"], [0, 18, 99]).rename("years"))[["n"]].sum(),
    }
    for name, frame in kept.items():
        table = Table(dataframe=frame)
        assert table.columns == [name, *frame.columns]
        rows, _ = made(table, tmp_path)
        assert [row["c0"] for row in rows] == [str(label) for label in frame.index]
        assert [row["c1"] for row in rows] == frame.iloc[:, 0].tolist()
    selected = Table(data=people[people["age"] > 20].drop(index=0))
    assert (selected.columns[0], selected.data) == ("index", [[1, "Bonn", 45, 2]])
    two = Table(dataframe=people.set_index(["city", "age"]))
    assert (two.columns, two.data[0]) == (["city", "age", "n"], ["Ulm", 31, 1])
    twice = Table(dataframe=people.set_index("city", drop=False))
    assert twice.columns == ["level_0", "city", "age", "n"]
    unnamed = people.set_index(["city", "age"]).rename_axis([None, None])
    assert Table(dataframe=unnamed).columns == ["level_0", "level_1", "n"]
    gone = Table(dataframe=pd.DataFrame({"x": [1, 2]}, index=pd.Index(["a", None])))
    assert gone.data == [["a", 1], [None, 2]]
    for default in (people, people.iloc[:0], people.copy().set_index(pd.Index([0, 1, 2]))):
        assert Table(dataframe=default).columns == ["city", "age", "n"]


def test_a_table_with_row_labels_takes_rows_without_them() -> None:
    frame = pd.DataFrame({"x": [1.0], "y": ["a"]}, index=["first"])
    table = Table(dataframe=frame, dtype=[float, str], optional=[False, True])
    table.add_data(2.0, "b")
    table.add_data("third", 3.0, None)
    with pytest.raises(TypeError, match="column 'x': expected int or float"):
        table.add_data("fourth", "4", "d")
    with pytest.raises(ValueError, match="1 value, but the table has 3 columns"):
        table.add_data(1)
    assert table.data == [["first", 1.0, "a"], [None, 2.0, "b"], ["third", 3.0, None]]


def test_columns_beside_a_dataframe_are_told() -> None:
    frame = pd.DataFrame({"x": [1.0]})
    with pytest.warns(UserWarning, match="columns is without effect") as told:
        assert Table(columns=["y"], dataframe=frame).columns == ["x"]
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Table(columns=["x"], dataframe=frame)


def test_a_series_with_labels_is_a_table(
    start: Start, daemon: RecordingDaemon, tmp_path: Path
) -> None:
    counts = pd.Series([5, 3], index=["cat", "dog"], name="n")
    with start(config={"counts": counts, "twice": pd.Series([1, 2], index=["a", "a"])}) as run:
        run.log({"counts": counts})
        run.log({"many": pd.Series(range(50), index=[f"c{each}" for each in range(50)])})
        run.log({"plain": pd.Series([1, 2])})
        run.log({"rest": pd.Series([1, 2, 3])[1:]})
        run.log({"row": Table(columns=["cell"], data=[[counts]])})
    values: dict[str, Any] = {}
    for event in daemon.events("values"):
        values |= event.body["values"]
    assert values["counts"]["columns"] == ["index", "n"]
    assert values["many"]["nrows"] == 50
    assert values["plain"] == [1, 2]
    assert values["rest"]["columns"] == ["index", "value"]
    (config,) = daemon.events("config")
    assert config.body["set"]["counts"] == {"cat": 5, "dog": 3}
    assert config.body["set"]["twice"] == [["a", 1], ["a", 2]]
    rows, _ = read(daemon.blobs[values["row"]["blob"]].payload, tmp_path)
    assert rows[0]["c0"] == '{"cat":5,"dog":3}'


def test_mistakes_are_told(tmp_path: Path) -> None:
    table = Table(columns=["a", "b"])
    with pytest.raises(ValueError, match=r"3 values, but the table has 2 columns: \['a', 'b'\]"):
        table.add_data(1, 2, 3)
    with pytest.raises(ValueError, match="no column 'c'; the columns are"):
        table.get_column("c")
    with pytest.raises(ValueError, match="log_mode is 'often'"):
        Table(log_mode="often")
    with pytest.raises(TypeError, match="data is a int"):
        Table(data=5)
    with pytest.raises(TypeError, match="rowz"):
        Table(rowz=[])  # type: ignore[call-arg]
    strict = Table(columns=["a", "b"], dtype=[int, None], optional=[False, True])
    strict.add_data(1, None)
    with pytest.raises(TypeError, match="column 'a': expected int as its dtype, not str"):
        strict.add_data("1", None)
    with pytest.raises(TypeError, match="not optional"):
        strict.add_data(None, 1)
    table.add_data("x", 1)
    with pytest.raises(TypeError, match="expected int as its dtype"):
        table.cast("a", int)


def test_a_logged_table_is_staged_with_its_images(
    start: Start, daemon: RecordingDaemon, tmp_path: Path
) -> None:
    run = start()
    table = Table(columns=["image", "label"])
    table.add_data(Image([[0, 255]], caption="one"), "cat")
    table.add_data(None, "dog")
    run.log({"table": table, "loss": 0.5})
    table.add_data(None, "later")
    run.finish()
    values: dict[str, Any] = {}
    for event in daemon.events("values"):
        values |= event.body["values"]
    told = values["table"]
    assert (told["columns"], told["nrows"], told["ncols"]) == (["image", "label"], 2, 2)
    rows, _ = read(daemon.blobs[told["blob"]].payload, tmp_path)
    assert [row["c1"] for row in rows] == ["cat", "dog"]
    assert '"caption":"one"' in rows[0]["c0"]
    images = [blob for key, blob in daemon.blobs.items() if key != told["blob"]]
    assert [blob.payload for blob in images] == [bytes([0, 255])]
    assert [point.value for point in daemon.points("loss")] == [0.5]


def test_a_row_may_be_a_dict_by_column() -> None:
    records = [{"guess": 7, "truth": 1}, {"truth": 2, "guess": 3}]
    assert Table(data=records, columns=["truth", "guess"]).data == [[1, 7], [2, 3]]
    made = Table(data=[*records, {"guess": 4, "score": 0.5}])
    assert made.columns == ["guess", "truth", "score"]
    assert made.data == [[7, 1, None], [3, 2, None], [4, None, 0.5]]
    made.add_data({"score": 1, "guess": 2, "truth": 3})
    assert made.data[-1] == [2, 3, 1]
    with pytest.raises(ValueError, match=r"a dict with the names \['gess'\], but the table has"):
        made.add_data({"gess": 1, "truth": 2})
    with pytest.warns(UserWarning, match="a row has the names of the columns as its values"):
        made.add_data(*{"guess": 1, "truth": 2, "score": 3})
    with pytest.raises(ValueError, match=r"for a list of values, add_data\(\*values\)"):
        made.add_data([1, 2, 3])
    one = Table(columns=["d"])
    one.add_data({"a": 1})  # A value.
    assert one.data == [[{"a": 1}]]


def test_rows_in_the_place_of_columns_and_other_mistakes_are_told() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1, 2]})
    assert (Table(frame).columns, Table(frame).data) == (["a"], [[1], [2]])
    assert Table(frame.columns, [[3]]).columns == Table(frame.columns).columns == ["a"]
    assert Table([("age", "mean"), ("age", "max")]).columns[0] == ("age", "mean")
    for wrong, kind in (
        ([[7, 1], [2, 2]], "list of rows"),
        ([{"a": 1}], "list of rows"),
        (np.eye(2), "ndarray"),
        ({"a": [1]}, "dict"),
        ("ab", "str"),
    ):
        with pytest.raises(TypeError, match=f"columns is a {kind}; expected a list of names"):
            Table(wrong)
    with pytest.raises(TypeError, match="row 1 of data is a str; expected a list of 3 values"):
        Table(data=[["d", "o", "g"], "cat"], columns=["w", "x", "y"])
    with pytest.raises(TypeError, match="data is a dict; expected rows"):
        Table(data={"a": [1, 2]})
    with pytest.raises(ValueError, match=r"'Expected'\]; pass columns= for others"):
        Table(data=np.eye(2))


def test_rows_and_names_that_look_like_others_stay_what_they_are() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"x": [1, 2], "y": [3, 4]})
    lists = frame.apply(lambda row: [row.x + row.y, row.x - row.y], axis=1)
    assert Table(columns=["s", "d"], data=lists).data == [[4, -2], [6, -2]]
    assert Table(columns=frame.columns.to_series()).columns == ["x", "y"]
    assert Table(columns={"a": int, "b": str}).columns == ["a", "b"]
    records = list(np.array([(1, 0.5)], [("a", int), ("b", float)]))
    assert [list(row) for row in Table(columns=["a", "b"], data=records).data] == [[1, 0.5]]
    labelled = Table(data=pd.DataFrame({"a": [{"k": 1}]}, index=["r"]))
    labelled.add_data({"x": 2})
    assert labelled.data[-1] == [None, {"x": 2}]
    with pytest.raises(ValueError, match="a row has 1 value, but the table has 2 columns"):
        Table(columns=["a", "b"]).add_data(np.array(1.0))
