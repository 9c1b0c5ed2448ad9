"""Logged media: the metrics with media, and the state of their bytes.

A row of `texts` has the script's facts of its media and the random ids of their bytes; `blobs` has
the state of these. A blob without a row in `blobs` is still uploading.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.queries.page import Page, check_limit, decode_cursor, encode_cursor
from stepwell_store.store import Store

KEYS_MAX: Final = 10_000
STEPS_MAX: Final = 100_000
RUNS_MAX: Final = 1000
_BLOBS_AT_ONCE: Final = 5000

# Rows begin with {"_type":"…". No brace here, because it would begin a parameter.
_IS_MEDIA: Final = "type = 'json' AND substring(text, 2, 9) = '\"_type\":\"'"
_TYPE: Final = "extract(substring(text, 11, 100), '^([^\"]*)\"')"


@dataclass(frozen=True, slots=True)
class MediaKey:
    """One metric with media.

    Attributes:
        type: the type of its last value: ``image-file``, ``images/separated``, ``html-file``,
            ``media`` (a list of several kinds, or of lists), …
        count: number of values, over all steps, labels and requested runs.
        runs: number of runs with media.
    """

    metric: str
    type: str
    count: int
    runs: int
    first_step: int
    last_step: int


@dataclass(frozen=True, slots=True)
class MediaMask:
    """A mask of an image: a grey picture with a class from 0 to 255 at each pixel.

    Attributes:
        id, state, digest, media_type, size, reason: as those of a `MediaItem`.
        labels: names of classes, by class as a text.
    """

    name: str
    id: str | None
    state: str
    digest: str
    media_type: str
    size: int
    reason: str
    labels: dict[str, Any]


@dataclass(frozen=True, slots=True)
class MediaItem:
    """One file, also if its bytes are missing.

    Attributes:
        id: its random id; None if no bytes were stored at all.
        state: ``uploading`` until the daemon has processed it, ``ready``, ``failed``, or ``none``
            for media whose bytes this release does not store.
        digest: its digest in the blob store; "" unless it is ready.
        reason: why it failed.
        size: in bytes.
        width, height: in pixels; 0 without a size, or until it is known.
        about: the other facts from the script: boxes, classes, format …
        masks: of an image.
        library: of a figure of Plotly, the digest of its plotly.js; "" unless it is ready.
    """

    type: str
    id: str | None
    state: str
    digest: str
    media_type: str
    size: int
    width: int
    height: int
    caption: str
    reason: str
    about: dict[str, Any]
    masks: tuple[MediaMask, ...] = ()
    library: str = ""


@dataclass(frozen=True, slots=True)
class MediaValue:
    """The media of one `log` call under one metric; ``time`` in seconds since 1970 UTC."""

    run_id: str
    metric: str
    label: str
    step: int
    time: float
    type: str
    items: tuple[MediaItem, ...]


@dataclass(frozen=True, slots=True)
class MediaSteps:
    """The steps with media, in order; ``is_cut`` if there are more than are listed."""

    steps: tuple[int, ...]
    is_cut: bool


def media_keys(
    store: Store, project: str, run_ids: Sequence[str] | None, *, limits: Limits = DEFAULT
) -> tuple[MediaKey, ...]:
    """Return the metrics with media, by name; without ids for all runs of the project."""
    where, parameters = media_where(project, run_ids)
    rows = Question(store, limits).rows(
        f"SELECT metric, argMax({_TYPE}, time) AS its_type, count() AS n, "
        f"uniqExact(run_id) AS runs, min(step) AS first_step, max(step) AS last_step "
        f"FROM texts WHERE {where} GROUP BY metric ORDER BY metric LIMIT {KEYS_MAX}",
        parameters,
    )
    return tuple(
        MediaKey(
            row["metric"],
            row["its_type"],
            int(row["n"]),
            int(row["runs"]),
            row["first_step"],
            row["last_step"],
        )
        for row in rows
    )


def media_steps(
    store: Store,
    project: str,
    run_ids: Sequence[str] | None,
    *,
    metric: str | None = None,
    limits: Limits = DEFAULT,
) -> MediaSteps:
    """Return the steps at which ``metric`` has media; without it, the steps of any metric."""
    where, parameters = media_where(project, run_ids)
    if metric is not None:
        where += " AND metric = {metric:String}"
        parameters["metric"] = metric
    rows = Question(store, limits).rows(
        f"SELECT DISTINCT step FROM texts WHERE {where} ORDER BY step LIMIT {STEPS_MAX + 1}",
        parameters,
    )
    steps = tuple(int(row["step"]) for row in rows)
    return MediaSteps(steps[:STEPS_MAX], len(steps) > STEPS_MAX)


def list_media(
    store: Store,
    project: str,
    run_ids: Sequence[str] | None,
    *,
    metric: str | None = None,
    first_step: int | None = None,
    last_step: int | None = None,
    newest_first: bool = False,
    limit: int = 100,
    cursor: str | None = None,
    limits: Limits = DEFAULT,
) -> Page[MediaValue]:
    """Return media by step, then metric, run, label and time.

    Args:
        run_ids: only of these; None: of all runs of the project.
        metric: only of this one.
        first_step, last_step: both ends included.
        newest_first: from the last step to the first.
    """
    check_limit(limit)
    where, parameters = media_where(project, run_ids)
    if metric is not None:
        where += " AND metric = {metric:String}"
        parameters["metric"] = metric
    for name, sign, value in (("first", ">=", first_step), ("last", "<=", last_step)):
        if value is not None:
            where += f" AND step {sign} {{{name}:Int64}}"
            parameters[name] = value
    asked = (project, *(run_ids or ()), str(metric), str(newest_first))
    order = "-step" if newest_first else "step"
    if cursor is not None:
        after = decode_cursor(asked, cursor, [int, str, str, str, int])
        where += (
            f" AND ({order}, metric, run_id, label, time) > "
            "({s:Int64}, {m:String}, {r:String}, {l:String}, {t:Int64})"
        )
        parameters |= dict(zip("smrlt", after, strict=True))
    question = Question(store, limits)
    rows = question.rows(
        "SELECT run_id, metric, label, step, time, text FROM texts "
        f"WHERE {where} ORDER BY {order}, metric, run_id, label, time LIMIT {limit + 1}",
        parameters,
    )
    following = None
    if len(rows) > limit:
        last = rows[limit - 1]
        step = -last["step"] if newest_first else last["step"]
        keys = [step, last["metric"], last["run_id"], last["label"], last["time"]]
        following = encode_cursor(asked, keys)
    return Page(media_values(question, project, rows[:limit]), following)


def media_items(
    store: Store,
    project: str,
    run_id: str,
    logged: Sequence[Mapping[str, Any]],
    *,
    limits: Limits = DEFAULT,
) -> tuple[MediaItem, ...]:
    """Return the state of media without rows of their own, such as the cells of a table."""
    ids = [blob_id for each in logged for blob_id in _ids(each)]
    known = _blobs(Question(store, limits), project, {run_id: ids})
    return tuple(_item(each, known) for each in logged)


def media_where(project: str, run_ids: Sequence[str] | None) -> tuple[str, dict[str, Any]]:
    """Return a condition for the media of these runs in `texts`, and its parameters."""
    if run_ids is None:
        return f"project = {{project:String}} AND {_IS_MEDIA}", {"project": project}
    if len(run_ids) > RUNS_MAX:
        raise ValueError(f"{len(run_ids)} runs; a request can have at most {RUNS_MAX}")
    condition = f"project = {{project:String}} AND run_id IN {{runs:Array(String)}} AND {_IS_MEDIA}"
    return condition, {"project": project, "runs": list(run_ids)}


# ---------------------------------------------------------------------- their state


def media_values(
    question: Question, project: str, rows: Sequence[Mapping[str, Any]]
) -> tuple[MediaValue, ...]:
    """Return rows of `texts` as media, with the state of their bytes."""
    logged = [json.loads(row["text"]) for row in rows]
    named: dict[str, list[str]] = {}
    for row, value in zip(rows, logged, strict=True):
        ids = [blob_id for item in _items(value) for blob_id in _ids(item)]
        named.setdefault(row["run_id"], []).extend(ids)
    known = _blobs(question, project, named)
    return tuple(
        MediaValue(
            row["run_id"],
            row["metric"],
            row["label"],
            row["step"],
            row["time"] / 1e6,
            str(value["_type"]),
            tuple(_item(each, known) for each in _items(value)),
        )
        for row, value in zip(rows, logged, strict=True)
    )


def _items(value: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the description of each file in a row: the row's own, or each of its lists."""
    if isinstance(value.get("items"), list):
        for each in value["items"]:
            if isinstance(each, dict):
                yield from _items(each)
    else:
        yield value


def _blobs(
    question: Question, project: str, named: Mapping[str, Sequence[str]]
) -> dict[str, Mapping[str, Any]]:
    """Return the newest row of each blob, by id; only ids that belong to these runs."""
    found: dict[str, Mapping[str, Any]] = {}
    ids = sorted({blob_id for each in named.values() for blob_id in each})
    for start in range(0, len(ids), _BLOBS_AT_ONCE):
        rows = question.rows(
            "SELECT run_id, blob, state, digest, size, media_type, width, height, reason "
            "FROM blobs WHERE project = {project:String} AND run_id IN {runs:Array(String)} "
            "AND blob IN {ids:Array(String)} ORDER BY time",
            {
                "project": project,
                "runs": sorted(named),
                "ids": ids[start : start + _BLOBS_AT_ONCE],
            },
        )
        found |= {row["blob"]: row for row in rows}
    return found


def _ids(item: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ids of its bytes and of its masks."""
    for each in (item, *_masks(item).values()):
        if isinstance(blob_id := each.get("blob"), str):
            yield blob_id
    if isinstance(library := item.get("library"), str):
        yield library


def _masks(item: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the masks that the row describes; older rows have labels only."""
    masks = item.get("masks")
    if not isinstance(masks, dict):
        return {}
    return {
        name: mask
        for name, mask in masks.items()
        if isinstance(mask, dict) and mask.get("_type") == "mask"
    }


def _item(logged: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> MediaItem:
    masks = _masks(logged)
    ours = {"_type", "blob", "failed", "caption", "width", "height", "library"}
    ours |= {"masks"} if masks else set()
    row = _row(logged, known)
    return MediaItem(
        type=str(logged.get("_type", "")),
        **_bytes(logged, row),
        width=_side(row, logged, "width"),
        height=_side(row, logged, "height"),
        caption=str(logged.get("caption") or ""),
        about={name: value for name, value in logged.items() if name not in ours},
        masks=tuple(_mask(name, mask, known) for name, mask in masks.items()),
        library=str((known.get(str(logged.get("library"))) or {}).get("digest", "")),
    )


def _mask(
    name: str, logged: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]
) -> MediaMask:
    labels = logged.get("class_labels")
    return MediaMask(
        name=name,
        **_bytes(logged, _row(logged, known)),
        labels=labels if isinstance(labels, dict) else {},
    )


def _row(
    logged: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    blob_id = logged.get("blob")
    return known.get(blob_id) if isinstance(blob_id, str) else None


def _bytes(logged: Mapping[str, Any], row: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the fields that say what became of the bytes."""
    blob_id = logged.get("blob")
    if row is not None:
        state, reason = str(row["state"]), str(row["reason"])
    elif isinstance(blob_id, str):
        state, reason = "uploading", ""
    else:
        state = "failed" if logged.get("failed") else "none"
        reason = str(logged.get("failed") or "")
    return {
        "id": blob_id if isinstance(blob_id, str) else None,
        "state": state,
        "digest": str(row["digest"]) if row is not None and state == "ready" else "",
        "media_type": str(row["media_type"]) if row is not None else "",
        "size": int(row["size"]) if row is not None else 0,
        "reason": reason,
    }


def _side(row: Mapping[str, Any] | None, logged: Mapping[str, Any], name: str) -> int:
    if row is not None and row[name]:
        return int(row[name])
    value = logged.get(name)
    return value if isinstance(value, int) and 0 <= value < 2**31 else 0
