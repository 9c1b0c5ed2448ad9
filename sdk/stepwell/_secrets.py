"""Finds and hides secrets on a command line. Pure; docs/secrets.md describes the rules.

A value is hidden for the name before it (``--api-key VALUE``), or for its own shape (``ghp_…``,
``user:password@``). Names are compared word by word: ``--tokenizer`` and ``--max_tokens`` are none.
"""

import re
from collections.abc import Iterable
from typing import Final

HIDDEN: Final = "***"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ALWAYS: Final = _words(
    """
    password passwd passphrase passcode secret secrets credential credentials apikey authtoken
    accesstoken accesskey secretkey privatekey cookie cookies jwt bearer authorization
    """
)
"""A name with one of these words means a secret."""

_KEYS: Final = _words(
    """
    access account anthropic api auth aws azure client comet consumer encryption gcp github
    gitlab google hf huggingface hub kaggle license master mistral neptune openai private secret
    service signing ssh storage wandb
    """
)
"""A ``key`` behind one of these is a secret; ``--text-key`` and ``--num-key-heads`` are none."""

_NO_TOKENS: Final = _words(
    """
    action audio begin blank bos class cls concept decoder encoder end eos first forced image
    initializer instance last mask max min modifier new next num pad per placeholder prefix
    prompt sep separator sos space special start stop suffix target text trigger unk video
    vision word
    """
)
"""A ``token`` behind one of these is a tokenizer's."""

_PASSES: Final = _words(
    """
    admin db database ftp http mysql pg proxy redis root smtp user
    """
)
"""A ``pass`` or ``pwd`` behind one of these is a password."""

_ABOUT: Final = _words(
    """
    column count dim dir env field file folder id length name path size type url var
    """
)
"""A name that ends in one of these describes a secret, such as its path."""

_NO_SECRETS: Final = frozenset(("", "0", "1", "false", "no", "none", "null", "off", "on", "true"))

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
# Each pattern needs time proportional to the length: an argument may be 128 KiB long.
_NAME: Final = re.compile(r"""(?<![A-Za-z0-9_.\-])([A-Za-z0-9_.\-]++)(["']?\s*+[:=]\s*+)""")
_VALUE: Final = re.compile(r""""[^"]*"|'[^']*'|[^\s"',;&}\]]+""")
_HEADER: Final = re.compile(
    r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)(\s*[:=]\s*)([^\"'\r\n]+)"
)
_BEARER: Final = re.compile(r"(?i)\b(bearer|basic)(\s+)([A-Za-z0-9._~+/=\-]{8,})")
_ADDRESS: Final = re.compile(r"(?<=[A-Za-z0-9+.\-])://([^/\s?#'\"]*)@")
_HTTP: Final = re.compile(r"(?i)https?(\+[a-z]+)?\Z")
_SCHEME_CHARACTERS_MAX: Final = 32
_QUOTES: Final = "\"'"
_SHAPES: Final = re.compile(
    r"""\b(?:
        sk-(?=[\w\-]*\d)[\w\-]{20,} | [srp]k_(?:live|test)_\w{10,} |
        hf_[A-Za-z0-9]{20,} | gh[pousr]_[A-Za-z0-9]{20,} | github_pat_\w{20,} |
        glpat-[\w\-]{15,} | xox[abeprs]-[\w\-]{10,} | (?:AKIA|ASIA)[0-9A-Z]{16} |
        AIza[\w\-]{30,} | ya29\.[\w\-]{20,} | eyJ[\w\-]{10,}\.[\w\-]{10,}\.[\w\-]* |
        npm_[A-Za-z0-9]{30,} | pypi-[\w\-]{40,} | SG\.[\w\-]{16,}\.[\w\-]{16,} |
        local-[0-9a-f]{40}
    )""",
    re.VERBOSE,
)
_PLACEHOLDER: Final = re.compile(r"<[^<>]*>|\$\{[^{}]*\}")
"""In place of a value: ``<HUB_TOKEN>``, ``${oc.env:HF_TOKEN}``."""
_PRIVATE_KEY: Final = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*", re.DOTALL)


def is_secret_name(name: str) -> bool:
    """Return whether a value of this name is likely a secret."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or words[-1] in _ABOUT:
        return False
    if not _ALWAYS.isdisjoint(words):
        return True
    *before, last = words
    if last == "key":
        return bool(before) and before[-1] in _KEYS
    if last == "token":
        return _NO_TOKENS.isdisjoint(before)
    if last in ("pass", "pwd"):
        return bool(before) and before[-1] in _PASSES
    return bool(last == "auth")


def is_secret(name: str, value: str) -> bool:
    """Return whether ``value`` is likely a secret, by its name or its shape."""
    is_named = is_secret_name(name) and _value_of(name, value) == HIDDEN
    return is_named or hide_in_text(value) != value


def hide_secrets(arguments: Iterable[str]) -> list[str]:
    """Return a command's arguments with ``***`` in place of what looks like a secret."""
    shown: list[str] = []
    name = ""  # Of the value that may come next.
    for argument in arguments:
        if name and not argument.startswith("--"):
            shown.append(_value_of(name, argument))
            name = ""
            continue
        option, mark, value = argument.partition("=")
        is_option = argument.startswith("-") and not any(map(str.isspace, option))
        if is_option and mark and is_secret_name(option):
            shown.append(f"{option}={_value_of(option, value)}")
            continue
        shown.append(hide_in_text(argument))
        is_name = (is_option and not mark) or argument.rstrip(":").lower() in ("bearer", "basic")
        name = argument if is_name and is_secret_name(argument) else ""
    return shown


def hide_in_text(text: str) -> str:
    """Return ``text`` with ``***`` in place of what looks like a secret inside of it."""
    text = _PRIVATE_KEY.sub(HIDDEN, text)
    text = _ADDRESS.sub(_without_password, text)
    text = _HEADER.sub(rf"\1\2{HIDDEN}", text)
    text = _BEARER.sub(rf"\1\2{HIDDEN}", text)
    text = _SHAPES.sub(HIDDEN, text)
    return _hide_pairs(text)


def _hide_pairs(text: str) -> str:
    """Hide the values in ``name=value``, ``"name": "value"`` and ``?name=value&…``."""
    done: list[str] = []
    at = 0
    while named := _NAME.search(text, at):
        start, at = at, named.end()
        done.append(text[start:at])
        found = _VALUE.match(text, at) if is_secret_name(named[1]) else None
        if found is None:  # The rest may contain more.
            continue
        value = found[0]
        quote = value[0] if value[0] in _QUOTES else ""
        done.append(f"{quote}{_value_of(named[1], value.strip(_QUOTES))}{quote}")
        at = found.end()
    return "".join(done) + text[at:]


def _value_of(name: str, value: str) -> str:
    """Return ``***``, or what is no secret: a switch, a placeholder, a tokenizer's token."""
    if value.lower() in _NO_SECRETS or _PLACEHOLDER.fullmatch(value):
        return value
    if name.lower().endswith("token") and (value.isdigit() or value[0] in "<[" or len(value) < 4):
        return value
    return HIDDEN


def _without_password(found: re.Match[str]) -> str:
    user, colon, _ = found[1].partition(":")
    if colon:
        return f"://{user}:{HIDDEN}@"
    start = found.start()
    scheme = found.string[max(0, start - _SCHEME_CHARACTERS_MAX) : start]
    return f"://{HIDDEN}@" if _HTTP.search(scheme) else found[0]
