"""Names of artifacts, their types and aliases: what is allowed, for SDK, daemon and hub alike."""

import re
import unicodedata
from typing import Final

from stepwell_wire.errors import ArtifactNameError

NAME_CHARACTERS_MAX: Final = 128
LATEST: Final = "latest"
RUN_FILES_TYPE: Final = "run-files"
"""Of the artifact of the files that `run.save` keeps."""

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_.-]")
_VERSION: Final = re.compile(r"v(0|[1-9][0-9]{0,8})")


def check_name(name: str) -> None:
    """Refuse a name that an artifact cannot have.

    Raises:
        ArtifactNameError: Says what is wrong.
    """
    if not _NAME.fullmatch(name) or not name.strip("."):
        raise ArtifactNameError(
            "name",
            name,
            f"1 to {NAME_CHARACTERS_MAX} letters (A to Z), digits, '-', '_' and '.', not only dots",
        )


def check_type(kind: str) -> None:
    """Refuse a type that an artifact cannot have; raises as `check_name`."""
    _check_word("type", kind)


def check_alias(alias: str) -> None:
    """Refuse an alias that a version cannot have; raises as `check_name`."""
    if version_number(alias) is not None:
        raise ArtifactNameError("alias", alias, "a word other than a version number such as v3")
    _check_word("alias", alias)


def version_number(text: str) -> int | None:
    """Return 3 for ``v3``, None for other texts."""
    found = _VERSION.fullmatch(text)
    return int(found.group(1)) if found else None


def artifact_name(text: str) -> str:
    """Return ``text`` as the name of an artifact."""
    return _NOT_IN_NAMES.sub("_", text)[:NAME_CHARACTERS_MAX]


def run_files_name(run_id: str) -> str:
    """Return the name of the artifact of the files that `run.save` keeps."""
    return artifact_name(f"run-{run_id}-files")


def _check_word(what: str, text: str) -> None:
    is_word = (
        0 < len(text) <= NAME_CHARACTERS_MAX
        and text.strip(" .") == text
        and not any(each in "/:\\" or unicodedata.category(each)[0] == "C" for each in text)
    )
    if not is_word:
        raise ArtifactNameError(
            what,
            text,
            f"1 to {NAME_CHARACTERS_MAX} characters without '/', ':', '\\' and control characters, "
            "with no space or dot at either end",
        )
