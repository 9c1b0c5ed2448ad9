"""The embedded store at one moment, for a backup.

FREEZE makes hard links to the parts of a table, which never change. So it takes only a moment for a
store of any size; the parts are copied afterwards. An engine can open the copy as a store:

    store/metadata, store/data        links
    store/store/<3>/<uuid>/           definitions, mutations, tokens of blocks, and the frozen parts
"""

import os
import secrets
import shutil
from pathlib import Path
from typing import Final

from stepwell_store.copying import copy_file, copy_tree, make_folder
from stepwell_store.embedded import EmbeddedStore

_FOLDER: Final = "store"
_SHADOW: Final = "shadow"
_PREFIX: Final = "backup_"
"""Only letters, digits and _, because the engine escapes other characters in the folder's name."""
_TOKENS: Final = "deduplication_logs"
_EMPTY: Final = ("tmp", _SHADOW)
_FREEZE_SECONDS: Final = 60.0


class FrozenStore:
    """A context manager; the hard links exist until it ends.

    The caller ensures that no insert into several related tables happens while it is entered.
    """

    def __init__(self, store: EmbeddedStore, target: Path) -> None:
        """Freeze every table, and copy its small changing files to ``target``."""
        self._root = store.data_dir / _FOLDER
        self._target = target / _FOLDER
        self._remove_left()
        self._shadow = self._root / _SHADOW / f"{_PREFIX}{secrets.token_hex(8)}"
        try:
            self._freeze(store)
            self._copy_small()
        except BaseException:
            self.close()
            raise

    def copy_parts(self) -> int:
        """Copy the frozen parts; return the number of their bytes."""
        return copy_tree(self._shadow, self._target)

    def close(self) -> None:
        """Remove the hard links. Can be called twice."""
        shutil.rmtree(self._shadow, ignore_errors=True)

    def _freeze(self, store: EmbeddedStore) -> None:
        names = store.query("SELECT name FROM system.tables WHERE database = currentDatabase()")
        for row in names:
            store.query(
                f"ALTER TABLE `{row['name']}` FREEZE WITH NAME '{self._shadow.name}'",
                timeout_seconds=_FREEZE_SECONDS,
            )

    def _copy_small(self) -> None:
        for name in ("metadata", "data"):
            copy_tree(self._root / name, self._target / name)
        for name in _EMPTY:
            make_folder(self._target / name)
        for folder in (self._root / _FOLDER).glob("*/*"):
            place = self._target / _FOLDER / folder.parent.name / folder.name
            make_folder(place)
            for entry in os.scandir(folder):
                if entry.is_file(follow_symlinks=False):
                    copy_file(Path(entry.path), place / entry.name)
            copy_tree(folder / _TOKENS, place / _TOKENS)

    def _remove_left(self) -> None:
        """Remove the leftovers of a killed backup."""
        for folder in (self._root / _SHADOW).glob(f"{_PREFIX}*"):
            shutil.rmtree(folder, ignore_errors=True)
