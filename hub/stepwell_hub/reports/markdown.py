"""Markdown as a tree of nodes, without HTML from the text, and with known kinds of addresses only.

CommonMark, with tables and strikethrough. Raw HTML is text. A picture's address becomes a link:
the page and the exported file load nothing from elsewhere.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

HEADINGS: Final = ("h1", "h2", "h3", "h4", "h5", "h6")
_BLOCKS: Final = ("p", "ul", "ol", "li", "blockquote", "pre", "hr", "br")
_INLINE: Final = ("code", "em", "strong", "s", "a")
_TABLE: Final = ("table", "thead", "tbody", "tr", "th", "td")
TAGS: Final = frozenset((*HEADINGS, *_BLOCKS, *_INLINE, *_TABLE))
ATTRIBUTES: Final = frozenset(("href", "title", "id", "start", "align", "lang"))
SCHEMES: Final = frozenset(("", "http", "https", "mailto"))
_ALIGN: Final = re.compile(r"text-align:(left|right|center)")
_NO_SLUG: Final = re.compile(r"[^\w]+")
_SLUG_CHARACTERS_MAX: Final = 80
_DEPTH_MAX: Final = 100
"""Of nested tags: readers of the tree recurse once per level. Deeper text has no tags."""

Node = Any
"""A string, or a list of tag, attributes and nodes."""


@cache
def parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


class TreeMaker:
    """Makes nodes from tokens; ids of headings are unique in one text."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}

    def nodes(self, tokens: Sequence[Token], depth: int = 0) -> list[Node]:
        """Return the nodes of complete tokens: each opening token has its closing one.

        Args:
            depth: number of tags around them.
        """
        open_nodes: list[list[Any]] = [["", {}]]
        for token in tokens:
            around = depth + len(open_nodes)
            if token.nesting > 0:
                open_nodes.append(self._opened(token) if around <= _DEPTH_MAX else ["", {}])
            elif token.nesting < 0:
                self._close(open_nodes)
            elif token.type == "inline":
                open_nodes[-1].extend(self.nodes(token.children or (), around - 1))
            else:
                open_nodes[-1].extend(self._leaf(token))
        while len(open_nodes) > 1:
            self._close(open_nodes)
        return open_nodes[0][2:]

    def _close(self, open_nodes: list[list[Any]]) -> None:
        node = open_nodes.pop()
        tag, attributes, *inner = node
        if tag not in TAGS:  # A tight list's paragraph, or a link to nowhere.
            open_nodes[-1].extend(inner)
            return
        if tag in HEADINGS:
            attributes["id"] = self._id_of(text_of(inner))
        open_nodes[-1].append(node)

    def _opened(self, token: Token) -> list[Any]:
        if token.hidden:
            return ["", {}]
        attributes: dict[str, Any] = {}
        if token.tag == "a":
            address = str(token.attrGet("href") or "")
            if not is_safe(address):
                return ["", {}]
            attributes["href"] = address
            if title := token.attrGet("title"):
                attributes["title"] = str(title)
        if token.tag == "ol" and (start := token.attrGet("start")) is not None:
            attributes["start"] = int(start)
        if found := _ALIGN.search(str(token.attrGet("style") or "")):
            attributes["align"] = found.group(1)
        return [token.tag, attributes]

    def _leaf(self, token: Token) -> list[Node]:
        match token.type:
            case "text" | "html_inline" | "html_block":
                return [token.content] if token.content else []
            case "code_inline":
                return [["code", {}, token.content]]
            case "fence" | "code_block":
                language = token.info.split()[0] if token.info.split() else ""
                return [
                    ["pre", {}, ["code", {"lang": language} if language else {}, token.content]]
                ]
            case "softbreak":
                return ["\n"]
            case "hardbreak":
                return [["br", {}]]
            case "hr":
                return [["hr", {}]]
            case "image":
                address = str(token.attrGet("src") or "")
                words = token.content or address
                return [["a", {"href": address}, words]] if is_safe(address) else [words]
        return [token.content] if token.content else []

    def _id_of(self, text: str) -> str:
        slug = _NO_SLUG.sub("-", text.lower()).strip("-")[:_SLUG_CHARACTERS_MAX] or "part"
        count = self._ids[slug] = self._ids.get(slug, 0) + 1
        return f"h-{slug}" if count == 1 else f"h-{slug}-{count}"


def text_of(nodes: Sequence[Node]) -> str:
    """Return the text of nodes without their tags."""
    return "".join(each if isinstance(each, str) else text_of(each[2:]) for each in nodes)


def is_safe(address: str) -> bool:
    """Whether a link may lead to ``address``: the web, a mailbox, or a place of this hub."""
    try:
        scheme = urlsplit(address).scheme
    except ValueError:
        return False
    return scheme.lower() in SCHEMES and not address.startswith(("//", "/\\", "\\"))
