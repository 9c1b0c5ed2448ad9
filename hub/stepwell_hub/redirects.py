"""From addresses that wandb's page has to ours: pure."""

from urllib.parse import quote

_OURS = ("p", "status", "api", "assets")
_RUN_PARTS = {"overview": "overview", "logs": "logs", "system": "system", "workspace": "charts"}


def our_path(path: str) -> str | None:
    """Return the path here for an address of wandb's page, None for other addresses.

    Known addresses are ``/ENTITY/PROJECT`` and below it ``workspace``, ``table``,
    ``runs[/ID[/PART]]`` and ``sweeps[/ID]``.

    Args:
        path: decoded.
    """
    parts = [part for part in path.split("/") if part]
    if len(parts) < 2 or parts[0] in _OURS:
        return None
    project, rest = quote(parts[1], safe=""), parts[2:]
    match rest:
        case [] | ["workspace" | "overview"]:
            return f"/p/{project}"
        case ["table"]:
            return f"/p/{project}/table"
        case ["sweeps"]:
            return f"/p/{project}/sweeps"
        case ["sweeps", sweep_id]:
            return f"/p/{project}/sweeps/{quote(sweep_id, safe='')}"
        case ["runs"]:
            return f"/p/{project}/table"
        case ["runs", run_id]:
            return f"/p/{project}/runs/{quote(run_id, safe='')}"
        case ["runs", run_id, part, *_]:
            ours = _RUN_PARTS.get(part)
            return f"/p/{project}/runs/{quote(run_id, safe='')}" + (f"/{ours}" if ours else "")
    return None
