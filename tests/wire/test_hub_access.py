"""A hub's key, and the codes and cookies that are made of it."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell_wire.hub_access import (
    CODE_SECONDS,
    COOKIE_SECONDS,
    HubKeyError,
    check_cookie,
    check_login_code,
    cookie_name,
    ensure_key,
    login_link,
    make_cookie,
    make_login_code,
    page_path,
    read_key,
    rotate_key,
)

KEY, OTHER = "k" * 43, "l" * 43
NOW = 1_790_000_000.0


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "hub"
    key = ensure_key(folder)
    assert len(key) == 43
    assert ensure_key(folder) == read_key(folder) == key
    assert stat.S_IMODE((folder / "key").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(path.name for path in folder.iterdir()) == ["key"]


def test_a_folder_that_others_could_enter_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    ensure_key(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_a_rotated_key_is_another_and_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    first = ensure_key(folder)
    assert rotate_key(folder) == folder / "key"
    second = read_key(folder)
    assert second != first
    assert stat.S_IMODE((folder / "key").stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == ["key"]
    assert not check_cookie(second, make_cookie(first, now=NOW), now=NOW)
    assert check_login_code(second, make_login_code(first, now=NOW), now=NOW) is None


def test_a_key_is_rotated_where_there_was_none(tmp_path: Path) -> None:
    rotate_key(tmp_path / "data" / "hub")
    assert read_key(tmp_path / "data" / "hub")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_may_read_is_no_key(tmp_path: Path, mode: int) -> None:
    ensure_key(tmp_path)
    (tmp_path / "key").chmod(mode)
    with pytest.raises(HubKeyError, match="other users may read"):
        read_key(tmp_path)


@pytest.mark.parametrize("content", [b"", b"short\n", b"k" * 44, b"k" * 42 + b"/", b"\xff" * 43])
def test_what_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(HubKeyError, match="43 letters"):
        ensure_key(tmp_path)


def test_a_link_in_the_place_of_the_key_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(KEY)
    elsewhere.chmod(0o600)
    (tmp_path / "hub").mkdir()
    os.symlink(elsewhere, tmp_path / "hub" / "key")
    with pytest.raises(HubKeyError):
        ensure_key(tmp_path / "hub")


def test_a_missing_key_says_where_it_would_be(tmp_path: Path) -> None:
    with pytest.raises(HubKeyError, match=str(tmp_path / "key")):
        read_key(tmp_path)


@given(st.binary(min_size=8, max_size=8), st.integers(0, CODE_SECONDS - 1))
def test_a_code_is_good_for_its_hub_until_it_expires(nonce: bytes, later: int) -> None:
    code = make_login_code(KEY, now=NOW, nonce=nonce)
    found = check_login_code(KEY, code, now=NOW + later)
    assert found is not None
    assert (found.nonce, found.expires_at) == (nonce, NOW + CODE_SECONDS)
    assert check_login_code(OTHER, code, now=NOW + later) is None
    assert check_login_code(KEY, code, now=NOW + CODE_SECONDS) is None


@given(st.integers(0, 42), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefgh0123456789-_"))
def test_a_code_with_one_other_letter_is_none(place: int, letter: str) -> None:
    code = make_login_code(KEY, now=NOW, nonce=b"12345678")
    changed = code[:place] + letter + code[place + 1 :]
    # The last letter has bits that say nothing.
    good = check_login_code(KEY, changed, now=NOW) is not None
    assert good == (changed == code) or place == 42


@given(st.text(max_size=80))
def test_no_text_is_a_code_by_chance(text: str) -> None:
    assert check_login_code(KEY, text, now=NOW) is None
    assert not check_cookie(KEY, text, now=NOW)


def test_a_code_of_the_far_future_is_refused() -> None:
    code = make_login_code(KEY, now=NOW + 3600)
    assert check_login_code(KEY, code, now=NOW) is None


def test_a_cookie_is_good_for_its_hub_until_it_expires() -> None:
    cookie = make_cookie(KEY, now=NOW)
    assert check_cookie(KEY, cookie, now=NOW + COOKIE_SECONDS - 1)
    assert not check_cookie(KEY, cookie, now=NOW + COOKIE_SECONDS)
    assert not check_cookie(OTHER, cookie, now=NOW)
    expiry, _, mac = cookie.partition(".")
    assert not check_cookie(KEY, f"{int(expiry) + 1}.{mac}", now=NOW)
    assert cookie_name(KEY) != cookie_name(OTHER)


def test_paths_of_pages_hold_any_name() -> None:
    assert page_path("") == "/"
    assert page_path("a b/c") == "/p/a%20b%2Fc"
    assert page_path("p", "x?y") == "/p/p/runs/x%3Fy"


def test_a_link_is_the_address_and_a_code() -> None:
    link = login_link("http://127.0.0.1:8470/p/x", KEY, now=NOW)
    address, _, code = link.partition("?login=")
    assert address == "http://127.0.0.1:8470/p/x"
    assert check_login_code(KEY, code, now=NOW) is not None
