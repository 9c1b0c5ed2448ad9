"""Commands in messages can be pasted into a shell: names of projects and folders have spaces."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from stepwell._page import how_to_look
from stepwell_wire.commands import command_text, shell_word
from stepwell_wire.journal import unknown_run_text

ROOT = Path(__file__).parent.parent
SOURCES = [
    path
    for folder in ("proto", "sdk", "daemon", "hub")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path.name != "commands.py"
]
_OPEN_COMMAND = re.compile(r"`stepwelld?\b[^`]*\Z|\bch(?:mod|own) \S+ \Z")


def inserted(text: ast.JoinedStr) -> Iterator[tuple[str, ast.FormattedValue]]:
    """Yield each inserted value with the text before it."""
    before = ""
    for part in text.values:
        if isinstance(part, ast.FormattedValue):
            yield before, part
            before += "\0"
        elif isinstance(part, ast.Constant):
            before += str(part.value)


def is_quoted(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and ast.unparse(value.func) == "shell_word"


def test_no_command_is_put_together_without_quoting() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{part.lineno}: {ast.unparse(part.value)}"
        for path in SOURCES
        for text in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(text, ast.JoinedStr)
        for before, part in inserted(text)
        if _OPEN_COMMAND.search(before) and not is_quoted(part.value)
    ]
    assert not found, "use stepwell_wire.commands"


def test_a_command_is_read_by_a_shell_as_its_words() -> None:
    words = ["sync", Path("/tmp/mein ordner/it's"), "a$b"]
    text = command_text(*words)
    assert shlex.split(text.strip("`")) == ["stepwell", *map(str, words)]
    assert command_text("show", "p/r-1") == "`stepwell show p/r-1`"
    assert command_text("journal", "repair", "a b", rest="--run …") == (
        "`stepwell journal repair 'a b' --run …`"
    )
    assert shell_word(Path("/a b")) == "'/a b'"


def test_messages_with_a_project_or_a_folder_with_a_space() -> None:
    look = how_to_look("", "", project="slurm job", run_id="job42", is_terminal=False)
    assert "`stepwell show 'slurm job/job42'`" in look
    assert "repair '/tmp/mein ordner/r-1' --unverified" in unknown_run_text(
        Path("/tmp/mein ordner/r-1")
    )
