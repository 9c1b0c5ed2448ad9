"""Where a hub may listen, and what it is called then."""

import socket
from pathlib import Path

import pytest

from stepwell_wire.hub_address import HubAddress, HubAddressError, bind


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "cert.pem", tmp_path / "key.pem"
    for path in paths:
        path.write_text("x")
    return paths


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_needs_nothing(host: str) -> None:
    HubAddress(host=host).check()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "hub.example"])
def test_beyond_loopback_the_key_never_goes_in_clear(
    host: str, certificate: tuple[Path, Path]
) -> None:
    with pytest.raises(HubAddressError, match=r"hub_cert_file.*hub_proxy"):
        HubAddress(host=host).check()
    HubAddress(host=host, proxy="10.0.0.0/8").check()
    HubAddress(host=host, cert_file=certificate[0], key_file=certificate[1]).check()


def test_what_cannot_be_is_refused(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    for wrong, said in (
        (HubAddress(cert_file=certificate[0]), "only one is set"),
        (HubAddress(cert_file=tmp_path / "no", key_file=certificate[1]), "is not a file"),
        (HubAddress(url="runs.example"), "expected https"),
        (HubAddress(url="https://runs.example/sub"), "remove the path"),
        (HubAddress(proxy="10.0.0.0/8, elsewhere"), "addresses or networks"),
    ):
        with pytest.raises(HubAddressError, match=said):
            wrong.check()


def test_the_address_that_browsers_use(certificate: tuple[Path, Path]) -> None:
    assert HubAddress().base_url(1) == "http://127.0.0.1:1"
    assert HubAddress(host="::1").base_url(1) == "http://[::1]:1"
    secure = HubAddress(host="hub.example", cert_file=certificate[0], key_file=certificate[1])
    assert secure.base_url(2) == "https://hub.example:2"
    assert HubAddress(host="0.0.0.0").base_url(3) == f"http://{socket.gethostname()}:3"
    assert HubAddress(url="https://runs.example/").base_url(4) == "https://runs.example"


def test_a_taken_port_gives_way_to_a_free_one() -> None:
    with bind("127.0.0.1", 0) as first:
        taken = first.getsockname()[1]
        with bind("127.0.0.1", taken) as second:
            assert second.getsockname()[1] not in (0, taken)
