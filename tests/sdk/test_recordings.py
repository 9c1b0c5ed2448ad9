"""Videos and sounds of arrays: what each becomes, and what is refused at once."""

import io
import tempfile
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepwell import Audio, Object3D, Video
from tests.sdk.kept_media import Kept

numpy = pytest.importorskip("numpy")


def staged(medium: Any) -> tuple[dict[str, Any], tuple[str, dict[str, Any], bytes], list[str]]:
    """Return what the row says of ``medium``, what was staged, and what the user is told."""
    stage, told = Kept(), []
    row = medium.described(stage, lambda kind, text: told.append(text))
    (kept,) = stage.kept
    return row, kept, told


def frames(video: Video) -> Any:
    _, (_, about, payload), _ = staged(video)
    return numpy.frombuffer(payload, numpy.uint8).reshape(about["shape"])


def samples(audio: Audio) -> tuple[int, Any]:
    """Return the rate and the samples of the WAV file, read by the standard library."""
    _, (kind, about, payload), _ = staged(audio)
    assert (kind, about) == ("file", {"media_type": "audio/wav"})
    with wave.open(io.BytesIO(payload)) as found:
        assert found.getsampwidth() == 2
        values = numpy.frombuffer(found.readframes(found.getnframes()), "<i2")
        return found.getframerate(), values.reshape(-1, found.getnchannels()).tolist()


# ---------------------------------------------------------------------- videos


def test_frames_are_copied_when_the_video_is_made() -> None:
    array = numpy.arange(2 * 3 * 4 * 5, dtype=numpy.uint8).reshape(2, 3, 4, 5)
    expected = array.transpose(0, 2, 3, 1).tolist()
    video = Video(array, fps=8, caption="a", format="mp4")
    array[:] = 0
    row, (kind, about, _), told = staged(video)
    assert row == {
        "_type": "video-file",
        "blob": f"{1:032x}",
        "format": "webp",
        "width": 5,
        "height": 4,
        "caption": "a",
    }
    assert (kind, about) == ("frames", {"shape": [2, 4, 5, 3], "fps": 8.0})
    assert frames(video).tolist() == expected
    assert told == []


def test_a_video_of_an_array_has_four_frames_a_second() -> None:
    _, (_, about, _), _ = staged(Video(numpy.zeros((1, 1, 2, 2))))
    assert about["fps"] == 4.0


@pytest.mark.parametrize(
    ("videos", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (4, 2, 2), (6, 2, 3), (7, 1, 7)]
)
def test_several_videos_are_beside_each_other(videos: int, rows: int, columns: int) -> None:
    array = numpy.zeros((videos, 2, 1, 3, 4), numpy.uint8)
    for number in range(videos):
        array[number] = number + 1
    found = frames(Video(array))
    assert found.shape == (2, rows * 3, columns * 4, 1)
    corners = found[1, ::3, ::4, 0].reshape(-1).tolist()
    assert corners == list(range(1, videos + 1))


def test_values_become_pixels_as_those_of_an_image() -> None:
    found = frames(Video(numpy.array([0.0, 0.5, 1.0, numpy.nan]).reshape(1, 1, 2, 2)))
    assert found.reshape(-1).tolist() == [0, 128, 255, 0]
    _, _, told = staged(Video(numpy.full((1, 1, 2, 2), 300)))
    assert told == ["Video: values 300 to 300 were clipped to 0 to 255; see docs/logging.md"]


def test_a_tensor_is_a_video() -> None:
    torch = pytest.importorskip("torch")
    array = numpy.arange(24, dtype=numpy.uint8).reshape(2, 3, 2, 2)
    assert frames(Video(torch.tensor(array))).tolist() == frames(Video(array)).tolist()


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: Video(numpy.zeros((2, 8, 8, 3))), ValueError, r"needs .transpose\(0, 3, 1, 2\)"),
        (lambda: Video(numpy.zeros((2, 8, 8))), ValueError, r"need array\[:, None\]"),
        (lambda: Video(numpy.zeros((0, 3, 8, 8))), ValueError, "expected frames × channels"),
        (lambda: Video([1]), ValueError, "expected frames × channels"),
        (lambda: Video([[1, 2], [3]]), ValueError, "Video: the lists in it differ in length"),
        (lambda: Video(numpy.zeros((1, 1, 1, 20_000))), ValueError, "at most 16,383 pixels"),
        (lambda: Video(numpy.array([[[["a"]]]])), TypeError, "Video: an array of <U1"),
        (lambda: Video(numpy.zeros((1, 1, 2, 2)), fps=0), ValueError, "from 0.01 to 1000"),
        (lambda: Video(numpy.zeros((1, 1, 2, 2)), fps="4"), TypeError, "fps is a str"),
        (lambda: Video(object()), TypeError, "expected an array, a tensor or a path"),
        (lambda: Video(numpy.zeros((1, 1, 2, 2)), fps=1e-5), ValueError, "from 0.01 to 1000"),
        (lambda: Video(numpy.zeros((20_001, 1, 1, 1))), ValueError, "at most 20,000 frames"),
        (lambda: Object3D(io.BytesIO(b"x")), ValueError, "pass file_type, one of obj"),
        (lambda: Audio(numpy.zeros(3)), ValueError, "data need a sample_rate"),
        (lambda: Audio(numpy.zeros(3), sample_rate="x"), TypeError, "sample_rate is 'x'"),
        (lambda: Audio(numpy.zeros(3), sample_rate=float("inf")), TypeError, "sample_rate is inf"),
        (lambda: Audio(numpy.zeros(3), sample_rate=0), ValueError, "sample_rate is 0"),
        (lambda: Audio(numpy.zeros((2, 100)), sample_rate=8), ValueError, "needs .T"),
        (lambda: Audio(numpy.zeros((2, 2, 2)), sample_rate=8), ValueError, "expected samples"),
        (lambda: Audio(numpy.zeros(3, bool), sample_rate=8), TypeError, "an array of bool"),
        (lambda: Audio([[1], [2, 3]], sample_rate=8), ValueError, "Audio: the lists in it differ"),
        (lambda: Audio(None, sample_rate=8), TypeError, "not a NoneType"),
    ],
)
def test_what_is_no_video_and_no_sound_is_refused(
    make: Callable[[], Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        make()


# ---------------------------------------------------------------------- sounds


def test_samples_become_a_wav_file() -> None:
    row, _, told = staged(Audio(numpy.zeros(4), sample_rate=8000, caption="c"))
    assert row == {"_type": "audio-file", "format": "wav", "blob": f"{1:032x}", "caption": "c"}
    assert told == []
    assert samples(Audio(numpy.array([0.0, 0.5, -1.0, 1.0]), sample_rate=8000)) == (
        8000,
        [[0], [16384], [-32767], [32767]],
    )


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (numpy.array([[1, 2], [3, 4], [5, 6]], numpy.int16), [[1, 2], [3, 4], [5, 6]]),
        (numpy.array([1 << 16, -(1 << 16)], numpy.int32), [[1], [-1]]),
        (numpy.array([0, 128, 255], numpy.uint8), [[-32768], [0], [32512]]),
        (numpy.array([], numpy.float32), []),
    ],
)
def test_each_type_of_samples_keeps_its_range(array: Any, expected: list[list[int]]) -> None:
    assert samples(Audio(array, sample_rate=44_100)) == (44_100, expected)


def test_samples_out_of_range_are_said() -> None:
    audio = Audio(numpy.array([2.0, numpy.nan]), sample_rate=8)
    assert samples(audio)[1] == [[32767], [0]]
    assert staged(audio)[2] == [
        "Audio: non-finite samples became 0; see docs/logging.md",
        "Audio: samples beyond -1 to 1 were clipped; see docs/logging.md",
    ]


def test_channels_of_a_tensor_come_first() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    assert samples(Audio(tensor, sample_rate=8))[1] == [[0, 32767], [32767, 0], [0, 0]]


# ---------------------------------------------------------------------- open files


@pytest.mark.parametrize(
    ("content", "given", "expected"),
    [
        (b"GIF89a", None, "gif"),
        (b"\0\0\0\x18ftypmp42", None, "mp4"),
        (b"\x1aE\xdf\xa3", None, "webm"),
        (b"OggS", None, "ogg"),
        (b"other", None, "gif"),
        (b"other", "MP4", "mp4"),
    ],
)
def test_the_type_of_a_video_in_memory_is_found(
    content: bytes, given: str | None, expected: str
) -> None:
    assert staged(Video(io.BytesIO(content), format=given))[0]["format"] == expected


def test_the_name_of_a_file_says_its_type_before_the_argument(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"film")
    assert staged(Video(path, format="gif"))[0]["format"] == "mp4"
    for buffering in (-1, 0):
        with open(path, "rb", buffering=buffering) as file:
            row, kept, _ = staged(Video(file))
        assert (row["format"], kept[2]) == ("mp4", b"film")
    with tempfile.NamedTemporaryFile(suffix=".webm") as file:
        file.write(b"new film")
        row, kept, _ = staged(Video(file))
    assert (row["format"], kept[2]) == ("webm", b"new film")


def test_an_array_is_not_held_by_the_medium() -> None:
    array = numpy.zeros((1, 1, 2, 2))
    video = Video(array)
    assert not any(value is array for value in video.given.values())
    assert repr(video) == "<Video webp>"


def test_the_frames_of_floats_have_one_scale() -> None:
    values = numpy.array([-1.0, 0.0, 0.5, 1.0]).reshape(2, 1, 1, 2)
    assert frames(Video(values)).reshape(-1).tolist() == [0, 128, 191, 255]


def test_an_open_file_is_kept_whole() -> None:
    held = io.BytesIO()
    held.write(b"film")  # Its place is at the end, as after a writer.
    row, kept, _ = staged(Video(held, format="mp4"))
    assert kept == ("file", {"media_type": "video/mp4"}, b"film")
    assert row["format"] == "mp4"
    _, kept, _ = staged(Object3D(io.StringIO("v 0 0 0"), file_type="obj"))
    assert kept == ("file", {"media_type": "model/obj"}, b"v 0 0 0")
