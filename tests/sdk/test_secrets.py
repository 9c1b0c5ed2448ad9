"""Secrets on a command line are not kept; what only looks like one by its spelling is."""

import shlex

import pytest

from stepwell._secrets import HIDDEN, hide_in_text, hide_secrets, is_secret_name

TOKEN = "A1b2C3d4E5f6G7h8I9j0"  # Long enough for every shape, and no real one.

NAMES = """
--password --db-password --client_secret --token --hf-token HF_TOKEN --authToken --api-key
OPENAI_API_KEY --apikey --hf-key --aws-secret-access-key --db-pass --basic-auth trainer.token
++logger.api_key --cookie --private-key
"""


@pytest.mark.parametrize(
    "name",
    NAMES.split(),
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)
    assert hide_secrets([name, "hunter22"])[1] == (HIDDEN if name.startswith("-") else "hunter22")
    assert hide_secrets([f"{name}=hunter22"]) == [f"{name}={HIDDEN}"]


@pytest.mark.parametrize(
    "line",
    """--tokenizer gpt2
    --max_tokens 512
    --max-new-tokens=512
    --num-key-value-heads 8
    --text-key caption
    --key value
    --pad-token <pad>
    --hub-token <HUB_TOKEN>
    --password=<password>
    --api-key ${oc.env:OPENAI_API_KEY}
    --eos_token=</s>
    --token 5
    --image-token-id 7
    --password-file /run/password
    --api-key-env OPENAI_KEY
    --token-dim 64
    --use-auth true
    --author me
    --monkey see
    --bypass cache
    --forward-pass 2
    --model sk-learn
    --data s3://bucket/key
    --remote ssh://git@host/repo.git
    --url http://host:8080/path?page=2&size=3
    --time 12:30:00
    -c print('token:',1)
    model.tokenizer=bpe trainer.max_tokens=9""".splitlines(),
)
def test_what_is_no_secret_is_kept(line: str) -> None:
    words = line.split()
    assert hide_secrets(words) == words


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (f"--hf-key sk-{TOKEN}", "--hf-key ***"),
        (f"--note sk-{TOKEN}", "--note ***"),
        (f"--x=ghp_{TOKEN}", "--x=***"),
        (f"run hf_{TOKEN} AKIA{TOKEN.upper()[:16]}", "run *** ***"),
        ("--db postgresql://me:pw@host/db", "--db postgresql://me:***@host/db"),
        ("--db=redis://:p@w@host", "--db=redis://:***@host"),
        ("clone https://abc@host/r.git", "clone https://***@host/r.git"),
        ("pip git+https://abc@host/r.git", "pip git+https://***@host/r.git"),
        ("x1https://abc@host", "x1https://***@host"),
        ("'Authorization: Bearer abcdefgh'", "'Authorization: ***'"),
        ("-H 'authorization: Basic dXNlcjpwdw=='", "-H 'authorization: ***'"),
        ("-H 'X-Api-Key: abcdefgh'", "-H 'X-Api-Key: ***'"),
        ("bearer abcdefgh", "bearer ***"),
        (
            "'https://h/p?a=1&access_token=abcd&b=2#token=x'",
            "'https://h/p?a=1&access_token=***&b=2#token=x'",
        ),
        (
            """'{"lr": 1, "api_key": "abc d", "n": 2}'""",
            """'{"lr": 1, "api_key": "***", "n": 2}'""",
        ),
        ("--set lr=1,password=abcd,n=2", "--set lr=1,password=***,n=2"),
        ("--password='two words'", "--password=***"),
        ("--password -dash", "--password ***"),
        ("--password --lr 0.1", "--password --lr 0.1"),
        (
            """-c "import x; x.login(token='abcd'); y(1)" """,
            """-c "import x; x.login(token='***'); y(1)" """,
        ),
    ],
)
def test_secrets_are_hidden_and_what_is_beside_them_is_not(line: str, shown: str) -> None:
    assert hide_secrets(shlex.split(line)) == shlex.split(shown)


def test_a_private_key_is_hidden_whole() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----"
    assert hide_in_text(f"key {key}") == "key ***"


@pytest.mark.parametrize("piece", ["eyJsb2NhbGhvc3Qi", "a1-", "A", "a=", "://", "token ", "x: "])
def test_a_long_argument_is_looked_at_once(piece: str) -> None:
    """Linear: a pattern that looks at each rest of such an argument anew takes minutes."""
    argument = piece * (128 * 1024 // len(piece))
    assert hide_secrets([argument, f"token={TOKEN}"]) == [argument, f"token={HIDDEN}"]
