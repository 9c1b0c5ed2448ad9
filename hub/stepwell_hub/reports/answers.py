"""What is answered about reports.

A node of text is a string, or a list: tag, attributes, then its own nodes:

    ["p", {}, "lower is ", ["em", {}, "better"]]

Tags and attributes are those of `markdown.TAGS` and `markdown.ATTRIBUTES`, and none else.
"""

from dataclasses import dataclass
from typing import Any, Literal

FieldType = Literal[
    "text", "filter", "axis", "path", "pattern", "names", "paths", "integer", "number", "choice"
]


@dataclass(frozen=True, slots=True)
class Report:
    """A report as it was saved last.

    Attributes:
        version: 1, and one more with each save.
        text: Markdown.
    """

    id: str
    project: str
    title: str
    text: str
    version: int
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True)
class ReportOverview:
    """A report without its text; ``size`` counts its bytes."""

    id: str
    project: str
    title: str
    version: int
    size: int
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True)
class ReportsPage:
    reports: tuple[ReportOverview, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class ReportVersion:
    """One state of a report; ``size`` counts the bytes of its text."""

    version: int
    title: str
    size: int
    saved_at: float


@dataclass(frozen=True, slots=True)
class ReportVersions:
    """The newest first."""

    versions: tuple[ReportVersion, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """The reason why a panel is not drawn.

    Attributes:
        line: of the text, from 1.
        field: of the panel, "" if the problem is not of a field.
    """

    line: int
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a report.

    Attributes:
        line: where it begins, from 1.
        nodes: of a text.
        panel: kind of a panel, "" for a text.
        fields: of the panel, with defaults filled in.
        problems: of a panel that is not drawn.
        source: of a panel.
    """

    line: int
    nodes: tuple[Any, ...] = ()
    panel: str = ""
    fields: dict[str, Any] | None = None
    problems: tuple[Problem, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A report's text, parsed into blocks."""

    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a panel.

    Attributes:
        about: one line of help.
        default: None without a default.
        choices: of a choice.
        low, high: bounds of a number, both included.
    """

    name: str
    type: FieldType
    about: str
    default: Any = None
    required: bool = False
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class PanelKind:
    """A kind of panel, its fields, and an example."""

    name: str
    about: str
    fields: tuple[Field, ...]
    example: str


@dataclass(frozen=True, slots=True)
class PanelKinds:
    kinds: tuple[PanelKind, ...]
