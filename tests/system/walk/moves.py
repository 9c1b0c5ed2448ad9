"""The walk: something at random, again and again, and what the model makes of it."""

import json
import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from tests.system.walk.actor import Actor, OpenBurst, made_about, made_config, resolve
from tests.system.walk.compare import absent, compare, leftovers
from tests.system.walk.model import Model, ModelRun, ModelWriter, now
from tests.system.walk.site import Outcome, Site, path_of
from tests.system.walk.trainer import BURST_METRIC, Trainer
from tests.waiting import wait_until

PROJECTS: Final = ("walk", "walk two")
RUN_IDS: Final = ("r1", "r2", "r3")
_ACTORS_MAX: Final = 4
_ENGINE_IS_GONE: Final = ("is started again; try again", "no store engine answers on this socket")
_Key = tuple[str, str]


class Walk:
    """One walk.

    Attributes:
        done: what was done, in words.
        removed: runs that were removed; some may have begun anew.
    """

    def __init__(self, site: Site, chance: random.Random) -> None:
        self.site, self.chance = site, chance
        self.model = Model()
        self.actors: list[Actor] = []
        self.done: list[str] = []
        self._started = self._pictures = self._bursts = self._reports = 0
        self._open: list[OpenBurst] = []
        self._offline: dict[str, ModelRun] = {}
        """Runs that are not sent yet, by their journals."""
        self.removed: set[_Key] = set()
        self._doubtful: set[_Key] = set()
        """Runs of which this machine may or may not have a note."""

    def step(self) -> None:
        """Do one thing."""
        moves: list[tuple[int, Callable[[], str | None]]] = [
            (5, self._start),
            (9, self._log),
            (8, self._say),
            (3, self._end),
            (2, self._burst),
            (3, self._remove),
            (2, self._remove_project),
            (1, self._remove_running),
            (2, self._edit),
            (3, self._report),
            (3, self._ask),
            (2, self._disturb),
            (1, self._train_offline),
            (1, self._sync),
        ]
        while True:
            weights = [weight for weight, _ in moves]
            _, move = self.chance.choices(moves, weights)[0]
            if (told := move()) is not None:
                self.done.append(told)
                return

    def check(self) -> None:
        """Compare all that is stored."""
        if not self.site.is_up:
            self.site.start()
            self.done.append("daemons started")
        self._settle()
        self._wait_for_leaving()
        compare(self.site, self.model, by_hub=True)
        for project, run_id in sorted(self.removed - self.model.runs.keys() - self.model.leaving):
            absent(self.site, project, run_id, by_hub=True)
        self.done.append(f"compared {len(self.model.runs)} runs")

    def close(self) -> None:
        for actor in self.actors:
            actor.trainer.process.kill()
            actor.trainer.end()

    # ------------------------------------------------------------------ training

    def _start(self) -> str | None:
        """Let one or two processes begin a run or go on with one."""
        idle = [actor for actor in self.actors if actor.run is None and actor.rank < 0]
        key = self._free_key()
        if key is None or (len(self.actors) >= _ACTORS_MAX and not idle):
            return None
        arguments: dict[str, Any] = {"project": key[0], "id": key[1]}
        arguments["resume"] = self.chance.choice((None, "allow", "allow", "must", "never"))
        if key in self._doubtful:
            arguments["resume"] = None
        about = made_about(self.chance)
        for name in self.chance.sample(sorted(about), self.chance.randint(0, 3)):
            arguments[name] = about[name]
        if self.chance.random() < 0.7:
            arguments["config"] = made_config(self.chance)
        if idle and self.chance.random() < 0.7:
            joining = [self.chance.choice(idle)]
        elif self.chance.random() < 0.3 and len(self.actors) < _ACTORS_MAX - 1:
            joining = [self._new_actor(rank, 2, key[1]) for rank in (0, 1)]
        else:
            joining = [self._new_actor(-1, 1, "")]
        known = key in self.model.known
        told = [self._init(actor, key, arguments, known=known) for actor in joining]
        steps = {actor.step for actor in joining if actor.run is not None}
        assert len(steps) <= 1, f"{arguments}: ranks begin at the steps {steps}"
        return f"start {joining[0].trainer.number} {arguments}: {'; '.join(told)}"

    def _new_actor(self, rank: int, ranks: int, run_id: str) -> Actor:
        environment = {**self.site.train.environment, "STEPWELL_FINISH_TIMEOUT": "5"}
        if rank >= 0:
            environment |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(ranks)}
            environment["STEPWELL_RUN_ID"] = run_id
        self._started += 1
        actor = Actor(Trainer(self.site.folder, self._started, environment), self.chance, rank)
        self.actors.append(actor)
        return actor

    def _init(self, actor: Actor, key: _Key, arguments: dict[str, Any], *, known: bool) -> str:
        """Let ``actor`` begin the run; ``known``: before this start, by any of its ranks."""
        resume = arguments["resume"]
        refused = (resume == "must" and not known) or (
            resume == "never" and known and actor.is_primary
        )
        answer = actor.trainer.ask("init", **arguments)
        if refused:
            assert answer.get("error") == "ResumeError", f"{arguments}: {answer}"
            return "refused"
        assert "error" not in answer, f"{arguments}: {answer}"
        goes_on = resume in ("allow", "must") and known
        assert answer["resumed"] == goes_on, f"{arguments}: {answer}"
        run = self.model.runs.get(key)
        if run is None:
            run = self.model.runs[key] = ModelRun(*key, name=answer["name"])
        self._check_step(run, answer["step"], goes_on=goes_on)
        actor.run, actor.step, actor.journal = run, answer["step"], answer["journal"]
        actor.defined, actor.own_config = {}, set()
        actor.writer = ModelWriter(answer["label"], now(), answer["resumed"])
        run.writers.append(actor.writer)
        self.model.known.add(key)
        self._doubtful.discard(key)
        self.model.leaving.discard(key)
        if actor.is_primary:
            run.next_step, run.last_step = actor.step, run.last_step if goes_on else -1
            self._say_at_start(run, arguments, goes_on=goes_on)
        else:
            self._say_as_rank(run, arguments)
        if config := arguments.get("config"):
            run.config.update(config)
            actor.own_config |= config.keys()
        return f"step {actor.step}"

    def _check_step(self, run: ModelRun, step: int, *, goes_on: bool) -> None:
        where = f"{run.ref}: begins at step {step}"
        if not goes_on:
            assert step == 0, where
            return
        if any(each.label for each in run.writers):
            return  # Other ranks may have been further.
        # A late row hides whether the current step has one: then a step is left out.
        assert step <= run.next_step + 1, f"{where}, not {run.next_step}"
        if all(each.state in ("finished", "failed") for each in run.writers):
            behind = max(run.next_step, run.last_step + 1)
            assert step >= behind, f"{where}, not {behind}"

    def _say_at_start(self, run: ModelRun, arguments: dict[str, Any], *, goes_on: bool) -> None:
        """What the script said the last time it does not say anew: that keeps edits."""
        before = run.said if goes_on else {}
        given = _given_facts(arguments)
        for name, value in given.items():
            if before.get(name) != value:
                setattr(run, name, value)
        run.said = {**before, **given}
        run.settled |= given.keys()

    def _say_as_rank(self, run: ModelRun, arguments: dict[str, Any]) -> None:
        """What a rank above 0 says counts only where neither rank 0 nor an edit said anything."""
        for name, value in _given_facts(arguments).items():
            if name not in run.settled:
                setattr(run, name, value)

    def _log(self) -> str | None:
        actor = self._at_work()
        if actor is None:
            return None
        if self.chance.random() < 0.15:
            self._pictures += 1
            return self._named(actor, actor.image(self._pictures))
        return self._named(actor, actor.log())

    def _say(self) -> str | None:
        """Let a script say something else than points."""
        actor = self._at_work()
        if actor is None:
            return None
        ways = [actor.define, actor.set_summary, actor.config, actor.print]
        if actor.is_primary:
            ways.append(actor.about)
        if self.site.is_up:
            ways.append(actor.flush)
        return self._named(actor, self.chance.choice(ways)())

    def _end(self) -> str | None:
        """Let a process finish its run, or end in one of many ways."""
        if not self.actors:
            return None
        actor = self.chance.choice(self.actors)
        where = self._named(actor, "")
        if actor.run is not None and self.chance.random() < 0.6:
            told, _ = actor.finish()
            return where + told
        self.actors.remove(actor)
        return where + actor.leave()

    def _burst(self) -> str | None:
        actor = self._at_work()
        if actor is None or actor.is_removed:
            return None
        where = self._named(actor, "")
        self._bursts += 1
        left = actor.burst(self._bursts, self.chance.uniform(0.0, 0.1))
        self.actors.remove(actor)
        self._open.append(left)
        return f"{where}killed in a burst of {left.began} rows, {left.returned} returned"

    def _train_offline(self) -> str | None:
        """Train a run that is not sent before `sync`."""
        key = self._free_key()
        if key is None or key in self.model.known or key in self._doubtful:
            return None
        actor = self._new_actor(-1, 1, "")
        self.actors.remove(actor)
        arguments = {"project": key[0], "id": key[1], "mode": "offline"}
        answer = actor.trainer.ask("init", **arguments, config={"lr": 0.5})
        run = ModelRun(*key, name=answer["name"], config={"lr": 0.5})
        actor.run, actor.writer = run, ModelWriter(answer["label"], now(), resumed=False)
        run.writers.append(actor.writer)
        for _ in range(self.chance.randint(1, 4)):
            self.chance.choice((actor.log, actor.set_summary, actor.print))()
        self._offline[answer["journal"]] = run
        self.model.known.add(key)
        return f"offline run {run.ref} ended by {actor.leave()}"

    def _sync(self) -> str | None:
        if not self._offline or not self.site.is_up:
            return None
        done = self.site.call("sync", "--no-daemon", "--socket", str(self.site.train.socket))
        assert done.code == 0, done
        for run in self._offline.values():
            self.model.runs[run.project, run.run_id] = run
        refs = {run.ref for run in self._offline.values()}  # No end was written by the killed ones.
        wait_until(partial(self._are_ended, refs), f"{refs} to be seen as ended")
        told = f"sync of {[run.ref for run in self._offline.values()]}"
        self._offline.clear()
        return told

    def _are_ended(self, refs: set[str]) -> bool:
        """Return whether all are stored, which a relay does later, and have ended."""
        shown = [self.site.call("show", ref, "--json") for ref in refs]
        return all(each.code == 0 and json.loads(each.out)["state"] != "running" for each in shown)

    # ------------------------------------------------------------------ removal

    def _remove(self) -> str | None:
        """Remove a run that has ended, by the command line or the page, daemon or none."""
        ended = sorted(self.model.runs.keys() - self._keys_at_work() - self.model.leaving)
        if not ended or not self.site.is_up:
            return None
        key = self.chance.choice(ended)
        self._settle()
        how = self.chance.choice(("rm", "rm", "page", "rm while down", "rm after a kill"))
        if how == "page":
            status, data = self.site.hub("DELETE", path_of(*key))
            assert status == 204, f"{key}: {status} {data!r}"
        else:
            if how == "rm while down":
                self.site.down(self.site.store)
            elif how == "rm after a kill":
                self.site.kill(self.site.store)
            done = self._rm(key)
            if how == "rm after a kill" and "may contain unstored rows" in done.err:
                # The spool had not noted what was stored, so the run is kept, as it should be.
                self.site.start()
                self._settle()
                done = self._rm(key)
            assert done.code == 0, done
        # The hub of a node that relays elsewhere knows nothing of the trainers' notes.
        self._forget(key, is_known_no_more=how != "page" or self.site.train is self.site.store)
        absent(self.site, *key, by_hub=self.site.is_up)
        self.site.start()
        return f"{how} {key}"

    def _rm(self, key: _Key) -> Outcome:
        """Remove a run; again where it found the engine of a daemon that was just killed."""
        for _ in range(10):
            done = self.site.call("rm", "/".join(key), "--yes")
            is_gone = any(each in done.err for each in _ENGINE_IS_GONE)
            if done.code != 1 or not is_gone:
                break
            time.sleep(0.2)
        return done

    def _remove_project(self) -> str | None:
        """Remove a project; one with runs at work is refused."""
        project = self.chance.choice(PROJECTS)
        keys = {key for key in self.model.runs if key[0] == project}
        if not keys or not self.site.is_up or any(key[0] == project for key in self.model.leaving):
            return None
        self._settle()
        running = keys & self._keys_at_work()
        done = self.site.call("rm", "--project", project, "--yes")
        assert done.code == (2 if running else 0), done
        if running:
            return f"rm of project {project} is refused"
        for key in keys:
            self._forget(key, is_known_no_more=True)
            absent(self.site, *key, by_hub=True)
        self.model.reports.pop(project, None)
        return f"rm of project {project}"

    def _remove_running(self) -> str | None:
        """Remove a run that is at work: refused, or by force."""
        keys = sorted(self._keys_at_work() & self.model.runs.keys())
        if not keys or not self.site.is_up:
            return None
        key = self.chance.choice(keys)
        self._settle()
        refused = self.site.call("rm", "/".join(key), "--yes")
        assert refused.code == 2, refused
        assert "still running" in refused.err, refused
        if self.chance.random() < 0.5:
            return f"rm of {key}, at work, is refused"
        done = self.site.call("rm", "/".join(key), "--yes", "--force")
        assert done.code == 0, done
        run = self.model.runs[key]
        for actor in self.actors:
            if actor.run is run:
                actor.is_removed = True
        self._forget(key, is_known_no_more=False)
        self.model.leaving.add(key)
        return f"rm --force {key}"

    def _forget(self, key: _Key, *, is_known_no_more: bool) -> None:
        del self.model.runs[key]
        self.removed.add(key)
        self.model.known.discard(key)
        if not is_known_no_more:
            self._doubtful.add(key)

    def _wait_for_leaving(self) -> None:
        """Wait until nothing is left of runs that were deleted by force and whose writers ended."""
        at_work = {
            (actor.run.project, actor.run.run_id)
            for actor in self.actors
            if actor.run is not None and actor.is_removed
        }
        for key in sorted(self.model.leaving - at_work):
            wait_until(partial(self._is_gone, key), f"what {key} sent after its deletion to go")
            self.model.leaving.remove(key)

    def _is_gone(self, key: _Key) -> bool:
        return not leftovers(self.site, *key)

    # ------------------------------------------------------------------ the rest

    def _edit(self) -> str | None:
        """Edit a run as the page does."""
        if not self.model.runs or not self.site.is_up:
            return None
        key = self.chance.choice(sorted(self.model.runs))
        self._settle()
        about = made_about(self.chance)
        names = self.chance.sample(sorted(about), self.chance.randint(1, 3))
        change = {name: about[name] for name in names}
        self.site.hub_json("PATCH", path_of(*key), change)
        for name, value in change.items():
            setattr(self.model.runs[key], name, value)
        self.model.runs[key].settled |= change.keys()
        return f"edit {key} {change}"

    def _report(self) -> str | None:
        """Save a report, or a new version of one."""
        if not self.site.is_up:
            return None
        project = self.chance.choice(PROJECTS)
        held = self.model.reports.get(project, {})
        self._reports += 1
        text = f"text {self._reports}"
        if held and self.chance.random() < 0.5:
            report = self.chance.choice(sorted(held))
            version = self.site.hub_json("GET", f"/reports/{report}")["version"]
            body = {"title": "walk", "text": text, "version": version}
            self.site.hub_json("PUT", f"/reports/{report}", body)
        else:
            body = {"title": "walk", "text": text, "key": f"walk-report-{self._reports}"}
            status, data = self.site.hub("POST", f"{path_of(project)}/reports", body)
            assert status in (200, 201), f"report of {project}: {status} {data!r}"
            report = json.loads(data)["id"]
        self.model.reports.setdefault(project, {})[report] = text
        return f"report {report} of {project}: {text}"

    def _ask(self) -> str | None:
        """Ask how all is; this must change nothing."""
        words = self.chance.choice((("doctor",), ("status",), ("open", "--print-link")))
        was_up = self.site.is_up
        self.site.call(*words)
        if words[0] == "open" and not was_up:  # It may have started a daemon of its own.
            self.site.call("down", "--data", str(self.site.store.data))
        return " ".join(words)

    def _disturb(self) -> str | None:
        """Stop or kill a daemon, or its engine or hub; or start what was stopped."""
        if not self.site.is_up:
            self.site.start()
            return "daemons started"
        what = self.chance.choice(("kill", "kill", "restart", "down", "engine", "hub"))
        node = self.chance.choice(self.site.nodes)
        if what in ("engine", "hub"):
            return f"kill of the {what}" * self.site.kill_child(what) or None
        if what == "down":
            self.site.down(node)
        else:
            self.site.kill(node)
        if what != "kill" or self.chance.random() < 0.5:
            time.sleep(self.chance.uniform(0.0, 0.3))
            if what != "down":
                self.site.start()
        return f"{what} of daemon {node.folder.name}"

    def _settle(self) -> None:
        """Wait until all that the model has is stored, and learn what bursts left."""
        for actor in self.actors:
            if actor.run is not None:
                actor.flush()
        live = [actor.journal for actor in self.actors if actor.run is not None]
        self.site.settle([*live, *self._offline])
        for burst in self._open:
            where = (burst.run.project, burst.run.run_id, BURST_METRIC, burst.label)
            resolve(burst, self.site.points(*where))
        self._open.clear()

    def _at_work(self) -> Actor | None:
        actors = [actor for actor in self.actors if actor.run is not None]
        return self.chance.choice(actors) if actors else None

    def _keys_at_work(self) -> set[_Key]:
        return {
            (actor.run.project, actor.run.run_id)
            for actor in self.actors
            if actor.run is not None and not actor.is_removed
        }

    def _free_key(self) -> _Key | None:
        """Return a run without open writers, of which all is known."""
        keys = {(project, run_id) for project in PROJECTS for run_id in RUN_IDS}
        keys -= self._keys_at_work()  # The id of a run deleted by force is free at once.
        keys -= {(run.project, run.run_id) for run in self._offline.values()}
        keys -= {(burst.run.project, burst.run.run_id) for burst in self._open}
        return self.chance.choice(sorted(keys)) if keys else None

    def _named(self, actor: Actor, told: str) -> str:
        run = actor.run.ref if actor.run is not None else "no run"
        rank = f" rank {actor.rank}" * (actor.rank >= 0)
        return f"{actor.trainer.number}{rank} ({run}): {told}"


def _given_facts(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: arguments[name] for name in ("name", "tags", "notes") if name in arguments}
