"""Every promise of the docs has a test, and every test that claims one claims one that is there."""

from tests.promises import holders, promises


def test_every_promise_of_the_docs_has_a_test() -> None:
    known = promises()
    assert len(known) > 50
    assert "" not in known, f"{known['']}: the last column is to name the promise, as `some-name`"
    held = holders()
    missing = [f"{place} `{name}`" for name, place in known.items() if name not in held]
    assert not missing, f"no test holds: {', '.join(missing)}"


def test_every_promise_that_a_test_holds_is_in_the_docs() -> None:
    unknown = {name: tests for name, tests in holders().items() if name not in promises()}
    assert not unknown
