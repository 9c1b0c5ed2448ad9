"""The browser's session."""

from typing import Any

from starlette.responses import Response

from stepwell_hub.access import COOKIE_IN_SCOPE
from stepwell_hub.endpoints import Call, endpoint


@endpoint("POST", "/logout")
async def log_out(call: Call) -> Any:
    """Log this browser out."""
    answer = Response(status_code=204)
    answer.delete_cookie(
        call.request.scope[COOKIE_IN_SCOPE], path="/", httponly=True, samesite="strict"
    )
    return answer
