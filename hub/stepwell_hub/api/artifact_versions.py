"""Committed versions of an artifact: by number (``v3``) or by alias (``latest``)."""

import asyncio
import time
from dataclasses import replace
from typing import Annotated, Any

from msgspec import Meta
from starlette.responses import Response

from stepwell_hub.answers import JSON
from stepwell_hub.api.artifacts import (
    Description,
    Word,
    artifact_name,
    check_metadata,
    checked_alias,
    plain,
)
from stepwell_hub.api.blobs import blob_answer
from stepwell_hub.api.forms import ForceForm, Limit, Text
from stepwell_hub.artifacts import building, former_runs, manifests
from stepwell_hub.artifacts.answers import Kind, Lineage, Version, VersionsPage
from stepwell_hub.endpoints import Call, Form, endpoint
from stepwell_hub.errors import ApiError

_ONE = "/projects/{project}/artifacts/{name}/versions/{version}"
_CHANGING = "private, no-cache"  # An alias may name another version later.


class VersionsForm(Form):
    limit: Limit = 100
    cursor: Text | None = None


class RunVersionsForm(Form):
    kind: Kind
    limit: Limit = 100
    cursor: Text | None = None


class VersionChange(Form):
    """Missing and null fields stay unchanged."""

    description: Description | None = None
    metadata: dict[str, Any] | None = None


class AliasForm(Form):
    version: Word


class UseForm(Form):
    """``project``: of the run; "" is the artifact's."""

    run_id: Annotated[str, Meta(min_length=1, max_length=1024, pattern=r"^[^\x00]*$")]
    project: Word = ""


class FileForm(Form):
    path: Text
    download: bool = False


class LineageForm(Form):
    """``direct``: only ancestors and descendants, not other descendants of its ancestors."""

    direct: bool = False
    depth: Annotated[int, Meta(ge=1, le=20)] = 3
    limit: Annotated[int, Meta(ge=1, le=1000)] = 200


@endpoint(
    "GET",
    "/projects/{project}/artifacts/{name}/versions",
    query=VersionsForm,
    answer=VersionsPage,
)
async def list_artifact_versions(call: Call) -> Any:
    """List the versions of an artifact, the newest first."""
    from stepwell_hub.catalog import artifact_reading

    project, name, form = plain(call.project), artifact_name(call), call.query
    page = await call.context.catalog.do(
        lambda catalog: artifact_reading.list_versions(
            catalog, project, name, limit=form.limit, cursor=form.cursor
        )
    )
    versions = await former_runs.without_former(call.context, page.versions)
    return replace(page, versions=versions)


@endpoint(
    "GET",
    "/projects/{project}/runs/{run_id}/artifacts",
    query=RunVersionsForm,
    answer=VersionsPage,
)
async def list_run_artifacts(call: Call) -> Any:
    """List the versions that a run logged or used, in the order in which it last did."""
    project, run_id, form = plain(call.project), plain(call.run_id), call.query
    return await former_runs.list_run_versions(
        call.context, project, run_id, kind=form.kind, limit=form.limit, cursor=form.cursor
    )


@endpoint("GET", _ONE, answer=Version)
async def get_artifact_version(call: Call) -> Any:
    """Get a version by its number or an alias."""
    (version,) = await former_runs.without_former(call.context, [await _version(call)])
    return version


@endpoint("PATCH", _ONE, body=VersionChange, answer=Version, failures=(409,))
async def change_artifact_version(call: Call) -> Any:
    """Change the description or the metadata of a version."""
    from stepwell_hub.catalog import artifact_changes

    project, name, asked = _path(call)
    form: VersionChange = call.body
    if form.metadata is not None:
        check_metadata(form.metadata)
    return await call.context.catalog.do(
        lambda catalog: artifact_changes.describe(
            catalog, project, name, asked, description=form.description, metadata=form.metadata
        )
    )


@endpoint("DELETE", _ONE, query=ForceForm, failures=(409,))
async def delete_artifact_version(call: Call) -> None:
    """Delete a version; with ``force`` also one that has aliases."""
    project, name, asked = _path(call)
    await building.delete(call.context, project, name, asked, force=call.query.force)


@endpoint("GET", _ONE + "/manifest", answer=dict[str, Any])
async def get_manifest(call: Call) -> Any:
    """Get the manifest of a version, in its canonical form."""
    version = await _version(call)
    packed = await asyncio.to_thread(_packed, call, version)
    return Response(
        packed,
        media_type=JSON,
        headers={"Cache-Control": _CHANGING, "ETag": f'"{version.digest}"'},
    )


@endpoint("GET", _ONE + "/file", query=FileForm, media="*/*", failures=(409, 416))
async def get_artifact_file(call: Call) -> Response:
    """Get the bytes of one file of a version, or a range of them."""
    path = call.query.path
    version = await _version(call)
    packed = await asyncio.to_thread(_packed, call, version)
    entry = await asyncio.to_thread(manifests.entry_at, packed, path)
    if "reference" in entry:
        raise ApiError(
            409,
            "is_reference",
            f"stepwell has no bytes of this file, only a reference: {entry['reference']}",
        )
    return await blob_answer(
        call,
        entry["digest"],
        download=call.query.download,
        name=path.rpartition("/")[2],
        cache=_CHANGING,
    )


@endpoint("POST", _ONE + "/uses", body=UseForm, answer=Version, failures=(409,))
async def use_version(call: Call) -> Any:
    """Record that a run uses a version."""
    from stepwell_hub.catalog import artifact_changes

    project, name, asked = _path(call)
    form: UseForm = call.body
    return await call.context.catalog.do(
        lambda catalog: artifact_changes.note_use(
            catalog,
            project,
            name,
            asked,
            run_project=form.project or project,
            run_id=form.run_id,
            now=time.time(),
        )
    )


@endpoint("GET", _ONE + "/lineage", query=LineageForm, answer=Lineage)
async def get_lineage(call: Call) -> Any:
    """Get a version's lineage: its source runs and versions, and those made from it."""
    form: LineageForm = call.query
    return await former_runs.read_lineage(
        call.context, *_path(call), depth=form.depth, limit=form.limit, is_direct=form.direct
    )


@endpoint(
    "PUT",
    "/projects/{project}/artifacts/{name}/aliases/{alias}",
    body=AliasForm,
    answer=Version,
    failures=(409,),
)
async def set_artifact_alias(call: Call) -> Any:
    """Move an alias to a version."""
    from stepwell_hub.catalog import artifact_changes

    project, name, alias = plain(call.project), artifact_name(call), _alias(call)
    version = call.body.version
    return await call.context.catalog.do(
        lambda catalog: artifact_changes.set_alias(catalog, project, name, alias, version=version)
    )


@endpoint("DELETE", "/projects/{project}/artifacts/{name}/aliases/{alias}", failures=(409,))
async def remove_artifact_alias(call: Call) -> None:
    """Remove an alias."""
    from stepwell_hub.catalog import artifact_changes

    project, name, alias = plain(call.project), artifact_name(call), _alias(call)
    await call.context.catalog.do(
        lambda catalog: artifact_changes.remove_alias(catalog, project, name, alias)
    )


def _path(call: Call) -> tuple[str, str, str]:
    version = plain(str(call.request.path_params["version"]))
    return plain(call.project), artifact_name(call), version


def _alias(call: Call) -> str:
    return checked_alias(str(call.request.path_params["alias"]))


async def _version(call: Call) -> Version:
    from stepwell_hub.catalog import artifact_reading

    project, name, asked = _path(call)
    return await call.context.catalog.do(
        lambda catalog: artifact_reading.read_version(catalog, project, name, asked)
    )


def _packed(call: Call, version: Version) -> bytes:
    if version.state != "committed":
        raise ApiError(404, "not_found", f"{version.name}:{version.version} was deleted")
    return manifests.read(call.context.blobs, version.id, version.digest)
