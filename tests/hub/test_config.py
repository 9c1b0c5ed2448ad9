"""The hub's settings: what does not go together is told before anything is opened."""

import pytest

from stepwell_hub.config import build_parser, load_config
from stepwell_hub.errors import HubConfigError


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--clickhouse-hosts", "a,b"], "several clickhouse_hosts need clickhouse_cluster"),
        (["--clickhouse-hosts", "a:x"], "clickhouse_hosts is 'a:x'"),
        (["--clickhouse-database", "a-b"], "clickhouse_database is 'a-b'"),
        (["--clickhouse-cert-file", "/c"], "cert_file and clickhouse_key_file together"),
        (["--clickhouse-password-file", "/nothing/there"], "/nothing/there: cannot be read"),
        (["--catalog", "mysql://x"], "catalog: expected postgresql"),
    ],
)
def test_settings_that_do_not_go_together_are_told(words: list[str], told: str) -> None:
    arguments = build_parser().parse_args(["--store", "clickhouse", *words])
    with pytest.raises(HubConfigError, match=told):
        load_config(arguments, {})
