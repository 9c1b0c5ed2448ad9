"""Which names artifacts, types and aliases can have."""

import pytest

from stepwell_wire.artifact_names import check_alias, check_name, check_type, version_number
from stepwell_wire.errors import ArtifactNameError


@pytest.mark.parametrize("name", ["model", "a", "run-k3x9.best_1", "x" * 128, ".hidden", "v1"])
def test_a_plain_name_is_taken(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a:b", "a b", "é", "a\n", "x" * 129, "a\0"])
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(ArtifactNameError, match="letters"):
        check_name(name)


@pytest.mark.parametrize("text", ["best", "latest", "prod 2", "v1.2", "version3", "v01", "é"])
def test_types_and_aliases_are_words(text: str) -> None:
    check_alias(text)
    check_type(text)


@pytest.mark.parametrize("text", ["", "a/b", "a:b", "..", " a", "a\n", "a\0", "\ud800", "x" * 129])
def test_others_are_refused(text: str) -> None:
    with pytest.raises(ArtifactNameError):
        check_alias(text)
    with pytest.raises(ArtifactNameError):
        check_type(text)


def test_an_alias_is_no_number_of_a_version() -> None:
    with pytest.raises(ArtifactNameError, match="other than a version number"):
        check_alias("v3")
    assert (version_number("v3"), version_number("v0"), version_number("v03")) == (3, 0, None)
