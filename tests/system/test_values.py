"""Values: what `log` takes, seen at the other end, in the store and in an export.

docs/logging.md states each outcome; here each is held by the whole path.
"""

import json
import math

import pytest

from tests.node import Node

pytestmark = pytest.mark.slow

SCRIPT = """
import decimal, stepwell
import numpy as np

class Odd:
    def __repr__(self): return "odd " + "x" * 5000

run = stepwell.init(project="values", id="values1")
run.log({"nan": float("nan"), "up": float("inf"), "down": float("-inf"), "minus_zero": -0.0})
run.log({"big": 2**53 + 1, "flag": True, "np32": np.float32(0.1), "np_int": np.int64(7)})
run.log({"dec": decimal.Decimal("0.5"), "zero_d": np.array(3.0)})
run.log({"text": "é\\n\\u2028 <b>", "none": None, "list": [1, "a", None], "odd": Odd()})
run.log({"huge": 10**400})
run.log({"deep": {"a": {"b": 1.5, "c": "t"}}})
run.log({7: 1.0, "k" * 600: 2.0, "k" * 600 + "2": 3.0, "ünï/çode 🚀": 4.0})
run.log({})
run.log({f"wide/{i}": float(i) for i in range(10_000)})
run.log({"back": 1.0}, step=100)
run.log({"back": 2.0}, step=50)
run.log({"back": 3.0}, step=100, commit=True)
run.log({"after": 1.0})
run.finish()
"""


@pytest.fixture
def rows(node: Node) -> dict[int, dict[str, object]]:
    """The exported history of the script's run, by step."""
    node.start_daemon()
    done = node.python(SCRIPT)
    assert done.returncode == 0, done.stderr
    exported = node.stepwell("export", "values1", "-o", "-", "--format", "jsonl")
    assert exported.returncode == 0, exported.stderr
    history = [json.loads(line) for line in exported.stdout.split("\n") if line]
    assert [row["_step"] for row in history] == sorted(row["_step"] for row in history)
    return {row["_step"]: row for row in history}


@pytest.mark.holds("values-come-back")
def test_every_value_has_its_documented_outcome(rows: dict[int, dict[str, object]]) -> None:
    # NaN and infinities are kept and marked.
    assert (rows[0]["nan"], rows[0]["up"], rows[0]["down"]) == ("NaN", "Infinity", "-Infinity")
    assert math.copysign(1, float(str(rows[0]["minus_zero"]))) == -1
    # Numbers become float64.
    assert rows[1]["big"] == float(2**53)
    assert rows[1]["flag"] == 1
    assert rows[1]["np32"] == 0.10000000149011612
    assert rows[1]["np_int"] == 7
    assert (rows[2]["dec"], rows[2]["zero_d"]) == (0.5, 3.0)
    # What is no number stays as it is.
    assert rows[3]["text"] == "é\n\u2028 <b>"
    assert rows[3]["none"] is None
    assert rows[3]["list"] == [1, "a", None]
    assert str(rows[3]["odd"]).startswith("odd xxx")
    assert len(str(rows[3]["odd"])) < 1100
    assert int(str(rows[4]["huge"])) == 10**400
    # Nested dicts are flattened.
    assert (rows[5]["deep.a.b"], rows[5]["deep.a.c"]) == (1.5, "t")
    # Names: any key, cut with a hash, unicode.
    assert rows[6]["7"] == 1.0
    assert rows[6]["ünï/çode 🚀"] == 4.0
    long_names = {name: value for name, value in rows[6].items() if name.startswith("kkk")}
    assert sorted(long_names.values()) == [2.0, 3.0]
    assert all(len(name.encode()) <= 512 for name in long_names)
    # An empty dict only moves the step; a wide one is all there.
    assert 7 not in rows
    assert len(rows[8]) == 10_000 + 2
    assert rows[8]["wide/9999"] == 9999.0
    # Repeated and decreasing steps: all kept, the later one is read.
    assert rows[50]["back"] == 2.0
    assert rows[100]["back"] == 3.0
    assert rows[101]["after"] == 1.0


def test_statistics_count_what_is_not_finite_apart(
    node: Node, rows: dict[int, dict[str, object]]
) -> None:
    detail = json.loads(node.stepwell("show", "values1", "--json").stdout)
    metrics = {metric["metric"]: metric for metric in detail["metrics"]}
    assert (metrics["nan"]["count"], metrics["nan"]["nan_count"]) == (1, 1)
    assert metrics["up"]["positive_inf_count"] == metrics["down"]["negative_inf_count"] == 1
    assert (metrics["back"]["count"], metrics["back"]["last"]) == (3, 3.0)
    assert len(metrics) > 10_000
