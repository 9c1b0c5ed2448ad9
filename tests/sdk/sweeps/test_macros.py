"""A sweep's command and a trial's parameters make a command line."""

import pytest

from stepwell._sweeps.macros import build_command, check_command
from stepwell.errors import UsageError

PARAMS = {"lr": 0.1, "flag": True, "off": False, "opt": {"name": "adam"}, "none": None}


def words(*command: str, environ: dict[str, str] | None = None) -> list[str]:
    config = {"program": "train.py", **({"command": list(command)} if command else {})}
    return build_command(
        check_command(config),
        PARAMS,
        program="train.py",
        interpreter="python",
        environ=environ or {},
        json_file="/tmp/args.json",
    )


def test_the_default_command_runs_the_program_with_one_argument_a_parameter() -> None:
    assert words() == [
        *("/usr/bin/env", "python", "train.py", "--lr=0.1", "--flag=True", "--off=False"),
        *("--opt={'name': 'adam'}", "--none=None"),
    ]


@pytest.mark.parametrize(
    ("macro", "expected"),
    [
        ("${args_no_hyphens}", ["lr=0.1", "flag=True", "off=False"]),
        ("${args_append_hydra}", ["+lr=0.1", "+flag=True", "+off=False"]),
        ("${args_override_hydra}", ["++lr=0.1", "++flag=True", "++off=False"]),
        ("${args_no_boolean_flags}", ["--lr=0.1", "--flag", "--opt={'name': 'adam'}"]),
        ("${args_no_equals}", ["--lr", "0.1", "--flag", "True"]),
        (
            "${args_json}",
            ['{"lr": 0.1, "flag": true, "off": false, "opt": {"name": "adam"}, "none": null}'],
        ),
        ("${args_dict}", [repr(PARAMS)]),
        ("${args_json_file}", ["/tmp/args.json"]),
        ("${env}", ["/usr/bin/env"]),
        ("${interpreter}", ["python"]),
        ("${program}", ["train.py"]),
        ("plain ${args}", ["plain ${args}"]),
    ],
)
def test_each_macro(macro: str, expected: list[str]) -> None:
    assert words(macro)[: len(expected)] == expected


def test_a_variable_of_the_environment_may_be_a_part_of_a_word() -> None:
    assert words("--out=${envvar:OUT}/x", environ={"OUT": "/d"}) == ["--out=/d/x"]
    with pytest.raises(UsageError, match="envvar:OUT} is not set"):
        words("--out=${envvar:OUT}/x")


def test_an_unknown_macro_and_a_missing_program_are_told_before_a_trial_is_taken() -> None:
    with pytest.raises(UsageError, match=r"unknown macro \$\{argz\}; known: \$\{env\}"):
        check_command({"program": "a", "command": ["${argz}"]})
    with pytest.raises(UsageError, match="the sweep has no program"):
        check_command({})
    with pytest.raises(UsageError, match="expected a list of words, not 5"):
        check_command({"command": 5})
