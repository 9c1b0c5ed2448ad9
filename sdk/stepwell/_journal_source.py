"""A delivery's access to the journal of its own process."""

from collections.abc import Iterable

from stepwell._journal import Journal
from stepwell._writer import Writer
from stepwell_wire.journal_files import WriterFile


class JournalSource:
    """The journal of this process, as the source of a delivery."""

    def __init__(self, journal: Journal, writer: Writer) -> None:
        self._journal, self._writer = journal, writer
        self.folder = str(journal.folder.absolute())

    @property
    def info(self) -> WriterFile:
        return self._journal.info

    @property
    def oldest(self) -> int:
        return self._journal.oldest

    @property
    def committed(self) -> int:
        return self._journal.committed

    @property
    def acked(self) -> int:
        return self._journal.acked

    def schemas(self) -> Iterable[tuple[int, tuple[str, ...]]]:
        return self._writer.name_sets.table()

    def read(self, position: int, bytes_max: int) -> bytes:
        return self._journal.read(position, bytes_max)

    def note_acked(self, position: int) -> None:
        self._journal.note_acked(position)
