"""The command that installs more of stepwell names where this installation came from."""

import pytest

from stepwell_wire.installation import _requirement, install_command


@pytest.mark.parametrize(
    ("origin", "requirement"),
    [
        ({}, "'stepwell[all]'"),
        ({"url": "file:///src/step%20well", "dir_info": {}}, "'/src/step well[all]'"),
        ({"url": "file:///src/s", "dir_info": {"editable": True}}, "-e '/src/s[all]'"),
        (
            {"url": "file:///w/stepwell-1.whl", "archive_info": {}},
            "'stepwell[all] @ file:///w/stepwell-1.whl'",
        ),
        (
            {"url": "https://example.org/s", "vcs_info": {"vcs": "git", "commit_id": "1"}},
            "'stepwell[all] @ git+https://example.org/s'",
        ),
    ],
)
def test_the_requirement_names_the_origin(origin: dict[str, object], requirement: str) -> None:
    assert _requirement("all", origin) == requirement


def test_this_installation_has_a_command() -> None:
    assert install_command("all").startswith("pip install ")
