"""Artifacts: collections of a project, and versions on their way into one."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from stepwell_hub.api.forms import DEPTH_MAX, Limit, Name, Text, is_deep
from stepwell_hub.artifacts import building
from stepwell_hub.artifacts.answers import Begun, Collection, CollectionsPage, Version
from stepwell_hub.artifacts.project_deletion import clear_at_times
from stepwell_hub.endpoints import Call, Form, endpoint
from stepwell_hub.errors import ApiError
from stepwell_wire.artifact_names import check_alias, check_name, check_type
from stepwell_wire.errors import ArtifactNameError
from stepwell_wire.manifest import MANIFEST_BYTES_MAX

_METADATA_BYTES_MAX: Final = 1 << 20
_ALIASES_MAX: Final = 100
_NO_NUL: Final = r"^[^\x00]*$"

Key = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
Word = Annotated[str, Meta(max_length=1024, pattern=_NO_NUL)]
Description = Annotated[str, Meta(max_length=65_536, pattern=_NO_NUL)]


class NewArtifactVersion(Form):
    """``key``: made by the client for this version; a repeated key returns the same version."""

    key: Key
    name: Word
    type: Word
    manifest: msgspec.Raw
    description: Description = ""
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    run_id: Word = ""


class CommitForm(Form):
    aliases: tuple[Word, ...] = ()


class FailureForm(Form):
    reason: Annotated[str, Meta(min_length=1, max_length=4096, pattern=_NO_NUL)]


class CollectionsForm(Form):
    type: Name = ""
    search: Text = ""
    limit: Limit = 100
    cursor: Text | None = None


@endpoint("GET", "/projects/{project}/artifacts", query=CollectionsForm, answer=CollectionsPage)
async def list_artifacts(call: Call) -> Any:
    """List the artifacts of a project."""
    from stepwell_hub.catalog import artifact_reading

    form, project = call.query, plain(call.project)
    await clear_at_times(call.context)
    for each in (form.type, form.search, form.cursor or ""):
        plain(each)
    return await call.context.catalog.do(
        lambda catalog: artifact_reading.list_collections(
            catalog,
            project,
            kind=form.type,
            search=form.search,
            limit=form.limit,
            cursor=form.cursor,
        )
    )


@endpoint("GET", "/projects/{project}/artifacts/{name}", answer=Collection)
async def get_artifact(call: Call) -> Any:
    """Get an artifact."""
    from stepwell_hub.catalog import artifact_reading

    project, name = plain(call.project), artifact_name(call)
    return await call.context.catalog.do(
        lambda catalog: artifact_reading.read_collection(catalog, project, name)
    )


@endpoint(
    "POST",
    "/projects/{project}/artifacts",
    body=NewArtifactVersion,
    answer=Begun,
    status=201,
    failures=(409,),
    # In addition to the manifest: description and metadata, and escapes in them.
    body_bytes_max=MANIFEST_BYTES_MAX + (8 << 20),
)
async def begin_version(call: Call) -> Any:
    """Begin a version, and list its missing blobs."""
    form: NewArtifactVersion = call.body
    _check(form.name, form.type)
    check_metadata(form.metadata)
    await clear_at_times(call.context, before_change=True)
    return await building.begin(
        call.context,
        bytes(form.manifest),
        key=form.key,
        project=plain(call.project),
        name=form.name,
        type=form.type,
        description=form.description,
        metadata=form.metadata,
        run_id=form.run_id,
    )


@endpoint("GET", "/artifact-versions/{version_id}", answer=Version)
async def get_version_by_id(call: Call) -> Any:
    """Get a version by its id, also while it is pending."""
    return await building.by_id(call.context, _id(call))


@endpoint("GET", "/artifact-versions/{version_id}/missing", answer=Begun, failures=(409,))
async def get_missing_blobs(call: Call) -> Any:
    """List the blobs that a version waits for."""
    return await building.missing(call.context, _id(call))


@endpoint(
    "POST",
    "/artifact-versions/{version_id}/commit",
    body=CommitForm,
    answer=Version,
    failures=(409,),
)
async def commit_version(call: Call) -> Any:
    """Commit a version: it gets its number, and aliases move to it."""
    aliases = call.body.aliases
    if len(aliases) > _ALIASES_MAX:
        raise ApiError(
            400,
            "value_invalid",
            f"{len(aliases)} aliases; the maximum is {_ALIASES_MAX}",
            field="aliases",
        )
    for alias in aliases:
        checked_alias(alias)
    return await building.commit(call.context, _id(call), aliases)


@endpoint(
    "POST",
    "/artifact-versions/{version_id}/fail",
    body=FailureForm,
    answer=Version,
    failures=(409,),
)
async def fail_version(call: Call) -> Any:
    """Mark a pending version as failed."""
    return await building.fail(call.context, _id(call), call.body.reason)


# ---------------------------------------------------------------------- checks


def plain(text: str) -> str:
    """Refuse a text with a character that PostgreSQL does not store."""
    if "\0" in text:
        raise ApiError(404, "not_found", "a name must not contain a NUL character")
    return text


def artifact_name(call: Call) -> str:
    """Return the name in the path."""
    name = str(call.request.path_params["name"])
    try:
        check_name(name)
    except ArtifactNameError as error:
        raise ApiError(404, "not_found", str(error), field="name") from error
    return name


def checked_alias(alias: str) -> str:
    """Refuse an invalid alias."""
    try:
        check_alias(alias)
    except ArtifactNameError as error:
        raise ApiError(400, "name_invalid", str(error), field="alias") from error
    return alias


def check_metadata(metadata: dict[str, Any]) -> None:
    """Refuse metadata that is too large for the catalog, or too deep for its readers."""
    if is_deep(metadata):
        raise ApiError(
            400,
            "value_invalid",
            f"metadata has more than {DEPTH_MAX} nested objects or lists; put it into a file "
            "of the artifact",
            field="metadata",
        )
    size = len(msgspec.json.encode(metadata))
    if size > _METADATA_BYTES_MAX:
        raise ApiError(
            400,
            "value_invalid",
            f"metadata has {size} bytes as JSON, the maximum is {_METADATA_BYTES_MAX}; put "
            "it into a file of the artifact",
            field="metadata",
        )


def _check(name: str, kind: str) -> None:
    try:
        check_name(name)
        check_type(kind)
    except ArtifactNameError as error:
        raise ApiError(400, "name_invalid", str(error), field=error.what) from error


def _id(call: Call) -> str:
    return plain(str(call.request.path_params["version_id"]))
