"""Workers: what is made of each kind of payload, and what ends a worker ends nothing else."""

import asyncio
import io
import math
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from blake3 import blake3
from PIL import Image

from stepwell_daemon.blobs.line_worker import LineWorker, WorkerSilentError
from stepwell_daemon.blobs.worker import make
from stepwell_daemon.blobs.worker_process import MakeFailedError, Result, WorkerProcess
from stepwell_wire.staged import file_name
from tests.daemon.staged import stage

pytestmark = pytest.mark.holds("hostile-picture")


def made(tmp_path: Path, payload: bytes, kind: str, **about: Any) -> tuple[dict[str, Any], bytes]:
    """Return the worker's answer and what it wrote."""
    source = tmp_path / file_name(stage(tmp_path, payload, kind, **about))
    target = tmp_path / "made"
    answer = make(source, target)
    content = target.read_bytes() if target.exists() and "digest" in answer else b""
    if content:
        assert answer["digest"] == blake3(content).hexdigest()
        assert answer["size"] == len(content)
    return answer, content


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_pixels_become_the_same_pixels_in_png(tmp_path: Path, channels: int, mode: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 7, channels), dtype=np.uint8)
    shape = list(pixels.shape)
    answer, content = made(tmp_path, pixels.tobytes(), "pixels", shape=shape, format="png")
    picture = Image.open(io.BytesIO(content))
    assert (picture.mode, picture.size) == (mode, (7, 5))
    assert np.asarray(picture).reshape(5, 7, channels).tolist() == pixels.tolist()
    assert (answer["media_type"], answer["width"], answer["height"]) == ("image/png", 7, 5)


@pytest.mark.parametrize("name", ["jpeg", "webp", "bmp"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_other_formats_are_made_where_they_are_asked_for(
    tmp_path: Path, name: str, channels: int
) -> None:
    payload = bytes(8 * 8 * channels)
    answer, content = made(tmp_path, payload, "pixels", shape=[8, 8, channels], format=name)
    assert answer["media_type"] == f"image/{name}"
    assert Image.open(io.BytesIO(content)).size == (8, 8)


@pytest.mark.parametrize(
    "about",
    [
        {"shape": [5, 7, 3], "format": "png"},
        {"shape": [1, 12], "format": "png"},
        {"shape": [-1, -12, 1], "format": "png"},
        {"shape": [1, 1, 12], "format": "png"},
        {"shape": "large", "format": "png"},
        {"shape": [1 << 40, 1 << 40, 3], "format": "png"},
        {"shape": [2, 2, 3], "format": "exe"},
        {"shape": [2, 2, 3], "format": ["png"]},
        {},
    ],
)
def test_pixels_that_cannot_be_are_unusable(tmp_path: Path, about: dict[str, Any]) -> None:
    answer, _ = made(tmp_path, bytes(12), "pixels", **about)
    assert answer.keys() == {"unusable"}


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_frames_become_an_animated_picture(tmp_path: Path, channels: int) -> None:
    pixels = np.zeros((3, 20, 30, channels), np.uint8)
    for number in range(3):
        pixels[number] = 60 * number + 60
    about = {"shape": list(pixels.shape), "fps": 3}
    answer, content = made(tmp_path, pixels.tobytes(), "frames", **about)
    assert (answer["media_type"], answer["width"], answer["height"]) == ("image/webp", 30, 20)
    durations, levels = [], []
    with Image.open(io.BytesIO(content)) as film:
        assert (film.n_frames, film.info["loop"]) == (3, 0)  # type: ignore[attr-defined]
        for number in range(3):
            film.seek(number)
            levels.append(np.asarray(film.convert("RGB"))[10, 10, 0].item())
            durations.append(film.info["duration"])
    assert durations == [333, 334, 333]
    assert levels == [60, 120, 180]


def test_few_colors_are_kept_exactly_and_many_nearly(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    few = random.choice(np.array([[255, 0, 0], [0, 200, 0], [0, 0, 0]], np.uint8), (4, 16, 16))
    across, down, moment = np.meshgrid(np.arange(64), np.arange(64), np.arange(4))
    many = np.stack([4 * across, 4 * down, 60 * moment], -1).astype(np.uint8).transpose(2, 0, 1, 3)
    for number, (pixels, error) in enumerate(((few, 0), (many, 8))):
        shape = list(pixels.shape)
        folder = tmp_path / str(number)
        _, content = made(folder, pixels.tobytes(), "frames", shape=shape, fps=4)
        with Image.open(io.BytesIO(content)) as film:
            for place in range(4):
                film.seek(place)
                found = np.asarray(film.convert("RGB")).astype(int)
                assert np.abs(found - pixels[place]).mean() <= error


def test_a_video_may_have_one_frame_only(tmp_path: Path) -> None:
    answer, content = made(tmp_path, bytes(12), "frames", shape=[1, 2, 2, 3], fps=4.0)
    assert answer["media_type"] == "image/webp"
    assert Image.open(io.BytesIO(content)).size == (2, 2)


@pytest.mark.parametrize(
    "about",
    [
        {"shape": [1, 2, 2, 4], "fps": 4},
        {"shape": [2, 2, 3], "fps": 4},
        {"shape": [-1, -2, 2, 3], "fps": 4},
        {"shape": [1, 2, 2, 3], "fps": 0},
        {"shape": [1, 2, 2, 3], "fps": "4"},
        {"shape": [1, 2, 2, 3]},
        {"shape": [1, 12, 1, 1], "fps": float("nan")},
        {"shape": [1, 12, 1, 1], "fps": 1e-5},
        {"shape": [1 << 40, 1 << 40, 1, 3], "fps": 4},
    ],
)
def test_frames_that_cannot_be_are_unusable(tmp_path: Path, about: dict[str, Any]) -> None:
    answer, _ = made(tmp_path, bytes(12), "frames", **about)
    assert answer.keys() == {"unusable"}


@pytest.mark.parametrize(
    "shape", [[1, 1, 16_384, 1], [20_001, 1, 1, 1], [9, 16_000, 1000, 1]], ids=str
)
def test_a_video_beyond_a_limit_is_unusable(tmp_path: Path, shape: list[int]) -> None:
    answer, _ = made(tmp_path, bytes(math.prod(shape)), "frames", shape=shape, fps=4)
    assert "at most 20,000 frames" in answer["unusable"]


def test_large_frames_become_an_animated_png(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(*_: Any) -> None:
        raise RuntimeError("encoding error 1")

    PIL.Image.init()
    monkeypatch.setitem(PIL.Image.SAVE_ALL, "WEBP", save)
    pixels = np.stack([np.full((4, 4, 3), 200 * each, np.uint8) for each in range(2)])
    about = {"shape": [2, 4, 4, 3], "fps": 4}
    answer, content = made(tmp_path, pixels.tobytes(), "frames", **about)
    assert answer["media_type"] == "image/png"
    with Image.open(io.BytesIO(content)) as film:
        assert (film.n_frames, film.info["loop"]) == (2, 0)  # type: ignore[attr-defined]


def test_webp_that_needs_more_memory_than_there_is_becomes_png(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libwebp takes more than 60 bytes a pixel; a large picture must be kept all the same."""

    def save(*_: Any) -> None:
        raise ValueError("encoding error 1")

    PIL.Image.init()
    monkeypatch.setitem(PIL.Image.SAVE, "WEBP", save)
    answer, content = made(tmp_path, bytes(12), "pixels", shape=[2, 2, 3], format="webp")
    assert (answer["media_type"], answer["width"]) == ("image/png", 2)
    assert content.startswith(b"\x89PNG")


def test_a_side_that_a_format_cannot_have_is_unusable(tmp_path: Path) -> None:
    shape = [1, 20_000, 1]
    answer, _ = made(tmp_path, bytes(20_000), "pixels", shape=shape, format="webp")
    assert "20000" in answer["unusable"]


def picture_file(name: str) -> bytes:
    held = io.BytesIO()
    Image.new("RGB", (9, 4), (1, 2, 3)).save(held, name)
    return held.getvalue()


@pytest.mark.parametrize("name", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
def test_a_picture_that_browsers_know_is_kept_as_it_is(tmp_path: Path, name: str) -> None:
    payload = picture_file(name)
    answer, content = made(tmp_path, payload, "file", media_type="image/png")
    assert content == payload
    assert (answer["media_type"], answer["width"]) == (f"image/{name.lower()}", 9)


def test_another_picture_is_encoded_anew(tmp_path: Path) -> None:
    answer, content = made(tmp_path, picture_file("TIFF"), "file", media_type="image/tiff")
    assert answer["media_type"] == "image/png"
    assert Image.open(io.BytesIO(content)).getpixel((0, 0)) == (1, 2, 3)


@pytest.mark.parametrize(
    "payload", [b"<script>alert(1)</script>", b"", b"\x89PNG\r\n\x1a\n", picture_file("PNG")[:40]]
)
def test_what_is_no_picture_is_unusable_whatever_it_says_of_itself(
    tmp_path: Path, payload: bytes
) -> None:
    answer, _ = made(tmp_path, payload, "file", media_type="image/png")
    assert answer.keys() == {"unusable"}


CLASSES = np.array([[0, 1, 2], [3, 1, 0]], np.uint8)


def file_of(picture: Image.Image, name: str = "PNG", **options: Any) -> bytes:
    held = io.BytesIO()
    picture.save(held, name, **options)
    return held.getvalue()


def palette_picture() -> Image.Image:
    """Return a mask as VOC has them: colours of a palette, whose red parts are no classes."""
    picture = Image.fromarray(CLASSES).convert("P")
    picture.putdata(CLASSES.ravel().tolist())
    picture.putpalette([9, 9, 9, 200, 0, 0, 10, 200, 0, 0, 0, 200] + [0] * 756)
    return picture


def with_alpha(picture: Image.Image) -> Image.Image:
    picture.putalpha(Image.new("L", picture.size, 7))
    return picture


MASKS = {
    "grey": file_of(Image.fromarray(CLASSES)),
    "palette": file_of(palette_picture()),
    "palette of a GIF": file_of(palette_picture(), "GIF"),
    "grey of 16 bits": file_of(Image.fromarray(CLASSES.astype(np.uint16))),
    "grey of 32 bits": file_of(Image.fromarray(CLASSES.astype(np.int32)), "TIFF"),
    "grey as colours": file_of(Image.fromarray(CLASSES).convert("RGB")),
    "grey with alpha": file_of(with_alpha(Image.fromarray(CLASSES))),
    "colours with alpha": file_of(with_alpha(Image.fromarray(CLASSES).convert("RGB"))),
    "lossless": file_of(Image.fromarray(CLASSES).convert("RGB"), "WEBP", lossless=True),
}


@pytest.mark.parametrize("name", MASKS)
def test_a_mask_becomes_a_grey_picture_of_its_classes(tmp_path: Path, name: str) -> None:
    answer, content = made(tmp_path, MASKS[name], "file", media_type="image/png", mask=True)
    with Image.open(io.BytesIO(content)) as picture:
        assert (picture.format, picture.mode) == ("PNG", "L")
        assert np.asarray(picture).tolist() == CLASSES.tolist()
    assert (answer["media_type"], answer["width"], answer["height"]) == ("image/png", 3, 2)


def test_a_mask_of_one_bit_has_the_classes_0_and_1(tmp_path: Path) -> None:
    payload = file_of(Image.fromarray(CLASSES > 1))
    _, content = made(tmp_path, payload, "file", media_type="image/png", mask=True)
    picture = Image.open(io.BytesIO(content))
    assert (picture.mode, np.asarray(picture).tolist()) == ("L", [[0, 0, 1], [1, 0, 0]])


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (file_of(Image.fromarray(CLASSES), "JPEG"), "JPEG is lossy"),
        (file_of(Image.fromarray(CLASSES).convert("RGB"), "WEBP"), "WEBP is lossy"),
        (file_of(palette_picture().convert("RGB")), "in colours; expected the class of each pixel"),
        (file_of(Image.new("I;16", (2, 2), 256)), "classes from 256 to 256; expected 0 to 255"),
        (file_of(Image.new("F", (2, 2), 0.5), "TIFF"), "mode F; expected a grey picture"),
        (b"none", "not a picture"),
    ],
    ids=["jpeg", "webp", "colours", "too large", "floats", "no picture"],
)
def test_what_has_no_classes_is_no_mask(tmp_path: Path, payload: bytes, says: str) -> None:
    answer, _ = made(tmp_path, payload, "file", media_type="image/png", mask=True)
    assert says in answer["unusable"]


def test_a_text_is_utf_8(tmp_path: Path) -> None:
    answer, content = made(tmp_path, "<b>ä</b>".encode(), "text", media_type="text/html")
    assert (content.decode(), answer["media_type"]) == ("<b>ä</b>", "text/html")
    assert "not UTF-8" in made(tmp_path, b"\xff\xfe", "text", media_type="text/html")[0]["unusable"]
    odd = made(tmp_path, b"x", "text", media_type="image/svg+xml")[0]
    assert odd["media_type"] == "text/plain"


def test_bytes_that_changed_since_they_were_staged_are_unusable(tmp_path: Path) -> None:
    source = tmp_path / file_name(stage(tmp_path, b"hello"))
    source.write_bytes(b"j" + source.read_bytes()[1:])
    assert "checksum" in make(source, tmp_path / "made")["unusable"]


def test_an_unknown_kind_is_unusable_and_says_what_to_do(tmp_path: Path) -> None:
    assert "upgrade the daemon" in made(tmp_path, b"x", "hologram")[0]["unusable"]


def test_a_full_disk_is_no_fault_of_the_blob(tmp_path: Path) -> None:
    source = tmp_path / file_name(stage(tmp_path, b"hello"))
    assert make(source, tmp_path / "none" / "made").keys() == {"failed"}


# ---------------------------------------------------------------------- processes


def run_worker(work: Any, **named: Any) -> Any:
    options: dict[str, Any] = {"memory_bytes": 1 << 30, "seconds": 30.0} | named

    async def within() -> Any:
        worker = WorkerProcess(**options)
        try:
            return await work(worker)
        finally:
            await worker.close()

    return asyncio.run(within())


@pytest.mark.processes
def test_one_process_makes_one_blob_after_the_other(tmp_path: Path) -> None:
    sources = [tmp_path / file_name(stage(tmp_path, b"%d" % number)) for number in range(3)]

    async def work(worker: WorkerProcess) -> tuple[list[Result], set[int | None]]:
        results, pids = [], set()
        for source in sources:
            results.append(await worker.make(source, tmp_path / "made"))
            pids.add(worker.pid)
        return results, pids

    results, pids = run_worker(work)
    assert [result.size for result in results] == [1, 1, 1]
    assert len(pids) == 1


@pytest.mark.holds("bound-media-worker")
@pytest.mark.processes
def test_a_worker_that_is_killed_costs_its_blob_after_five_attempts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / file_name(stage(tmp_path, b"x"))
    os.remove(source)
    os.mkfifo(source)  # Refused, not waited for.

    async def refused(worker: WorkerProcess) -> Result:
        return await worker.make(source, tmp_path / "made")

    with pytest.raises(MakeFailedError, match="not a regular file"):
        run_worker(refused)

    good = tmp_path / file_name(stage(tmp_path, b"y"))

    broken = tmp_path / "blake3.py"
    broken.write_text("import os; print('{}', flush=True); input(); os.kill(os.getpid(), 9)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)

    async def killed(worker: WorkerProcess) -> tuple[Result, Result]:
        first = await worker.make(good, tmp_path / "made")
        broken.unlink()
        return first, await worker.make(good, tmp_path / "made")

    first, second = run_worker(killed)
    assert f"signal {int(signal.SIGKILL)}" in first.reason
    assert "5 attempts" in first.reason
    assert second.size == 1


@pytest.mark.processes
def test_a_worker_that_cannot_start_is_no_fault_of_the_blob(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / file_name(stage(tmp_path, b"x"))
    (tmp_path / "blake3.py").write_text("raise ImportError('not installed')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    async def work(worker: WorkerProcess) -> Result:
        return await worker.make(source, tmp_path / "made")

    with pytest.raises(MakeFailedError, match="starting a worker failed"):
        run_worker(work)


@pytest.mark.processes
def test_a_blob_that_needs_too_much_memory_is_unusable_and_the_next_is_made(
    tmp_path: Path,
) -> None:
    side = 8_000
    blob_id = stage(tmp_path, bytes(4 * side * side), "pixels", shape=[side, side, 4], format="png")
    small = tmp_path / file_name(stage(tmp_path, b"x"))

    async def work(worker: WorkerProcess) -> tuple[Result, Result]:
        first = await worker.make(tmp_path / file_name(blob_id), tmp_path / "made")
        return first, await worker.make(small, tmp_path / "made")

    first, second = run_worker(work, memory_bytes=256 << 20)
    assert "blob_worker_memory_bytes" in first.reason
    assert second.size == 1


@pytest.mark.processes
def test_a_blob_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    side = 4000
    blob_id = stage(tmp_path, bytes(side * side), "pixels", shape=[side, side, 1], format="png")

    async def work(worker: WorkerProcess) -> Result:
        return await worker.make(tmp_path / file_name(blob_id), tmp_path / "made")

    result = run_worker(work, seconds=0.01)
    assert "blob_seconds" in result.reason


WORKER = """
import sys, time
print("{}", flush=True)
for line in sys.stdin:
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        until = time.process_time() + 0.02 * WORK
        while time.process_time() < until:
            pass
        time.sleep(0.08)
    print('{"done": 1}', flush=True)
"""


@pytest.mark.processes
@pytest.mark.parametrize(("work", "is_patient"), [(1, True), (0, False)])
def test_a_worker_with_a_small_part_of_the_processor_is_not_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: int, is_patient: bool
) -> None:
    """On a busy node the low priority of a worker gives it a small part only."""
    (tmp_path / "slow_worker.py").write_text(WORKER.replace("WORK", str(work)))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)

    async def ask() -> dict[str, Any]:
        worker = LineWorker("slow_worker", memory_bytes=1 << 30, answer_bytes_max=1000)
        try:
            await worker.send({})
            return await worker.receive(0.5)
        finally:
            await worker.close()

    if is_patient:
        assert asyncio.run(ask()) == {"done": 1}
    else:
        with pytest.raises(WorkerSilentError):
            asyncio.run(ask())


def test_postscript_starts_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow reads it with Ghostscript, whatever the file's name says."""
    ran = tmp_path / "ran"
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {ran}\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    page = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
    answer, _ = made(tmp_path, page, "file", media_type="image/tiff")
    assert "not a picture in a known format" in answer["unusable"]
    assert not ran.exists()


@pytest.mark.processes
def test_what_a_staged_file_says_of_itself_fits_an_answer(tmp_path: Path) -> None:
    source = tmp_path / file_name(stage(tmp_path, b"x", "file", media_type="\\" * 30_000))

    async def work(worker: WorkerProcess) -> Result:
        return await worker.make(source, tmp_path / "made")

    result = run_worker(work)
    assert result.reason.startswith("invalid media type")
    assert len(result.reason) <= 1000


@pytest.mark.processes
@pytest.mark.parametrize("line", ["x" * 100_000, "no JSON"])
def test_an_answer_that_cannot_be_read_ends_the_worker_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    source = tmp_path / file_name(stage(tmp_path, b"x"))
    (tmp_path / "blake3.py").write_text(f"print('{{}}'); input(); print({line!r}); input()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    async def work(worker: WorkerProcess) -> Result:
        return await worker.make(source, tmp_path / "made")

    assert "gave an invalid answer" in run_worker(work).reason
