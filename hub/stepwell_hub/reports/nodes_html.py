"""Nodes of a report's text as HTML: texts escaped, tags and attributes of the short lists only."""

from collections.abc import Sequence
from html import escape
from typing import Any, Final
from urllib.parse import urljoin

from stepwell_hub.reports.markdown import TAGS, is_safe

_VOID: Final = ("br", "hr")


def nodes_html(nodes: Sequence[Any], *, base: str) -> str:
    """Return HTML; links to places of the hub become addresses below ``base``."""
    return "".join(_node(each, base) for each in nodes)


def _node(node: Any, base: str) -> str:
    if isinstance(node, str):
        return escape(node)
    tag, attributes, *inner = node
    if tag not in TAGS:
        return nodes_html(inner, base=base)
    words = "".join(f' {name}="{escape(value)}"' for name, value in _attributes(attributes, base))
    if tag in _VOID:
        return f"<{tag}{words}>"
    return f"<{tag}{words}>{nodes_html(inner, base=base)}</{tag}>"


def _attributes(given: dict[str, Any], base: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = [
        (name, str(given[name])) for name in ("id", "title", "start") if name in given
    ]
    if "align" in given:
        found.append(("class", f"align-{given['align']}"))
    address = str(given.get("href", ""))
    if address and is_safe(address):
        whole = address if address.startswith("#") else urljoin(base, address)
        found += [("href", whole), ("rel", "noopener noreferrer")]
    return found
