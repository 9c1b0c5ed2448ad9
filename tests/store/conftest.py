"""One real engine for all tests of the store; each test keeps to a project of its own."""

from collections.abc import Iterator

import pytest

from stepwell_store import EmbeddedStore, open_embedded


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    opened = open_embedded(tmp_path_factory.mktemp("store"), memory_bytes_max=1 << 30)
    opened.migrate()
    yield opened
    opened.close()
