"""A report's text taken apart: texts become nodes without HTML, panels become checked fields."""

import asyncio
import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell_hub.reports import document
from stepwell_hub.reports.answers import Block, Document, Problem
from stepwell_hub.reports.blocks import read_panel
from stepwell_hub.reports.document import PANELS_MAX, document_of, read_document
from stepwell_hub.reports.markdown import ATTRIBUTES, SCHEMES, TAGS, is_safe, text_of
from stepwell_hub.reports.nodes_html import nodes_html
from stepwell_hub.reports.panels import KINDS

PANEL = "```stepwell\npanel: value\nmetric: loss\n```\n"


def nodes(text: str) -> list[Any]:
    [block] = read_document(text).blocks
    return list(block.nodes)


def problem_of(content: str, info: str = "stepwell") -> Problem:
    block = read_panel(info, content, line=10)
    assert (block.panel, block.fields) == ("", None)
    [problem] = block.problems
    return problem


# ---------------------------------------------------------------------------- text


def test_markdown_becomes_nodes() -> None:
    assert nodes("# The *end*\n\nlower is **better**,\n`x`") == [
        ["h1", {"id": "h-the-end"}, "The ", ["em", {}, "end"]],
        ["p", {}, "lower is ", ["strong", {}, "better"], ",", "\n", ["code", {}, "x"]],
    ]
    assert nodes("- a\n- b") == [["ul", {}, ["li", {}, "a"], ["li", {}, "b"]]]
    assert nodes("3. ~~a~~") == [["ol", {"start": 3}, ["li", {}, ["s", {}, "a"]]]]
    assert nodes("```python\nx = 1\n```") == [["pre", {}, ["code", {"lang": "python"}, "x = 1\n"]]]
    [table] = nodes("| a |\n|--:|\n| 1 |")
    assert table[2] == ["thead", {}, ["tr", {}, ["th", {"align": "right"}, "a"]]]


def test_headings_of_one_text_have_different_ids() -> None:
    text = f"# Results\n\n{PANEL}\n# Results\n\n# ¿?"
    found = [node[1]["id"] for block in read_document(text).blocks for node in block.nodes]
    assert found == ["h-results", "h-results-2", "h-part"]


@pytest.mark.parametrize("around", ["*", "**", "~~", "_", "> > > *"])
@pytest.mark.slow
def test_text_in_thousands_of_tags_keeps_a_hundred_of_them(around: str) -> None:
    found = nodes("x " + around * 2000 + "a" + around * 2000)
    assert text_of(found).startswith("x ")
    assert "a" in text_of(found)
    assert nodes_html(found, base="").startswith("<p>x ")
    depth = 0
    while found := [part for node in found if isinstance(node, list) for part in node[2:]]:
        depth += 1
    assert depth <= 100


def test_html_is_text() -> None:
    script = "<script>alert(1)</script>"
    assert nodes(script) == [["p", {}, script]]
    assert nodes(f"a {script} b") == [["p", {}, f"a {script} b"]]


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "JaVaScript:x", "data:text/html,x", "vbscript:x", "file:///etc/passwd",
     "//evil.example", "ftp://x", "blob:x"],
)  # fmt: skip
def test_a_link_leads_nowhere_else(address: str) -> None:
    assert "href" not in str(read_document(f"[x](<{address}>) <{address}>"))


@pytest.mark.parametrize("address", ["https://x.example/a?b#c", "/p/digits", "#h-a", "mailto:a@b"])
def test_a_link_leads_to_the_web_and_to_the_hub(address: str) -> None:
    assert nodes(f"[x]({address})") == [["p", {}, ["a", {"href": address}, "x"]]]


def test_a_picture_is_a_link() -> None:
    assert nodes("![a cat](https://x.example/cat.png)") == [
        ["p", {}, ["a", {"href": "https://x.example/cat.png"}, "a cat"]]
    ]


pieces = st.sampled_from(
    ["# ", "- ", "> ", "```", "```stepwell\n", "panel: line\n", "metrics: a\n", "<b>", "[x](", ")",
     "javascript:", "&lt;", "\n", "\n\n", "| a |\n|--|\n", "*", "_", "`", "<http://x>", "text ",
     "![", "](/", "\t", "\\", "&#x6a;", "[x]: data:x\n"]
)  # fmt: skip


@given(st.lists(pieces, max_size=30).map("".join))
def test_nodes_have_known_tags_attributes_and_addresses_only(text: str) -> None:
    def check(node: Any) -> None:
        if isinstance(node, str):
            return
        tag, attributes, *inner = node
        assert tag in TAGS
        assert set(attributes) <= ATTRIBUTES
        if "href" in attributes:
            address = attributes["href"]
            assert is_safe(address)
            assert address.partition(":")[0] in SCHEMES or not address.lower().startswith("java")
        for each in inner:
            check(each)

    for block in read_document(text).blocks:
        assert block.line >= 1
        for node in block.nodes:
            check(node)


# ---------------------------------------------------------------------------- panels


def test_a_panel_stands_between_texts() -> None:
    found = read_document(f"before\n\n{PANEL}\nafter")
    assert [(block.line, block.panel) for block in found.blocks] == [
        (1, ""),
        (3, "value"),
        (8, ""),
    ]
    assert found.blocks[1].fields == {
        "metric": "loss", "best": "last", "runs": "", "ids": [], "title": "",
    }  # fmt: skip


def test_a_panel_in_one_line() -> None:
    short = read_panel('stepwell {panel: line, metrics: [a, "b,c"], runs: "tag:x"}', "", line=1)
    assert short.fields is not None
    assert (short.fields["metrics"], short.fields["runs"]) == (["a", "b,c"], "tag:x")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("panel: line\nmetrics: a", 10),
        ("panel: line\nmetrics: a\ngroup: config.lr", 100),
        ("panel: line\nmetrics: a\ngroup: config.lr\nlimit: 10", 10),
        (f"panel: line\nmetrics: a\nids: {','.join('abcdefghijkl')}", 12),
        ("panel: runs\nids: a", 20),
        ("panel: media\nmetric: a", 4),
    ],
)
def test_a_panel_without_a_limit_has_room_for_groups_and_named_runs(
    text: str, expected: int
) -> None:
    fields = read_panel("stepwell", text, line=1).fields
    assert fields is not None
    assert fields["limit"] == expected


def test_numbers_stay_the_texts_that_they_are_written_as() -> None:
    fields = read_panel("stepwell", "panel: runs\nids: 0012, 1e5\nlimit: 7", line=1).fields
    assert fields is not None
    assert (fields["ids"], fields["limit"]) == (["0012", "1e5"], 7)


@pytest.mark.parametrize(
    ("content", "line", "field", "said"),
    [
        ("", 10, "panel", "the kinds are line, runs"),
        ("metrics: a", 10, "panel", "the kind of panel is missing"),
        ("panel: lime", 11, "panel", "Did you mean line?"),
        ("panel: line", 10, "metrics", "`metrics: val/loss`"),
        ("panel: line\nmetrics: a\nlimits: 3", 13, "limits", "Did you mean limit?"),
        ("panel: line\nmetrics: a\nlimit: 0", 13, "limit", "an integer from 1 to 100"),
        ("panel: line\nmetrics: a\nlimit: few", 13, "limit", "'few' is not an integer"),
        ("panel: line\nmetrics: a\nsmooth: nan", 13, "smooth", "a number from 0"),
        ("panel: line\nmetrics: a\ny: lag", 13, "y", "linear, log, symlog. Did you mean log?"),
        ("panel: line\nmetrics: a\nruns: 'lr<'", 13, "runs", "character"),
        ("panel: line\nmetrics: a\nmetrics: b", 13, "metrics", "appears twice"),
        ("panel: value", 10, "metric", "needs `metric`"),
        ("panel: value\nmetric: [a, b]", 12, "metric", "not a list"),
        ("panel: value\nmetric: {a: b}", 12, "metric", "a text or a list"),
        ("panel: value\n  metric: a: b", 12, "", "in quotes"),
        ("just words", 11, "", "`name: value`"),
        ("panel: [", 11, "", "`name: value`"),
        ("panel: line\nmetrics: " + "a" * 1001, 12, "metrics", "the maximum is 1,000"),
        (
            "panel: line\nmetrics: " + ",".join(map(str, range(51))),
            12,
            "metrics",
            "the maximum is 50",
        ),
        ("# " + "x" * 17_000, 11, "", "a panel may have"),
    ],
)
def test_a_wrong_panel_says_where_and_what(content: str, line: int, field: str, said: str) -> None:
    problem = problem_of(content)
    assert (problem.line, problem.field) == (line, field)
    assert said in problem.message


def test_all_wrong_fields_are_named_at_once() -> None:
    block = read_panel("stepwell", "panel: line\nlimit: x\nmetrics: a\nsmooth: y", line=1)
    assert [each.line for each in block.problems] == [3, 5]


def test_a_short_panel_has_no_lines_besides() -> None:
    assert "either in braces" in problem_of("metric: a", "stepwell {panel: value}").message


def test_a_panel_inside_a_list_says_why_it_is_not_drawn() -> None:
    blocks = read_document("- ```stepwell\n  panel: value\n  metric: a\n  ```\n").blocks
    [problem] = [each for block in blocks for each in block.problems]
    assert "in a list" in problem.message


def test_panels_beyond_the_limit_say_so() -> None:
    blocks = read_document(PANEL * (PANELS_MAX + 1)).blocks
    assert [bool(block.problems) for block in blocks] == [False] * PANELS_MAX + [True]


def test_other_fences_are_code() -> None:
    for info in ("stepwells", "yaml", "", "my stepwell"):
        [block] = read_document(f"```{info}\npanel: line\n```").blocks
        assert (block.panel, block.problems) == ("", ())


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_kinds_example_is_a_panel(kind: Any) -> None:
    block = read_panel("stepwell", kind.example, line=1)
    assert block.problems == ()
    assert block.panel == kind.name
    assert block.fields is not None
    assert set(block.fields) == {field.name for field in kind.fields}


@given(st.text(max_size=200), st.sampled_from(["stepwell", "stepwell {", "stepwell {panel: line"]))
def test_no_content_is_beyond_a_panel_or_a_problem(content: str, info: str) -> None:
    block: Block = read_panel(info, content, line=1)
    assert bool(block.panel) != bool(block.problems)


def test_texts_are_taken_apart_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once: list[bool] = []
    taken = threading.Semaphore(1)

    def parse(text: str) -> Document:
        at_once.append(taken.acquire(blocking=False))
        time.sleep(0.01)
        taken.release()
        return read_document(text)

    monkeypatch.setattr(document, "read_document", parse)

    async def together() -> list[Document]:
        return await asyncio.gather(*(document_of(f"# {number}") for number in range(5)))

    found = asyncio.run(together())
    assert at_once == [True] * 5
    assert [each.blocks[0].nodes[0][2] for each in found] == ["0", "1", "2", "3", "4"]
