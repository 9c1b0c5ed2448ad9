"""The writers of runs, and the state of a run from its writers.

A writer that had ended before the run was resumed is ignored. So is a process of the job that began
before the last restart of the job, also if it is still at work: the launcher ends it. If one of the
others runs, the run is running; else the worst end counts. If the others finished, one case is
ignored: a writer besides the main one that disappeared. It was a worker that was stopped after its
work, or a rank that was lost at the end.

The column ``resumed`` is odd for a resume. Half of it is the mark of a restart of the job, or 0.
The writers of a restart have one mark and begin at different moments.
"""

import re
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final

from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.queries.signs_of_life import last_of_writers
from stepwell_store.store import Store

STATES: Final = ("running", "failed", "crashed", "killed", "finished")
"""Most important first."""

# Severity and exit code of an end in one number, so that the worst is a maximum: a state's position
# from the end, then whether the exit code means failure, then the code itself.
_SEVERITY: Final = 1 << 34
_NO_SUCCESS: Final = 1 << 33
_CODE: Final = 1 << 31
_UNSEEN: Final = -1
"""The stored exit code of a writer whose end was not observed."""
_WRITERS_UNIT: Final = 1 << 38
_RUNNING_SINCE: Final = 1 << 62
"""The end time of a lasting state: later than any other."""

_END: Final = (
    "toInt64(transform(tupleElement(ended, 2), "
    f"['running', 'failed', 'crashed', 'killed', 'finished'], [5, 4, 3, 2, 1], 0)) * {_SEVERITY} + "
    f"if(tupleElement(ended, 3) != 0, {_NO_SUCCESS}, 0) + toInt64(tupleElement(ended, 3)) + {_CODE}"
)
_BESIDE: Final = r"(^|[.])(fork|process)-[0-9]+$"
"""Labels of children that continue their parent's run, see the SDK's `child_label`."""
# Whether its launcher ends it when it restarts the job. A process with a label of its own and
# without a rank was started by itself.
_IS_OF_JOB: Final = f"(its_rank >= 0 OR its_label = '' OR match(its_label, '{_BESIDE}'))"
# Whether its end counts if the others finished.
_COUNTS: Final = (
    "NOT (tupleElement(ended, 2) = 'crashed' AND its_rank > 0 "
    f"OR tupleElement(ended, 2) IN ('crashed', 'killed') AND match(its_label, '{_BESIDE}'))"
)
_EACH_WRITER: Final = f"""
SELECT {{ids}}, its_host, was_resumed, began, seen, tupleElement(ended, 1) AS state_time,
       {_END} AS its_end, {_COUNTS} AS its_end_counts, {_IS_OF_JOB} AS is_of_job
FROM (
    SELECT {{ids}}, writer_id, max(w.host) AS its_host, max(w.resumed) AS was_resumed,
           max(w.rank) AS its_rank, max(w.label) AS its_label,
           max(w.started_at) AS began, max(w.last_seen) AS seen, max(w.state) AS ended
    FROM writers AS w
    WHERE {{where}}
    GROUP BY {{ids}}, writer_id
)
"""
_EACH_RUN: Final = f"""
SELECT {{ids}}, count() AS writer_count, groupUniqArray(its_host) AS hosts,
       minIf(began, began > 0) AS started, max(seen) AS last_event, max(state_time) AS last_end,
       {{worst}}
FROM ({_EACH_WRITER})
GROUP BY {{ids}}
"""
_WORST: Final = f"if(intDiv(worst_that_counts, {_SEVERITY}) = 1, worst_that_counts, worst_of_all)"
_WORST_OF: Final = (
    "max(its_end) AS worst_of_all, maxIf(its_end, its_end_counts) AS worst_that_counts, "
    f"{_WORST} AS worst"
)
# Servers of 18.16 know no columns inside a lambda: it receives them as arrays. Planning a lambda
# takes as long as the rest, so it is left out for runs that were never resumed.
# `restarts` are the starts that were a resume or a restart, the latest first. The last restart
# began with the earliest of those at the front that have one mark.
_RESTARTED: Final = """
SELECT {ids}, writer_count, hosts, started, last_event, last_end, resumed_at, ends, end_counts,
       moments, starts, restarts[1] AS latest, intDiv(latest % 256, 2) AS mark,
       toInt64(arrayFirstIndex((each, last) -> intDiv(each % 256, 2) != intDiv(last % 256, 2),
                               restarts, arrayResize([latest], length(restarts), latest))) AS other,
       if(other = 0, toInt64(length(restarts)), other - 1) AS first_of_mark,
       if(mark = 0, toInt64(0), intDiv(restarts[greatest(first_of_mark, toInt64(1))], 256))
           AS restarted_at
FROM ({each_run})
"""
_RESUMED: Final = f"""
SELECT {{ids}}, writer_count, hosts, started, last_event, last_end,
       arrayResize([resumed_at], length(ends), resumed_at) AS resumes,
       arrayResize([restarted_at], length(ends), restarted_at) AS attempts,
       arrayReduce('max', arrayFilter(
                   (each, moment, start, since, since_start) ->
                   moment >= since AND start >= since_start,
                   ends, moments, starts, resumes, attempts)) AS worst_of_all,
       arrayReduce('max', arrayPushBack(arrayFilter(
                   (each, moment, start, since, since_start, counts) ->
                   moment >= since AND start >= since_start AND counts,
                   ends, moments, starts, resumes, attempts, end_counts), toInt64(0)))
           AS worst_that_counts,
       {_WORST} AS worst
FROM ({_RESTARTED})
"""
_MOMENT: Final = (
    f"if(its_end >= {5 * _SEVERITY}, toInt64({_RUNNING_SINCE}), greatest(began, state_time))"
)
_ENDS: Final = (
    "groupArray(its_end) AS ends, groupArray(its_end_counts) AS end_counts, "
    "maxIf(began, was_resumed % 2 > 0) AS resumed_at, "
    f"groupArray({_MOMENT}) AS moments, groupArray(if(is_of_job, began, {_MOMENT})) AS starts, "
    "arrayReverseSort(groupArrayIf(began * 256 + was_resumed, was_resumed > 0)) AS restarts"
)


def runs_sql(ids: str, where: str, *, resumed: bool) -> str:
    """Return a query with one row for each run: ``ids``, and ``held``, which ``RunState`` reads.

    Args:
        ids: the columns that identify a run.
        where: a condition over `writers`.
        resumed: whether any of the runs was resumed; True is always correct, but slower.
    """
    if resumed:
        each = _RESUMED.format(
            ids=ids, each_run=_EACH_RUN.format(ids=ids, where=where, worst=_ENDS)
        )
    else:
        each = _EACH_RUN.format(ids=ids, where=where, worst=_WORST_OF)
    return (
        f"SELECT {ids}, (started, last_event, 'run', toFloat64(last_end), "
        f"toInt64(writer_count) * {_WRITERS_UNIT} + worst, "
        "arrayStringConcat(arraySort(hosts), '\\n')) AS held "
        f"FROM ({each})"
    )


def state_sql(held: str) -> str:
    """Return the expression of the state in ``held``."""
    return (
        f"transform(intDiv({_worst(held)}, {_SEVERITY}), [5, 4, 3, 2, 1], "
        "['running', 'failed', 'crashed', 'killed', 'finished'], 'unknown')"
    )


def is_running_sql(held: str) -> str:
    """Return the condition that the run of ``held`` is running."""
    return f"intDiv({_worst(held)}, {_SEVERITY}) = 5"


def ended_sql(held: str) -> str:
    """Return the expression of the end in ``held`` in µs, 0 while it is running."""
    return f"if({is_running_sql(held)}, toInt64(0), toInt64(tupleElement({held}, 4)))"


def hosts_sql(held: str) -> str:
    """Return the expression of the array of hosts in ``held``."""
    text = f"tupleElement({held}, 6)"
    return f"arrayFilter(each -> each != '', splitByChar('\\n', {text}))"


def _worst(held: str) -> str:
    return f"bitAnd(tupleElement({held}, 5), {_WRITERS_UNIT - 1})"


@dataclass(frozen=True, slots=True)
class RunState:
    """The state of a run from its writers; moments in µs, 0 if unknown.

    Attributes:
        ended_us: 0 while it is running.
        last_event_us: of any writer; points may be later.
    """

    state: str
    exit_code: int
    started_us: int
    ended_us: int
    last_event_us: int
    writers: int
    hosts: tuple[str, ...]


NO_WRITERS: Final = RunState("unknown", 0, 0, 0, 0, 0, ())


def run_state(held: Any) -> RunState:
    """Return the state that ``runs_sql`` packed into ``held``."""
    started, last_event, _, last_end, packed, hosts = (
        held.values() if isinstance(held, dict) else held
    )
    writers, worst = divmod(packed, _WRITERS_UNIT)
    severity, rest = divmod(worst, _SEVERITY)
    state = STATES[len(STATES) - severity] if severity else "unknown"
    return RunState(
        state=state,
        exit_code=rest % _NO_SUCCESS - _CODE if rest else 0,
        started_us=started,
        ended_us=0 if state == "running" else round(last_end),
        last_event_us=last_event,
        writers=writers,
        hosts=tuple(filter(None, hosts.split("\n"))),
    )


_STATES: Final = """
SELECT writer_id, max(w.host) AS its_host, max(w.resumed) AS was_resumed,
       max(w.rank) AS its_rank, max(w.label) AS its_label,
       max(w.started_at) AS began, max(w.last_seen) AS seen, max(w.state) AS ended
FROM writers AS w
WHERE project = {project:String} AND run_id = {run_id:String}
GROUP BY writer_id
"""


def state_of(question: Question, project: str, run_id: str) -> RunState | None:
    """Return the state of one run, None if no writer of it is known."""
    rows = question.rows(_STATES, {"project": project, "run_id": run_id})
    return _state_of(rows) if rows else None


def _state_of(writers: list[dict[str, Any]]) -> RunState:
    """Return the result of ``runs_sql`` for the same rows; a test compares them."""
    resumed_at = max((each["began"] for each in writers if each["was_resumed"] % 2), default=0)
    restarted_at = _last_restart(writers)
    ends: list[tuple[int, bool, int]] = []
    that_count: list[tuple[int, bool, int]] = []
    last_end = 0
    for each in writers:
        moment, state, exit_code = _end_of(each["ended"])
        last_end = max(last_end, moment)
        until = _RUNNING_SINCE if state == "running" else max(each["began"], moment)
        severity = len(STATES) - STATES.index(state) if state in STATES else 0
        start = each["began"] if _is_of_job(each) else until
        if until >= resumed_at and start >= restarted_at:
            ends.append((severity, exit_code != 0, exit_code))
            if not _disappeared_beside(each, state):
                that_count.append(ends[-1])
    worst = max(that_count, default=_NO_END)
    severity, _, exit_code = worst if worst[0] == 1 else max(ends, default=_NO_END)
    state = STATES[len(STATES) - severity] if severity else "unknown"
    return RunState(
        state=state,
        exit_code=exit_code,
        started_us=min((each["began"] for each in writers if each["began"]), default=0),
        ended_us=0 if state == "running" else last_end,
        last_event_us=max(each["seen"] for each in writers),
        writers=len(writers),
        hosts=tuple(sorted({each["its_host"] for each in writers if each["its_host"]})),
    )


_NO_END: Final = (0, False, 0)


def _last_restart(writers: list[dict[str, Any]]) -> int:
    """Return when the last restart of the job began in µs, 0 if it has none."""
    restarts = sorted(
        ((each["began"], each["was_resumed"]) for each in writers if each["was_resumed"]),
        reverse=True,
    )
    mark = restarts[0][1] // 2 if restarts else 0
    if not mark:
        return 0
    own = list(takewhile(lambda each: each[1] // 2 == mark, restarts))
    began: int = own[-1][0]
    return began


def _is_of_job(writer: dict[str, Any]) -> bool:
    label = writer["its_label"]
    return writer["its_rank"] >= 0 or not label or bool(re.search(_BESIDE, label))


def _disappeared_beside(writer: dict[str, Any], state: str) -> bool:
    if state == "crashed" and writer["its_rank"] > 0:
        return True
    return state in ("crashed", "killed") and bool(re.search(_BESIDE, writer["its_label"]))


def _end_of(held: Any) -> tuple[int, str, int]:
    moment, state, exit_code = held.values() if isinstance(held, dict) else held
    return moment, state, exit_code


_WRITERS: Final = """
SELECT writer_id, max(w.label) AS its_label, max(w.host) AS its_host, max(w.pid) AS its_pid,
       max(w.rank) AS its_rank, max(w.world_size) AS its_world_size, max(w.client) AS its_client,
       max(w.started_at) AS began, max(w.last_seen) AS seen, max(w.state) AS ended
FROM writers AS w
WHERE project = {project:String} AND run_id = {run_id:String}
GROUP BY writer_id
ORDER BY its_rank, began, writer_id
"""


@dataclass(frozen=True, slots=True)
class Writer:
    """One process that logs into a run; ``rank`` is -1 and ``world_size`` 0 until known.

    Attributes:
        last_seen: its last point, line, start or end, in seconds since 1970 UTC.
    """

    writer_id: str
    label: str
    host: str
    pid: int
    rank: int
    world_size: int
    client: str
    state: str
    exit_code: int | None
    started_at: float | None
    last_seen: float | None


def list_writers(
    store: Store, project: str, run_id: str, *, limits: Limits = DEFAULT
) -> tuple[Writer, ...]:
    """Return the writers of a run by rank and start; none for an unknown run."""
    return writers_of(Question(store, limits), project, run_id)


def writers_of(question: Question, project: str, run_id: str) -> tuple[Writer, ...]:
    rows = question.rows(_WRITERS, {"project": project, "run_id": run_id})
    if running := [row for row in rows if _end_of(row["ended"])[1] == "running"]:
        points, lines = last_of_writers(question, project, run_id)
        for row in running:
            # Points have no writer; writers that log beside each other have a label each.
            signs = (points.get(row["its_label"], 0), lines.get(row["writer_id"], 0))
            row["seen"] = max(row["seen"], *signs)
    return tuple(map(_writer, rows))


def seconds(time_us: int) -> float | None:
    """Return a moment of the tables in seconds, None if unknown."""
    return time_us / 1_000_000 if time_us else None


def known_exit_code(state: str, exit_code: int) -> int | None:
    """Return the exit code, None if not observed: it runs, or its process was killed."""
    is_known = state not in ("", "running", "unknown") and exit_code != _UNSEEN
    return exit_code if is_known else None


def _writer(row: dict[str, Any]) -> Writer:
    _, state, exit_code = _end_of(row["ended"])
    return Writer(
        writer_id=row["writer_id"],
        label=row["its_label"],
        host=row["its_host"],
        pid=row["its_pid"],
        rank=row["its_rank"],
        world_size=row["its_world_size"],
        client=row["its_client"],
        state=state,
        exit_code=known_exit_code(state, exit_code),
        started_at=seconds(row["began"]),
        last_seen=seconds(row["seen"]),
    )
