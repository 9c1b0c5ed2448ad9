"""From `log` to a daemon: everything arrives once, whatever the daemon does meanwhile."""

import threading
from pathlib import Path

import pytest

from stepwell import Run
from stepwell._journal import Journal
from stepwell._sender import Sender
from stepwell.testing import RecordingDaemon
from stepwell_wire.journal_files import find_journals
from tests.sdk.conftest import Start
from tests.sdk.held import read_journal
from tests.waiting import wait_until


def sender_of(run: Run) -> Sender:
    return run._recording.sender


def values(daemon: RecordingDaemon, metric: str = "x") -> list[float]:
    return [point.value for point in daemon.points(metric)]


def test_a_run_arrives_whole_and_leaves_no_journal(start: Start, daemon: RecordingDaemon) -> None:
    with start("digits", config={"lr": 0.1, "layers": {"n": 3}}, id="run1", name="first") as run:
        for i in range(100):
            run.log({"x": float(i), "note": "half" if i == 50 else 1})
        run.summary["best"] = 7
    (writer,) = daemon.writers
    assert (writer.hello.project, writer.hello.run_id, writer.hello.scope) == (
        "digits",
        "run1",
        "run",
    )
    assert values(daemon) == [float(i) for i in range(100)]
    assert daemon.events("values")[0].body == {"values": {"note": "half"}}
    assert daemon.events("values")[0].step == 50
    assert daemon.merged("config") == {"lr": 0.1, "layers": {"n": 3}}
    assert daemon.merged("summary") == {"best": 7}
    kinds = [event.kind for event in daemon.events()]
    assert (kinds[0], kinds[-1]) == ("start", "finish")
    assert daemon.events("start")[0].body["name"] == "first"
    assert daemon.events("finish")[0].body == {"state": "finished", "exit_code": 0}
    assert find_journals(Path(run.settings.journals_dir)) == []


def test_flush_returns_when_everything_is_acknowledged(
    start: Start, daemon: RecordingDaemon
) -> None:
    run = start()
    for i in range(10):
        run.log({"x": float(i)})
        assert run.flush(30)
        assert values(daemon) == [float(j) for j in range(i + 1)]


@pytest.mark.holds("logged-survives-absence")
def test_a_daemon_that_comes_late_gets_everything(start: Start, folder: Path) -> None:
    run = start(settings={"socket": str(folder / "late.sock")})
    for i in range(1000):
        run.log({"x": float(i)})
    with RecordingDaemon(folder / "late.sock") as late:
        assert late.wait_for(lambda: late.writers and len(values(late)) == 1000)
        run.finish()
        assert len(values(late)) == 1000


@pytest.mark.holds("logged-survives-absence")
def test_a_daemon_that_comes_back_gets_the_rest_and_nothing_twice(
    start: Start, daemon: RecordingDaemon
) -> None:
    run = start()
    for i in range(3000):
        run.log({"x": float(i)})
        if i % 1000 == 500:
            assert run.flush(30)
            daemon.stop()
        if i % 1000 == 900:
            daemon.start()
    run.finish()
    assert values(daemon) == [float(i) for i in range(3000)]
    assert len(daemon.writers[0].hellos) >= 3


@pytest.mark.holds("resent-frames")
def test_what_was_sent_and_not_acknowledged_is_sent_again_and_recognised(
    start: Start, daemon: RecordingDaemon
) -> None:
    daemon.hold_acks = True
    run = start()
    for i in range(500):
        run.log({"x": float(i)})
    assert daemon.wait_for(lambda: len(values(daemon)) == 500)
    assert not run.flush(0.05)
    daemon.stop()
    daemon.hold_acks = False
    daemon.start()
    run.log({"x": 500.0})
    run.finish()
    assert values(daemon) == [float(i) for i in range(501)]


@pytest.mark.holds("spool-limit")
@pytest.mark.parametrize("code", ["BUSY", "GAP"])
def test_a_passing_refusal_delays_and_loses_nothing(
    start: Start, daemon: RecordingDaemon, code: str
) -> None:
    run = start()
    run.log({"x": 0.0})
    assert run.flush(30)
    daemon.refuse_next(code)
    for i in range(1, 100):
        run.log({"x": float(i)})
    run.finish()
    assert values(daemon) == [float(i) for i in range(100)]


@pytest.mark.holds("other-versions")
@pytest.mark.parametrize("code", ["MALFORMED", "UNSUPPORTED_VERSION", "LIMIT"])
@pytest.mark.slow
def test_a_final_refusal_ends_sending_says_so_once_and_keeps_the_journal(
    start: Start, daemon: RecordingDaemon, code: str, capfd: pytest.CaptureFixture[str]
) -> None:
    run = start()
    run.log({"x": 0.0})
    assert run.flush(30)
    daemon.refuse_next(code, "because of a test")
    for i in range(1, 100):
        run.log({"x": float(i)})
    assert not run.flush(30)
    run.log({"x": 100.0})
    folder = run._journal_dir
    run.finish()
    told = capfd.readouterr().err
    assert told.count("because of a test") == 1
    assert folder in told
    assert [value for _, value in read_journal(folder).series("x")] == list(map(float, range(101)))


@pytest.mark.holds("logged-survives-absence")
def test_a_daemon_that_lost_its_data_is_given_what_is_still_held(
    start: Start, daemon: RecordingDaemon
) -> None:
    run = start()
    run.log({"x": 0.0})
    assert run.flush(30)
    daemon.stop()
    daemon.forget()
    daemon.start()
    run.log({"x": 1.0})
    run.finish()
    assert values(daemon) == [0.0, 1.0]


@pytest.mark.slow
def test_large_amounts_travel_in_bounded_frames(start: Start, daemon: RecordingDaemon) -> None:
    run = start()
    row = {f"m{i}": float(i) for i in range(1000)}
    for _ in range(2000):  # 16 MB, more than the window and several segments.
        run.log(row)
    run.finish()
    assert len(values(daemon, "m999")) == 2000
    assert daemon.frame_count >= 16


def test_rows_of_two_threads_and_a_finish_from_a_third(
    start: Start, daemon: RecordingDaemon
) -> None:
    run = start()
    threads = [
        threading.Thread(target=lambda n=n: [run.log({f"t{n}": float(i)}) for i in range(1000)])
        for n in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ending = threading.Thread(target=run.finish)
    ending.start()
    ending.join()
    assert values(daemon, "t0") == values(daemon, "t1") == [float(i) for i in range(1000)]


def test_the_sender_sleeps_without_a_limit_while_nothing_is_logged(
    start: Start, daemon: RecordingDaemon
) -> None:
    run = start()
    run.log({"x": 1.0})
    assert run.flush(30)
    woken = sender_of(run)._woken
    waited: list[float | None] = []
    real = woken.wait

    def wait(timeout: float | None = None) -> bool:
        waited.append(timeout)
        return real(timeout)

    woken.wait = wait  # type: ignore[method-assign]
    run.log({"x": 2.0})
    # The sender may still have been on its way to its sleep when this row woke it: then it goes
    # around once more, so the first endless wait need not be the last one.
    wait_until(
        lambda: waited and waited[-1] is None and run._writer.idle,
        "sender sleeps without a limit",
    )
    looks = len(waited)
    run.log({"x": 3.0})
    assert daemon.wait_for(lambda: len(values(daemon)) == 3)
    assert len(waited) > looks


def test_a_mistake_in_the_sender_is_said_once_and_survived(
    start: Start,
    daemon: RecordingDaemon,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    run = start()
    run.log({"x": 0.0})
    assert run.flush(30)
    failures = iter([OSError("the disk"), ValueError("a mistake")])
    real = Journal.tend

    def tend(journal: Journal) -> None:
        for error in failures:
            raise error
        real(journal)

    monkeypatch.setattr(Journal, "tend", tend)
    for i in range(1, 10):
        run.log({"x": float(i)})
    assert run.flush(30)
    run.finish()
    assert values(daemon) == [float(i) for i in range(10)]
    assert capfd.readouterr().err.count("continues after an error") == 1


def test_without_a_daemon_finish_ends_at_once_and_says_where_the_data_is(
    start: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    run = start()
    run.log({"x": 1.0})
    folder = run._journal_dir
    run.finish()
    told = capfd.readouterr().err
    assert "stepwell sync" in told
    assert folder in told
    assert read_journal(folder).series("x") == [(0, 1.0)]


def test_finish_is_bounded_when_the_daemon_acknowledges_nothing(
    start: Start, daemon: RecordingDaemon, capfd: pytest.CaptureFixture[str]
) -> None:
    run = start(settings={"finish_timeout": 0.2})
    run.log({"x": 1.0})
    assert run.flush(30)
    daemon.hold_acks = True
    run.log({"x": 2.0})
    folder = run._journal_dir
    run.finish()
    assert "not delivered to the daemon yet" in capfd.readouterr().err
    assert len(read_journal(folder).series("x")) == 2


def test_what_the_daemon_wants_the_user_to_know_is_said_once(
    start: Start, daemon: RecordingDaemon, capfd: pytest.CaptureFixture[str]
) -> None:
    daemon.notice = "journals lie where they should not"
    with start() as run:
        for _ in range(3):
            run.log({"x": 1.0})
            assert run.flush(timeout=30)
            daemon.stop()
            daemon.start()
    said = capfd.readouterr().err
    assert said.count(daemon.notice) == 1
    assert len(values(daemon)) == 3
