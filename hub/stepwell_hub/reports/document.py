"""A report's text taken apart: texts as nodes, panels as checked fields."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final

from markdown_it.token import Token

from stepwell_hub.reports.answers import Block, Document, Problem
from stepwell_hub.reports.blocks import is_panel, read_panel
from stepwell_hub.reports.markdown import TreeMaker, parser

PANELS_MAX: Final = 50


async def document_of(text: str) -> Document:
    """Take ``text`` apart in a thread, one text at a time.

    A pathological text takes seconds of CPU time, and an editor asks several times a second. A
    client that leaves while it waits is not served.
    """
    return await asyncio.get_running_loop().run_in_executor(_thread(), read_document, text)


def read_document(text: str) -> Document:
    """Take ``text`` apart. Every text is valid; errors of a panel are in its problems."""
    maker = TreeMaker()
    blocks: list[Block] = []
    waiting: list[Token] = []
    panels = 0

    def flush() -> None:
        if waiting:
            begin = next((each.map[0] for each in waiting if each.map), 0)
            blocks.append(Block(begin + 1, nodes=tuple(maker.nodes(waiting))))
            waiting.clear()

    for token in parser().parse(text):
        if token.type != "fence" or not is_panel(token.info):
            waiting.append(token)
            continue
        line = (token.map[0] if token.map else 0) + 1
        if token.level > 0:
            waiting.append(token)
            message = (
                "a panel must not be in a list or a quotation; start its lines in the first column"
            )
            blocks.append(Block(line, problems=(Problem(line, "", message),), source=token.content))
            continue
        flush()
        panels += 1
        blocks.append(_limited(read_panel(token.info, token.content, line=line), panels))
    flush()
    return Document(tuple(sorted(blocks, key=lambda each: each.line)))


@cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="report")


def _limited(block: Block, number: int) -> Block:
    if number <= PANELS_MAX:
        return block
    message = f"a report may have at most {PANELS_MAX} panels; use another report for the others"
    return Block(block.line, problems=(Problem(block.line, "", message),), source=block.source)
