"""Makes a command line of a sweep's ``command`` and a trial's parameters. Pure.

command: [${env}, ${interpreter}, ${program}, ${args}]       the default
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from stepwell.errors import UsageError

DEFAULT_COMMAND: Final = ("${env}", "${interpreter}", "${program}", "${args}")
_MACRO: Final = re.compile(r"\$\{([A-Za-z_]\w*)\}")
_VARIABLE: Final = re.compile(r"\$\{envvar:([^}]*)\}")


def _equals(params: Mapping[str, Any], before: str) -> list[str]:
    return [f"{before}{name}={value}" for name, value in params.items()]


def _no_boolean_flags(params: Mapping[str, Any]) -> list[str]:
    words = []
    for name, value in params.items():
        if not isinstance(value, bool):
            words.append(f"--{name}={value}")
        elif value:
            words.append(f"--{name}")
    return words


def _no_equals(params: Mapping[str, Any]) -> list[str]:
    return [word for name, value in params.items() for word in (f"--{name}", str(value))]


_ARGUMENTS: Final[dict[str, Callable[[Mapping[str, Any]], list[str]]]] = {
    "args": lambda params: _equals(params, "--"),
    "args_no_hyphens": lambda params: _equals(params, ""),
    "args_append_hydra": lambda params: _equals(params, "+"),
    "args_override_hydra": lambda params: _equals(params, "++"),
    "args_no_boolean_flags": _no_boolean_flags,
    "args_no_equals": _no_equals,
    "args_json": lambda params: [json.dumps(params)],
    "args_dict": lambda params: [repr(dict(params))],
}
_OTHERS: Final = ("env", "interpreter", "program", "args_json_file")
MACROS: Final = (*_OTHERS, *_ARGUMENTS)


def needs_function(config: Mapping[str, Any]) -> bool:
    """Return whether only agents with a function can run a sweep: its command lacks the program."""
    given = config.get("command") or DEFAULT_COMMAND
    words = given.split() if isinstance(given, str) else given
    return "${program}" in words and not config.get("program")


def check_command(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the words of a sweep's command, with their macros.

    Raises:
        UsageError: It is no list of texts, a macro is unknown, or the program is missing.
    """
    given = config.get("command")
    if isinstance(given, str):
        given = given.split()
    if given is None:
        given = DEFAULT_COMMAND
    if not isinstance(given, Sequence) or not given:
        raise UsageError(f"command: expected a list of words, not {given!r}")
    words = tuple(map(str, given))
    for word in words:
        found = _MACRO.fullmatch(word)
        if found and found[1] not in MACROS:
            known = " ".join(f"${{{name}}}" for name in MACROS)
            raise UsageError(f"command: unknown macro {word}; known: {known} ${{envvar:NAME}}")
        if word == "${program}" and not config.get("program"):
            raise UsageError(
                "command: contains ${program}, but the sweep has no program; add "
                "`program: FILE` to its configuration, or run the agent with a function"
            )
    return words


def build_command(
    words: Sequence[str],
    params: Mapping[str, Any],
    *,
    program: str,
    interpreter: str,
    environ: Mapping[str, str],
    json_file: str,
) -> list[str]:
    """Return the words of one trial's command line.

    Args:
        words: as `check_command` returned them.
        json_file: file that holds the parameters as JSON.

    Raises:
        UsageError: A ``${envvar:NAME}`` that is not set.
    """
    single = {
        "env": "/usr/bin/env",
        "interpreter": interpreter,
        "program": program,
        "args_json_file": json_file,
    }
    built: list[str] = []
    for word in words:
        found = _MACRO.fullmatch(word)
        if found is None:
            built.append(_VARIABLE.sub(lambda match: _variable(match[1], environ), word))
        elif found[1] in single:
            built.append(single[found[1]])
        else:
            built.extend(_ARGUMENTS[found[1]](params))
    return built


def _variable(name: str, environ: Mapping[str, str]) -> str:
    if name not in environ:
        raise UsageError(f"command: ${{envvar:{name}}} is not set in the agent's environment")
    return environ[name]
