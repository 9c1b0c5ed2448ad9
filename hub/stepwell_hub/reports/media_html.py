"""Media of runs for an exported file: pictures with their masks and boxes, tables, their charts.

Of other media the file has the names.
"""

import asyncio
import base64
import time
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from stepwell_hub.api.blobs import media_type_of
from stepwell_hub.api.tables import TableRead, read_rows
from stepwell_hub.endpoints import Call
from stepwell_hub.reports.boxes import SHOWN_MAX, box_groups, boxes_html
from stepwell_hub.reports.masks import Painted, legend_html, names_of, paint
from stepwell_hub.reports.table_chart import (
    CLASSES_MAX,
    PAIRS_MAX,
    ROWS_MAX,
    ChartColumn,
    ChartRows,
    ChartSpec,
    chart_html,
    chart_of,
)
from stepwell_hub.reports.values import cell_text
from stepwell_hub.reports.words import empty_html, medium_state_text, table_html
from stepwell_hub.tables.sql import Condition
from stepwell_store import queries
from stepwell_store.queries import MediaItem
from stepwell_wire.table_columns import JSON, MIXED, TEXT

TABLE: Final = "table-file"
_TABLE_ROWS: Final = 20
_sleep = asyncio.sleep
_WAIT_SECONDS: Final = 10.0
"""How long all panels wait for media that are on their way: the file stays as it is."""
_ASK_SECONDS: Final = 0.25
_RECENT: Final = 60.0
"""Media of runs that ended so many seconds ago, or earlier, are not waited for."""
_PICTURE_BYTES_MAX: Final = 4 << 20
_PICTURES_BYTES_MAX: Final = 32 << 20
_BOXES_MAX: Final = 20_000
_PICTURES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp")
_NAMED: Final = ("actual", "predicted")
_TEXTS: Final = (TEXT, JSON, MIXED)
"""Columns whose cells keep their lines."""
_TINY_PIXELS: Final = 128
_LIVE_ONLY: Final = "only on the live page"


class MediaHtml:
    """Draws the media of one report; the limits of its file are over all of them.

    Args:
        now: when the file was asked for, in seconds since 1970.
    """

    def __init__(self, call: Call, project: str, now: float) -> None:
        self._call = call
        self._project = project
        self._now = now
        self._picture_bytes = 0
        self._boxes = 0
        self._deadline = time.monotonic() + _WAIT_SECONDS

    async def values(
        self, runs: Sequence[Any], metric: str, *, step: int | None = None
    ) -> list[tuple[Any, queries.MediaValue]]:
        """Return runs with their media of a metric; wait for those on their way."""
        if not runs:
            return []
        ids = [run.run_id for run in runs]
        while True:
            values = await self._call.ask(queries.media_at, self._project, ids, [metric], step=step)
            items = [item for value in values for item in value.items]
            if not await self._may_change(runs, items):
                return [(run, each) for run in runs for each in values if each.run_id == run.run_id]

    async def value(self, run: Any, value: queries.MediaValue) -> str:
        """Return all items of a value."""
        if value.type == TABLE and value.items:
            return await self._table(run, value.metric, value.items[0])
        items = [await self._item(item) for item in value.items]
        return f'<div class="media">{"".join(items)}</div>'

    # ------------------------------------------------------------------ pictures

    async def _item(self, item: MediaItem) -> str:
        caption = f"<figcaption>{escape(item.caption)}</figcaption>" if item.caption else ""
        if item.state != "ready":
            return f"<figure>{empty_html(medium_state_text(item))}{caption}</figure>"
        image, words = await self._image(item)
        if not image:
            what = f"{item.type}, {item.size:,} bytes: {_LIVE_ONLY}"
            return f"<figure>{empty_html(what)}{caption}</figure>"
        return f"<figure>{image}{caption}{words}</figure>"

    async def _image(self, item: MediaItem) -> tuple[str, str]:
        """Return a picture with its masks and boxes, and the words below it.

        Both are "" where it is no picture, too large, or gone.
        """
        content = await asyncio.to_thread(self._picture, item.digest)
        if content is None:
            return "", ""
        kind, picture = content
        tiny = ' class="tiny"' if 0 < item.width <= _TINY_PIXELS else ""
        name = escape(item.caption or item.type)
        image = f'<img{tiny} alt="{name}" src="{_address(kind, picture)}">'
        over, words, classes = "", "", []
        for mask in item.masks:
            painted = await self._painted(item, mask)
            if painted is None:
                why = medium_state_text(mask) if mask.state != "ready" else _LIVE_ONLY
                words += empty_html(f"{mask.name}: {why}")
                continue
            over += f'<img class="mask" alt="" src="{_address("image/png", painted.png)}">'
            classes.append((mask.name, painted.classes))
        groups = box_groups(item.about, item.width, item.height)
        count = sum(len(group.boxes) for group in groups)
        boxes, shown = boxes_html(groups, min(SHOWN_MAX, _BOXES_MAX - self._boxes))
        self._boxes += shown
        over += boxes
        if shown < count:
            words += empty_html(f"{shown:,} of {count:,} boxes are drawn")
        words += legend_html(classes)
        return f'<span class="boxed">{image}{over}</span>' if over else image, words

    async def _painted(self, item: MediaItem, mask: queries.MediaMask) -> Painted | None:
        """Return a mask of ``item`` in its colours; None without its bytes, or if too large."""
        if mask.state != "ready":
            return None
        content = await asyncio.to_thread(self._picture, mask.digest)
        if content is None:
            return None
        names = names_of(mask, item.masks, item.about)
        return await asyncio.to_thread(paint, content[1], names)

    def _picture(self, digest: str) -> tuple[str, bytes] | None:
        """Return a picture with its type; None where it is none, too large, or gone."""
        try:
            with self._call.context.blobs.open(digest) as file:
                content = file.read(_PICTURE_BYTES_MAX + 1)
        except OSError:
            return None
        kind = media_type_of(content[:64])
        total = self._picture_bytes + len(content)
        if (
            kind not in _PICTURES
            or len(content) > _PICTURE_BYTES_MAX
            or total > _PICTURES_BYTES_MAX
        ):
            return None
        self._picture_bytes = total
        return kind, content

    # ------------------------------------------------------------------ tables

    async def rows(self, run: Any, item: MediaItem, count: int, where: str = "") -> str:
        """Return the first rows of a table.

        Args:
            where: HTML after the words with the number of rows.
        """
        if item.state != "ready":
            return empty_html(medium_state_text(item))
        while True:
            table = await self._read(run.run_id, item.digest, count=count)
            media = [cell for row in table.rows for cell in row if isinstance(cell, MediaItem)]
            if not await self._may_change([run], media):
                break
        head = "".join(f"<th>{escape(name)}</th>" for name, _ in table.columns)
        lines = [await self._row(table.columns, row) for row in table.rows]
        words = f"{len(table.rows):,} of {table.total:,} rows{where}"
        return f'{table_html(head, lines)}<p class="fact">{words}</p>'

    async def _table(self, run: Any, metric: str, item: MediaItem) -> str:
        """Return the chart of a table, or its first rows where it has none."""
        spec = chart_of(item.about)
        if spec is None or item.state != "ready":
            return await self.rows(run, item, _TABLE_ROWS)
        title = f"<b>{escape(item.caption)}</b>" if item.caption else ""
        found = await self._chart_rows(run.run_id, item.digest, spec)
        drawn = await asyncio.to_thread(chart_html, spec, found, name=item.caption or metric)
        return f'<figure class="table-chart">{title}{drawn}</figure>'

    async def _row(self, columns: Sequence[tuple[str, str]], cells: Sequence[Any]) -> str:
        parts = []
        for (_, kind), cell in zip(columns, cells, strict=True):
            if isinstance(cell, MediaItem):
                parts.append(f"<td>{await self._medium_cell(cell)}</td>")
                continue
            mark = ' class="text"' if kind in _TEXTS and cell is not None else ""
            parts.append(f"<td{mark}>{escape(cell_text(cell, kind))}</td>")
        return f"<tr>{''.join(parts)}</tr>"

    async def _medium_cell(self, item: MediaItem) -> str:
        """Return a picture over its caption; of another medium its caption or its type."""
        if item.state != "ready":
            return escape(medium_state_text(item))
        image, _ = await self._image(item)
        if not image:
            return escape(item.caption or item.type.removesuffix("-file"))
        caption = f'<div class="fact">{escape(item.caption)}</div>' if item.caption else ""
        return f"{image}{caption}"

    async def _chart_rows(self, run_id: str, digest: str, spec: ChartSpec) -> ChartRows:
        """Return the rows that the page draws the chart of: of a long table a part."""
        places = tuple(spec.columns.values())
        is_matrix = spec.kind == "confusion_matrix"
        most = PAIRS_MAX if is_matrix else ROWS_MAX
        part = "all"
        table = await self._read(run_id, digest, count=most, places=places)
        if table.total > most:
            part = "first"
            if is_matrix:
                asked = {"count": most + 1, "places": places}
                of_classes = await self._read(
                    run_id, digest, **asked, conditions=_classes(table, spec)
                )
                if len(of_classes.rows) <= most:
                    part, table = "classes", of_classes
            elif spec.kind != "bar":  # Bars have the order of their rows.
                part = "thinned"
                table = await self._read(run_id, digest, count=most, places=places, thin=most)
        columns = {
            role: ChartColumn(name, kind, [row[at] for row in table.rows])
            for at, (role, (name, kind)) in enumerate(zip(spec.columns, table.columns, strict=True))
        }
        return ChartRows(columns, len(table.rows), table.total, part)

    async def _read(self, run_id: str, digest: str, **asked: Any) -> TableRead:
        return await read_rows(self._call, self._project, run_id, digest, **asked)

    # ------------------------------------------------------------------ waiting

    async def _may_change(self, runs: Sequence[Any], items: Sequence[MediaItem]) -> bool:
        """Return, after a pause, whether it is worth to ask for the state of ``items`` again."""
        masks = [mask for item in items for mask in item.masks]
        states = {each.state for each in items} | {each.state for each in masks}
        recent = any(run.ended_at is None or run.ended_at > self._now - _RECENT for run in runs)
        if "uploading" not in states or not recent or time.monotonic() >= self._deadline:
            return False
        await _sleep(_ASK_SECONDS)
        return True


def _classes(table: TableRead, spec: ChartSpec) -> list[Condition]:
    """Return the condition for rows of the classes that a matrix draws.

    It is empty if a class is neither a short text nor a number.
    """
    named = [list(spec.columns).index(role) for role in _NAMED]
    found: dict[Any, None] = {}
    for row in table.rows:
        for at in named:
            if isinstance(row[at], Mapping) or row[at] is None or isinstance(row[at], MediaItem):
                return []
            if len(found) < CLASSES_MAX:
                found[row[at]] = None
    return [Condition(spec.columns[role], "in", values=tuple(found)) for role in _NAMED]


def _address(kind: str, content: bytes) -> str:
    """Return a picture as an address that has its bytes."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
