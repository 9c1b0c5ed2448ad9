"""The description of the API, held against the real application by schemathesis."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from stepwell_hub.api import ENDPOINTS
from stepwell_hub.endpoints import PREFIX
from stepwell_hub.openapi import describe
from tests.hub.conftest import BASE, Hub
from tests.hub.made import make_run

STREAMS = "text/event-stream"
CHECKED = [each for each in ENDPOINTS if each.media != STREAMS]
EXAMPLES = 12
REAL = {"project": "openapi", "run_id": "run"}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


def test_every_endpoint_is_described_with_a_sentence() -> None:
    paths = describe(ENDPOINTS)["paths"]
    for each in ENDPOINTS:
        operation = paths[PREFIX + each.path][each.method.lower()]
        assert operation["summary"]
        assert operation["responses"]
    names = [each.handler.__name__ for each in ENDPOINTS]
    assert len(set(names)) == len(names)


@pytest.fixture
def description(hub: Hub) -> Any:
    make_run(hub.context.store, "openapi", "run")
    answer = hub.program.get("/api/openapi.json")
    assert answer.status_code == 200
    described = answer.json()
    del described["security"], described["components"]["securitySchemes"]  # We show the key.
    return schemathesis.openapi.from_dict(described)


def test_the_description_is_openapi(description: Any) -> None:
    description.validate()


GOOD = [(each, GenerationMode.POSITIVE) for each in CHECKED]
BAD = [(each, GenerationMode.NEGATIVE) for each in CHECKED if each.body is not None]


@pytest.mark.parametrize(
    ("each", "mode"), GOOD + BAD, ids=lambda value: getattr(value, "path", str(value))
)
def test_requests_and_answers_are_as_described(
    hub: Hub, description: Any, each: Any, mode: GenerationMode
) -> None:
    operation = description[PREFIX + each.path][each.method]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case) -> None:
        if each.method != "DELETE":
            case.path_parameters.update(
                {name: value for name, value in REAL.items() if name in case.path_parameters}
            )
        if each.path == "/control" and case.query:
            case.query.pop("wait", None)  # Nothing comes: it would wait for as long as it says.
        sent = case.as_transport_kwargs(base_url=BASE)
        content = {"json": sent["json"]} if "json" in sent else {"content": sent.get("data")}
        answer = hub.program.request(
            sent["method"], sent["url"], headers=sent["headers"], params=sent["params"], **content
        )
        case.validate_response(answer, checks=CHECKS)

    check()
