"""Sweeps: create, change, read; agents ask for trials, keep them by heartbeats and end them."""

import json
from functools import partial
from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from stepwell_hub.api.forms import DEPTH_MAX, is_deep
from stepwell_hub.artifacts.project_deletion import clear_at_times
from stepwell_hub.endpoints import Call, Form, endpoint
from stepwell_hub.errors import ApiError, SweepInvalidError
from stepwell_hub.sweeps.answers import (
    AgentKind,
    Beat,
    Commands,
    Ended,
    EndState,
    ImportancesAnswer,
    Order,
    Registered,
    SweepAnswer,
    SweepOfRun,
    SweepsPage,
    SweepState,
    TrialsPage,
)
from stepwell_hub.sweeps.config import NAME_CHARACTERS_MAX, parse_config

# PostgreSQL stores no NUL character.
_NO_NUL: Final = r"^[^\x00]*$"
_Key = Annotated[str, Meta(min_length=1, max_length=64, pattern=_NO_NUL)]
_Id = Annotated[str, Meta(min_length=1, max_length=16, pattern=_NO_NUL)]
_Name = Annotated[str, Meta(max_length=NAME_CHARACTERS_MAX, pattern=_NO_NUL)]
_Project = Annotated[str, Meta(min_length=1, max_length=NAME_CHARACTERS_MAX, pattern=_NO_NUL)]
_Text = Annotated[str, Meta(max_length=65_536, pattern=_NO_NUL)]
_Cursor = Annotated[str, Meta(max_length=128)]
_Number = Annotated[int, Meta(ge=1, lt=1 << 31)]
_Pid = Annotated[int, Meta(ge=0, lt=1 << 53)]
_ExitCode = Annotated[int, Meta(gt=-(1 << 53), lt=1 << 53)]
_NUMBER_MAX: Final = (1 << 31) - 1


class NewSweep(Form):
    """``config`` is a sweep's configuration, with the fields of its file."""

    project: _Project
    config: dict[str, Any]
    key: _Key


class SweepsForm(Form):
    project: _Project | None = None
    state: SweepState | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: _Cursor | None = None


class SweepChange(Form):
    """Fields to set; ``config`` may have ``run_cap`` and ``early_terminate``, null removes one."""

    state: Literal["running", "paused", "finished", "canceled"] | None = None
    name: _Name | None = None
    description: _Text | None = None
    config: dict[str, Any] | None = None


class TrialsForm(Form):
    """``after``: only trials with a greater number, for the first page; then use ``cursor``."""

    limit: Annotated[int, Meta(ge=1, le=10_000)] = 1000
    after: Annotated[int, Meta(ge=0, lt=1 << 31)] = 0
    cursor: _Cursor | None = None


class NewAgent(Form):
    key: _Key
    host: _Name
    pid: _Pid
    kind: AgentKind


class AskForm(Form):
    agent: _Id
    key: _Key


class HeldTrial(Form):
    number: _Number
    fencing: _Number


class BeatForm(Form):
    """``trials`` are the attempts that the agent runs now; ``is_ending``: the agent ends."""

    agent: _Id
    trials: Annotated[tuple[HeldTrial, ...], Meta(max_length=1000)] = ()
    is_ending: bool = False


class EndForm(Form):
    agent: _Id
    fencing: _Number
    key: _Key
    state: EndState
    exit_code: _ExitCode | None = None


class ControlForm(Form):
    """``wait``: seconds to wait for commands before an empty answer."""

    cursor: _Cursor = ""
    wait: Annotated[float, Meta(ge=0, le=30)] = 0


@endpoint("POST", "/sweeps", body=NewSweep, answer=SweepAnswer, status=201)
async def create_sweep(call: Call) -> Any:
    """Create a sweep."""
    from stepwell_hub.catalog import sweeps

    form: NewSweep = call.body
    _check_storable(form.config)
    making = partial(
        sweeps.create,
        project=form.project,
        config=parse_config(form.config),
        key=form.key,
        now=call.context.sweeps.clock(),
        alive_at=call.context.sweeps.alive_at(),
    )
    return await call.context.catalog.do(making)


@endpoint("GET", "/sweeps", query=SweepsForm, answer=SweepsPage)
async def list_sweeps(call: Call) -> Any:
    """List sweeps, the newest first."""
    from stepwell_hub.catalog import sweeps

    form: SweepsForm = call.query
    await clear_at_times(call.context)
    listing = partial(
        sweeps.listed,
        project=form.project,
        state=form.state,
        limit=form.limit,
        cursor=form.cursor,
        alive_at=call.context.sweeps.alive_at(),
    )
    page = await call.context.catalog.do(listing)
    of_hub = call.context.sweeps
    if await of_hub.try_to(of_hub.watch.check_best(page.sweeps)):
        page = await call.context.catalog.do(listing)
    return page


class SweepForm(Form):
    """``look``: first read new values of trials from the store."""

    look: bool = False


@endpoint("GET", "/sweeps/{sweep}", query=SweepForm, answer=SweepAnswer)
async def get_sweep(call: Call) -> Any:
    """Get a sweep."""
    from stepwell_hub.catalog import sweeps

    call.context.sweeps.watch.wake()
    await _check_runs(call)
    if call.query.look:
        await call.context.sweeps.try_to(call.context.sweeps.watch.look(_id(call)))
    getting = partial(sweeps.get, sweep_id=_id(call), alive_at=call.context.sweeps.alive_at())
    return await call.context.catalog.do(getting)


@endpoint("PATCH", "/sweeps/{sweep}", body=SweepChange, answer=SweepAnswer, failures=(409,))
async def change_sweep(call: Call) -> Any:
    """Pause, resume, finish or cancel a sweep, or change its name, description, cap or bands."""
    from stepwell_hub.catalog import sweeps

    form: SweepChange = call.body
    changing = partial(
        sweeps.change,
        sweep_id=_id(call),
        state=form.state,
        name=form.name,
        description=form.description,
        config=form.config,
        now=call.context.sweeps.clock(),
        alive_at=call.context.sweeps.alive_at(),
    )
    changed = await call.context.catalog.do(changing)
    call.context.sweeps.control.ring()
    call.context.sweeps.watch.wake()
    return changed


@endpoint("GET", "/sweeps/{sweep}/trials", query=TrialsForm, answer=TrialsPage)
async def list_trials(call: Call) -> Any:
    """List the trials of a sweep by their numbers."""
    from stepwell_hub.catalog import sweeps

    form: TrialsForm = call.query
    if form.cursor is None:
        await _check_runs(call)
    listing = partial(
        sweeps.trials,
        sweep_id=_id(call),
        limit=form.limit,
        after=form.after,
        cursor=form.cursor,
    )
    return await call.context.catalog.do(listing)


@endpoint("GET", "/sweeps/{sweep}/importance", answer=ImportancesAnswer)
async def get_importance(call: Call) -> Any:
    """Get the importance of each parameter of a sweep."""
    await _check_runs(call)
    return await call.context.sweeps.importance.of(_id(call))


@endpoint("GET", "/projects/{project}/runs/{run_id}/sweep", answer=SweepOfRun)
async def get_sweep_of_run(call: Call) -> Any:
    """Get the sweep trial of a run."""
    from stepwell_hub.catalog import sweeps

    if "\0" in call.project + call.run_id:
        return SweepOfRun(None)
    finding = partial(sweeps.place_of_run, project=call.project, run_id=call.run_id)
    return SweepOfRun(await call.context.catalog.do(finding))


@endpoint("POST", "/sweeps/{sweep}/agents", body=NewAgent, answer=Registered, is_short=True)
async def register_agent(call: Call) -> Any:
    """Register an agent."""
    form: NewAgent = call.body
    return await call.context.sweeps.register(
        _id(call), key=form.key, host=form.host, pid=form.pid, kind=form.kind
    )


@endpoint("POST", "/sweeps/{sweep}/ask", body=AskForm, answer=Order, is_short=True)
async def ask_for_trial(call: Call) -> Any:
    """Ask for a trial."""
    form: AskForm = call.body
    return await call.context.sweeps.ask(_id(call), agent_id=form.agent, key=form.key)


@endpoint("POST", "/sweeps/{sweep}/beat", body=BeatForm, answer=Beat, is_short=True)
async def beat(call: Call) -> Any:
    """Renew an agent's leases, and list the trials to stop."""
    form: BeatForm = call.body
    return await call.context.sweeps.beat(
        _id(call),
        agent_id=form.agent,
        held=[(each.number, each.fencing) for each in form.trials],
        is_ending=form.is_ending,
    )


@endpoint("POST", "/sweeps/{sweep}/trials/{number}/end", body=EndForm, answer=Ended, is_short=True)
async def end_trial(call: Call) -> Any:
    """Report the end of an attempt of a trial."""
    form: EndForm = call.body
    given = str(call.request.path_params["number"])
    if not (given.isascii() and given.isdigit() and int(given[:12]) <= _NUMBER_MAX):
        raise ApiError(404, "not_found", f"trial {given[:100]}: expected the number of a trial")
    return await call.context.sweeps.end(
        _id(call),
        int(given),
        agent_id=form.agent,
        fencing=form.fencing,
        key=form.key,
        state=form.state,
        exit_code=form.exit_code,
    )


@endpoint("GET", "/control", query=ControlForm, answer=Commands)
async def read_control(call: Call) -> Any:
    """Read commands to runs, for daemons; ``wait`` makes the hub wait for some."""
    form: ControlForm = call.query
    return await call.context.sweeps.control.commands(form.cursor, form.wait)


def _id(call: Call) -> str:
    sweep_id = str(call.request.path_params["sweep"])
    if "\0" in sweep_id:
        raise ApiError(404, "not_found", "sweep not found")
    return sweep_id


async def _check_runs(call: Call) -> None:
    """Note which runs of the sweep's trials were deleted, if the store answers."""
    sweeps = call.context.sweeps
    await sweeps.try_to(sweeps.watch.check_runs(_id(call)))


def _check_storable(config: dict[str, Any]) -> None:
    """Refuse values that PostgreSQL cannot store, or that are too deep for its readers."""
    if is_deep(config):
        message = f"has more than {DEPTH_MAX} nested objects or lists"
        raise SweepInvalidError("config", message)
    if "\\u0000" in json.dumps(config):
        raise SweepInvalidError("config", "contains a NUL character, which cannot be stored")
