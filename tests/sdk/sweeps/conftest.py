"""The fake hub, named by the environment as a hub elsewhere is."""

from collections.abc import Iterator

import pytest

from tests.sdk.sweeps.fake_hub import KEY, FakeHub


@pytest.fixture
def hub(clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    made = FakeHub()
    monkeypatch.setenv("STEPWELL_HUB", made.url)
    monkeypatch.setenv("STEPWELL_HUB_KEY", KEY)
    yield made
    made.close()
