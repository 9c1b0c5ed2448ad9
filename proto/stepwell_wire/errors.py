"""Errors in bytes from the other side."""


class WireError(Exception):
    """Bytes that break the contract of docs/formats/records.md."""


class MalformedRecordsError(WireError):
    """A stream of records that cannot be read past ``offset``."""

    def __init__(self, offset: int, total_bytes: int, expected: str) -> None:
        super().__init__(
            f"records: byte {offset} of {total_bytes}: expected {expected}; data from this "
            "byte on was rejected"
        )
        self.offset = offset
        self.total_bytes = total_bytes
        self.expected = expected


class JournalError(WireError):
    """A journal that cannot be read, with what is wrong, where, and what to do."""


class StagedDamagedError(WireError):
    """A file that is not a complete staged blob."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}; expected a staged blob (docs/formats/blobs.md)")
        self.where, self.what = where, what


class ManifestError(WireError):
    """Bytes or entries that are not a manifest of an artifact's version."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"manifest: {where}: {what} (docs/formats/artifacts.md)")
        self.where, self.what = where, what


class DraftError(WireError):
    """Bytes that are not a draft of an artifact's version."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"draft: {where}: {what} (docs/formats/artifacts.md)")
        self.where, self.what = where, what


class ArtifactNameError(WireError, ValueError):
    """A name, type or alias that an artifact cannot have."""

    def __init__(self, what: str, given: str, expected: str) -> None:
        super().__init__(f"{what} {given[:200]!r}: expected {expected}")
        self.what, self.given = what, given
