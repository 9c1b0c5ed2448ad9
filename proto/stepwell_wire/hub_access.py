"""Access to a hub: its folder, its key, and the single-use codes that links carry.

    <data>/hub/            0700
        key                0600, 43 url-safe characters: its readers have all rights
        hub.json           the hub that runs: {"url", "listens": [host, port], "pid", "version",
                           "started_at", "has_own_catalog": false for one in PostgreSQL}
        catalog.db         the catalog (SQLite), if it is not in PostgreSQL

    code := base64url(expiry u64 | nonce 8 bytes | HMAC-SHA256(key, "login" | expiry | nonce)[:16])

Programs that can read the key make codes off-line: the command line, the SDK. The hub accepts a
code once, before its expiry. Integers are big-endian, times whole seconds since 1970 UTC.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re
import secrets
import stat
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

from stepwell_wire.commands import shell_word

KEY_FILE: Final = "key"
STATE_FILE: Final = "hub.json"
LOCK_FILE: Final = "hub.lock"
CATALOG_FILE: Final = "catalog.db"
LOGIN_PARAMETER: Final = "login"
CODE_SECONDS: Final = 12 * 3600
COOKIE_SECONDS: Final = 30 * 86_400
_SLACK_SECONDS: Final = 300
"""The clock that made a link may be so far ahead of the hub's clock."""
_KEY_BYTES: Final = 32
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_HEAD: Final = struct.Struct(">Q8s")
_MAC_BYTES: Final = 16
_NEW_KEY: Final = (
    "delete it and restart the daemon, or `stepwell hub` if that serves the page, which creates a "
    "new key"
)
_SQLITE_MAGIC: Final = b"SQLite format 3\0"


class HubKeyError(Exception):
    """The hub's key cannot be read, made or trusted."""


class LoginCode(NamedTuple):
    """A code that this key made and that has not expired."""

    nonce: bytes
    expires_at: int


def hub_dir(data: Path) -> Path:
    """Return the hub's folder inside the data folder."""
    return data / "hub"


def catalog_is_damaged(folder: Path) -> bool:
    """Return whether the file of the catalog begins with other bytes than a database."""
    try:
        with (folder / CATALOG_FILE).open("rb") as file:
            head = file.read(len(_SQLITE_MAGIC))
    except OSError:
        return False
    return head not in (b"", _SQLITE_MAGIC)  # A new file is empty.


def catalog_remedy(path: str) -> str:
    """Return what to do about the damaged catalog at ``path``."""
    return (
        f"stop the daemon (or the hub), then restore {path} from a backup, or move it away with "
        "its -wal and -shm files. Without it reports, sweeps and artifacts are lost; runs and "
        "their points stay"
    )


def is_key(text: str) -> bool:
    """Return whether ``text`` has the form of a hub's key."""
    return _KEY.fullmatch(text) is not None


def read_key(folder: Path) -> str:
    """Return the key of the hub whose folder this is.

    Raises:
        HubKeyError: It is missing, other users may read it, or it is not a key.
    """
    path = folder / KEY_FILE
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(descriptor).st_mode
            text = file.read(256).decode("ascii", "replace").strip()
    except OSError as error:
        raise HubKeyError(f"{path}: cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(mode) or mode & 0o077:
        raise HubKeyError(
            f"{path}: other users may read or change it (mode {stat.S_IMODE(mode):04o}); "
            f"{_NEW_KEY}; or, if no other user has read it, run "
            f"chmod 600 {shell_word(path)} and restart"
        )
    if not is_key(text):
        raise HubKeyError(f"{path}: expected 43 letters, digits, - and _; {_NEW_KEY}")
    return text


def ensure_key(folder: Path) -> str:
    """Return the key in ``folder``; make folder and key where they are missing.

    Raises:
        HubKeyError: They cannot be created, or the existing ones cannot be used.
    """
    path = folder / KEY_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _check_folder(folder)
        if not path.exists():
            _make_key(path)
    except OSError as error:
        raise HubKeyError(f"{error.filename or path}: {error.strerror}") from error
    return read_key(folder)


def rotate_key(folder: Path) -> Path:
    """Put a new key into ``folder`` and return its path.

    Cookies, links and bearer tokens of the old key become invalid; a running hub uses the new
    key at once.

    Raises:
        HubKeyError: It cannot be written.
    """
    path = folder / KEY_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _check_folder(folder)
        scratch = _write_key(path)
        scratch.replace(path)
    except OSError as error:
        raise HubKeyError(f"{error.filename or path}: {error.strerror}") from error
    return path


def _check_folder(folder: Path) -> None:
    found = folder.stat()
    if found.st_uid != os.geteuid():
        raise HubKeyError(
            f"{folder}: belongs to another user (uid {found.st_uid}); chown it to the hub's user"
        )
    if found.st_mode & 0o077:
        folder.chmod(0o700)


def _make_key(path: Path) -> None:
    """Put a new key at ``path`` atomically; if a key exists there, it stays."""
    scratch = _write_key(path)
    try:
        with suppress(FileExistsError):
            os.link(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def _write_key(path: Path) -> Path:
    """Write a new key into a file beside ``path``, with fsync; return that file."""
    scratch = path.with_name(f".{KEY_FILE}.{secrets.token_hex(8)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(_KEY_BYTES) + "\n")
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    return scratch


# ---------------------------------------------------------------------- codes and cookies


def make_login_code(key: str, *, now: float, nonce: bytes | None = None) -> str:
    """Return a code that the hub with this key accepts once, for 12 hours."""
    head = _HEAD.pack(int(now) + CODE_SECONDS, nonce or secrets.token_bytes(8))
    return base64.urlsafe_b64encode(head + _mac(key, b"login", head)).decode().rstrip("=")


def check_login_code(key: str, code: str, *, now: float) -> LoginCode | None:
    """Return the content of ``code``, None if this key did not make it or it has expired."""
    if len(code) > 64:
        return None
    try:
        raw = base64.b64decode(code + "=" * (-len(code) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return None
    if len(raw) != _HEAD.size + _MAC_BYTES:
        return None
    head, mac = raw[: _HEAD.size], raw[_HEAD.size :]
    if not hmac.compare_digest(mac, _mac(key, b"login", head)):
        return None
    expires_at, nonce = _HEAD.unpack(head)
    if not now < expires_at <= now + CODE_SECONDS + _SLACK_SECONDS:
        return None
    return LoginCode(nonce, expires_at)


def cookie_name(key: str) -> str:
    """Return the cookie's name: hubs on one host have one each, as cookies ignore ports."""
    return f"stepwell_{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def make_cookie(key: str, *, now: float) -> str:
    """Return the value of a cookie that is good for 30 days; the key cannot be computed from it."""
    expiry = str(int(now) + COOKIE_SECONDS)
    return f"{expiry}.{_mac(key, b'cookie', expiry.encode()).hex()}"


def check_cookie(key: str, value: str, *, now: float) -> bool:
    """Return whether this key made the cookie and it has not expired."""
    expiry, _, mac = value.partition(".")
    if not (expiry.isascii() and expiry.isdecimal()) or len(expiry) > 12:
        return False
    expected = _mac(key, b"cookie", expiry.encode()).hex()
    return hmac.compare_digest(mac.encode(), expected.encode()) and now < int(expiry)


def _mac(key: str, purpose: bytes, text: bytes) -> bytes:
    return hmac.digest(key.encode(), purpose + text, "sha256")[:_MAC_BYTES]


# ---------------------------------------------------------------------- links


def page_path(project: str, run_id: str = "") -> str:
    """Return the path of a project's page, or of a run's."""
    path = f"/p/{quote(project, safe='')}" if project else "/"
    return f"{path}/runs/{quote(run_id, safe='')}" if run_id else path


def login_link(address: str, key: str, *, now: float) -> str:
    """Return ``address`` with a login code."""
    return f"{address}?{LOGIN_PARAMETER}={make_login_code(key, now=now)}"
