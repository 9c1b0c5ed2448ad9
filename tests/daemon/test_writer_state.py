"""What is known of a writer changes in one file."""

import ast
from dataclasses import fields
from pathlib import Path

import stepwell_daemon
from stepwell_daemon.spool.record import FILLS, FINISHES, JUMPS, SYNTHETIC
from stepwell_daemon.spool.segment import Location
from stepwell_daemon.writer_state import WriterState
from tests.daemon.made import writer_info

FIELDS = {field.name for field in fields(WriterState)}
OWNER = "writer_state.py"


def state_at(position: int) -> WriterState:
    return WriterState(writer_info(), accepted=position, durable=position)


def assigned(tree: ast.AST) -> set[str]:
    """Return ``place.name`` of each attribute of something else than ``self`` that is assigned."""
    return {
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store | ast.Del)
        and node.attr in FIELDS
        and not (isinstance(node.value, ast.Name) and node.value.id == "self")
    }


def test_nobody_else_assigns_a_field_of_a_writer() -> None:
    assert assigned(ast.parse("a.state.durable += 1\nstate.via, x = '', 1")) == {
        "a.state.durable",
        "state.via",
    }
    folder = Path(stepwell_daemon.__file__).parent
    texts = {path.name: path.read_text("utf-8") for path in folder.rglob("*.py")}
    holding = {
        name: assigned(ast.parse(text))
        for name, text in texts.items()
        if name != OWNER and any(word in text for word in ("WriterState", "registry", ".state"))
    }
    assert len(holding) > 10
    assert {name: found for name, found in holding.items() if found} == {}


def test_the_frame_after_a_missing_range_is_marked_whatever_is_appended_before_it() -> None:
    state = state_at(80)
    assert state.skip_to(160) == 80
    assert state.skip_to(100) == 0
    assert state.append(160, 8, SYNTHETIC) == (SYNTHETIC, False)
    assert state.append(160, 8, 0) == (JUMPS, False)
    assert state.append(168, 8, 0) == (0, False)
    assert (state.accepted, state.pending, state.waiting_bytes) == (176, 3, 24)


def test_what_was_appended_becomes_durable_and_what_is_no_part_of_the_stream_moves_no_mark() -> (
    None
):
    state = state_at(80)
    flags, _ = state.append(160, 8, JUMPS)
    assert (state.accepted, state.missing_ranges, state.durable) == (168, ((80, 160),), 80)
    state.append(96, 8, FILLS)
    assert (state.accepted, state.missing_ranges) == (168, ((80, 96), (104, 160)))
    end = Location(1, 4200)
    state.committed(160, 8, flags, end)
    state.committed(96, 8, FILLS, end)
    state.append(state.accepted, 8, SYNTHETIC | FINISHES)
    assert not state.finished
    state.committed(state.accepted, 8, SYNTHETIC | FINISHES, end)
    assert state.finished
    assert (state.durable, state.durable_missing_ranges, state.location) == (
        168,
        state.missing_ranges,
        end,
    )
    assert state.pending == 0


def test_an_older_connection_that_ends_leaves_the_newer() -> None:
    state = state_at(0)
    older, newer = object(), object()
    for each in (older, newer):
        state.connect(each, client="c", journal_dir="/j", is_dead=False)  # type: ignore[arg-type]
    assert not state.disconnect(older, monotonic=1.0)  # type: ignore[arg-type]
    assert state.session is newer
    assert state.disconnect(newer, monotonic=2.0)  # type: ignore[arg-type]
    assert (state.session, state.disconnected_at) == (None, 2.0)
