"""Saved views: a page's state, kept under a short id."""

from dataclasses import dataclass
from typing import Annotated, Any, Final, NoReturn

from msgspec import Meta

from stepwell_hub.endpoints import Call, Form, endpoint
from stepwell_hub.errors import ApiError

# PostgreSQL stores no NUL character.
_NO_NUL: Final = r"^[^\x00]*$"
_Text = Annotated[str, Meta(max_length=1024, pattern=_NO_NUL)]
_Query = Annotated[str, Meta(max_length=65_536, pattern=_NO_NUL)]


@dataclass(frozen=True, slots=True)
class SavedView:
    """A saved view; ``query`` is the query string of its page."""

    id: str
    project: str
    name: str
    query: str
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True)
class SavedViews:
    views: tuple[SavedView, ...]


class NewView(Form):
    project: _Text
    query: _Query
    name: _Text = ""


class ViewChange(Form):
    query: _Query
    name: _Text = ""


class ViewsForm(Form):
    project: _Text


@endpoint("GET", "/views", query=ViewsForm, answer=SavedViews)
async def list_views(call: Call) -> Any:
    """List the named views of a project."""
    project = call.query.project
    return {"views": await call.context.catalog.do(lambda catalog: catalog.views(project))}


@endpoint("POST", "/views", body=NewView, answer=SavedView, status=201)
async def save_view(call: Call) -> Any:
    """Save a view."""
    form: NewView = call.body
    return await call.context.catalog.do(
        lambda catalog: catalog.save_view(project=form.project, name=form.name, query=form.query)
    )


@endpoint("GET", "/views/{view}", answer=SavedView)
async def get_view(call: Call) -> Any:
    """Get a view."""
    view_id = _id(call)
    found = await call.context.catalog.do(lambda catalog: catalog.view(view_id))
    return found or _refuse(view_id)


@endpoint("PUT", "/views/{view}", body=ViewChange, answer=SavedView)
async def change_view(call: Call) -> Any:
    """Change a view."""
    view_id, form = _id(call), call.body
    found = await call.context.catalog.do(
        lambda catalog: catalog.change_view(view_id, name=form.name, query=form.query)
    )
    return found or _refuse(view_id)


@endpoint("DELETE", "/views/{view}")
async def delete_view(call: Call) -> Any:
    """Delete a view."""
    view_id = _id(call)
    if not await call.context.catalog.do(lambda catalog: catalog.delete_view(view_id)):
        _refuse(view_id)


def _id(call: Call) -> str:
    view_id = str(call.request.path_params["view"])
    return view_id if "\0" not in view_id else _refuse(view_id)


def _refuse(view_id: str) -> NoReturn:
    raise ApiError(404, "not_found", f"view {view_id} not found; it may have been deleted")
