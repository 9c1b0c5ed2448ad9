"""Media from files, texts and arrays. A path is read when it is logged."""

import os
from collections.abc import Sequence
from typing import Any, ClassVar, Final

from stepwell._argument_names import checks_names
from stepwell._media import Media
from stepwell._names import Warn
from stepwell._pixels import is_array, numpy_array
from stepwell._recordings import Frames, checked_fps, frames_of_array, wav_of_array
from stepwell._staging import Stage
from stepwell_wire.staged import FILE, FRAMES, TEXT

_VIDEO: Final = {
    "mp4": "video/mp4",
    "webm": "video/webm",
    "ogg": "video/ogg",
    "gif": "image/gif",
}
_AUDIO: Final = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "m4a": "audio/mp4",
}
_OBJECT3D: Final = {
    "obj": "model/obj",
    "gltf": "model/gltf+json",
    "glb": "model/gltf-binary",
    "stl": "model/stl",
    "babylon": "application/json",
    "pts.json": "application/json",
}
_MOLECULE: Final = dict.fromkeys(
    ("pdb", "pqr", "mmcif", "mcif", "cif", "sdf", "sd", "gro", "mol2", "mmtf"),
    "application/octet-stream",
)


class FileMedia(Media):
    """A file by its path, or an open file with its type.

    Raises:
        ValueError: The ending of the file's name, or the type, is unknown for its kind.
    """

    format = ""
    endings: ClassVar[dict[str, str]] = {}
    type_parameter: ClassVar[str] = "file_type"
    type_default: ClassVar[str] = ""
    """Of an open file whose type is unknown; "": its type must be given."""

    def __init__(self, *values: Any, **named: Any) -> None:
        super().__init__(*values, **named)
        # Not kept: it may be a large array, or one of a GPU.
        data = self.given.pop(self.parameters[0], None)
        self._path: str | None = None
        self._bytes: bytes | None = None
        self._media_type = ""
        if isinstance(data, str | os.PathLike):
            self._path = os.fspath(data)
            self.format, self._media_type = self._kind_of(self._path, b"")
        elif self.type_parameter in self.parameters and (content := _content_of(data)) is not None:
            name = getattr(data, "name", "")  # That of a temporary file may be a number.
            self.format, self._media_type = self._kind_of(
                name if isinstance(name, str) else "", content
            )
            self._bytes = content
        else:
            self._take(data)
        self.is_kept = self.format != ""

    def _take(self, data: Any) -> None:
        """Take data that is no file; set ``format`` if it is kept."""

    def _kind_of(self, path: str, content: bytes) -> tuple[str, str]:
        """Return the ending and the media type: of the name, else as given, else of the content."""
        given = self.given.get(self.type_parameter)
        seen = _kind_of_content(content)
        default = "" if path else self.type_default
        for name in (path, f".{given}" if given else "", f".{seen}", f".{default}"):
            lower = os.path.basename(name).lower()
            for ending, media_type in self.endings.items():
                if lower.endswith(f".{ending}"):
                    return ending, media_type
        known = ", ".join(self.endings)
        if not path:
            raise ValueError(
                f"{type(self).__name__}: the type of an open file is unknown; pass "
                f"{self.type_parameter}, one of {known}"
            )
        raise ValueError(
            f"{type(self).__name__}: {path}: expected a name that ends in one of "
            f"{known}; rename it, or pass its type as an argument"
        )

    def described(self, stage: Stage | None, warn: Warn) -> dict[str, Any]:
        if not self.is_kept or stage is None:
            return super().described(stage, warn)
        about: dict[str, Any] = {"_type": self.type, "format": self.format}
        return about | self._staged(stage, warn) | self.caption_field()

    def __repr__(self) -> str:
        if not self.is_kept:
            return super().__repr__()
        return f"<{type(self).__name__} {self._path or self.format}>"

    def _staged(self, stage: Stage, warn: Warn) -> dict[str, Any]:
        """Stage the content and return the facts for the row."""
        what = {"media_type": self._media_type}
        if self._path is not None:
            return stage.keep_file(FILE, what, self._path)
        return stage.keep(FILE, what, [self._bytes or b""])


def _content_of(data: Any) -> bytes | None:
    """Return the bytes that ``data`` is, or that an open file has; None for other values."""
    if isinstance(data, bytes | bytearray):
        return bytes(data)
    if not hasattr(data, "read"):
        return None
    if hasattr(data, "seekable") and data.seekable():
        place = data.tell()
        data.seek(0)  # Its writer may have left it at its end.
        content = data.read()
        data.seek(place)
    else:
        content = data.read()
    is_text = isinstance(content, str)
    return content.encode("utf-8", "backslashreplace") if is_text else bytes(content)


def _kind_of_content(content: bytes) -> str:
    """Return the ending of a video with these first bytes, "" if they are of none."""
    if content[4:8] == b"ftyp":
        return "mp4"
    starts = {b"\x1aE\xdf\xa3": "webm", b"OggS": "ogg", b"GIF8": "gif"}
    return starts.get(content[:4], "")


class Video(FileMedia):
    """A video.

    Args:
        data_or_path: the path of a file, an open file such as ``io.BytesIO``, or a
            numpy array or torch tensor: frames × channels × height × width, 1 to 4 channels. An
            array with one more axis at the start holds several videos, which are put beside each
            other. Values become pixels as those of `Image` do. They are copied at once; a path is
            read when the video is logged.
        caption: the line below it.
        fps: frames a second of an array, up to 1000; default 4.
        format: ``mp4``, ``webm``, ``ogg`` or ``gif``, if the file's name does not show it. Default:
            what the first bytes of an open file show, else ``gif``. An array becomes an animated
            WebP, whatever is given.

    Raises:
        TypeError: The values of an array are no numbers, or ``data_or_path`` is none of these.
        ValueError: An invalid shape, ``fps`` or ending; the message says what was expected.
    """

    type = "video-file"
    list_type = "videos"
    parameters = ("data_or_path", "caption", "fps", "format")
    endings = _VIDEO
    type_parameter = "format"
    type_default = "gif"

    _frames: Frames | None = None

    def _take(self, data: Any) -> None:
        self._notes: list[str] = []
        self._fps = checked_fps(self.given.get("fps"))
        self._frames = frames_of_array(_array_for(self, data), self._notes.append)
        self.format = "webp"

    def _staged(self, stage: Stage, warn: Warn) -> dict[str, Any]:
        if self._frames is None:
            return super()._staged(stage, warn)
        _say(self, self._notes, warn)
        data, shape = self._frames
        kept = {"shape": list(shape), "fps": self._fps}
        found = stage.keep(FRAMES, kept, [memoryview(data).cast("B")])
        return found | {"width": shape[2], "height": shape[1]}


class Audio(FileMedia):
    """A sound.

    Args:
        data_or_path: the path of a file, or a numpy array of samples, or samples × channels; a
            torch tensor has its channels first. Floats are in [-1, 1]; int16, int32 and uint8 have
            their whole range. It becomes a WAV file of 16 bits at once; a path is read when the
            sound is logged.
        sample_rate: samples a second; needed for an array.
        caption: the line below it.

    Raises:
        TypeError: The values of an array are no numbers, or ``data_or_path`` is none of these.
        ValueError: An invalid shape, sample rate or ending; the message says what was expected.
    """

    type = "audio-file"
    list_type = "audio"
    parameters = ("data_or_path", "sample_rate", "caption")
    endings = _AUDIO

    _wav: Sequence[Any] = ()

    def _take(self, data: Any) -> None:
        self._notes: list[str] = []
        rate = self.given.get("sample_rate")
        self._wav = wav_of_array(_array_for(self, data), rate, self._notes.append)
        self.format, self._media_type = "wav", _AUDIO["wav"]

    def _staged(self, stage: Stage, warn: Warn) -> dict[str, Any]:
        if not self._wav:
            return super()._staged(stage, warn)
        _say(self, self._notes, warn)
        return stage.keep(FILE, {"media_type": self._media_type}, self._wav)


def _array_for(medium: Media, data: Any) -> Any:
    """Return ``data`` as an array or a tensor.

    Raises:
        TypeError: It is neither that nor a list.
        ValueError: It is a list that makes no array.
    """
    if isinstance(data, list | tuple):
        return numpy_array(data, type(medium).__name__)
    if is_array(data):
        return data
    raise TypeError(
        f"{type(medium).__name__}: expected an array, a tensor or a path, not a "
        f"{type(data).__name__}"
    )


def _say(medium: Media, notes: list[str], warn: Warn) -> None:
    name = type(medium).__name__
    for note in notes:
        warn(f"{name.lower()} {note.split()[-1]}", f"{name}: {note}; see docs/logging.md")


class Object3D(FileMedia):
    type = "object3D-file"
    parameters = ("data_or_path", "caption", "file_type")
    endings = _OBJECT3D

    @classmethod
    def from_file(cls, data_or_path: Any, file_type: str | None = None) -> "Object3D":
        return cls(data_or_path, file_type=file_type)

    @classmethod
    def from_numpy(cls, data: Any) -> "Object3D":
        return cls(data)

    @classmethod
    def from_point_cloud(
        cls, points: Any, boxes: Any, vectors: Any = None, point_cloud_type: str = "lidar/beta"
    ) -> "Object3D":
        return cls(points)


class Molecule(FileMedia):
    type = "molecule-file"
    parameters = ("data_or_path", "caption", "file_type")
    endings = _MOLECULE

    @classmethod
    def from_rdkit(
        cls,
        data_or_path: Any,
        caption: str | None = None,
        convert_to_3d_and_optimize: bool = True,
        mmff_optimize_molecule_max_iterations: int = 200,
    ) -> "Molecule":
        return cls(data_or_path, caption)

    @classmethod
    def from_smiles(
        cls,
        data: str,
        caption: str | None = None,
        sanitize: bool = True,
        convert_to_3d_and_optimize: bool = True,
        mmff_optimize_molecule_max_iterations: int = 200,
    ) -> "Molecule":
        made = cls(None, caption)
        made.given["smiles"] = data
        return made


class Html(Media):
    """A page of HTML: a text, an open file, or the path of a file that ends in ``.html``.

    The page of stepwell shows it in a frame without access to the page, the hub or the network.

    Args:
        inject: no effect; accepted for existing code.
        data_is_not_path: ``data`` is the text itself, also if it looks like a path.

    Raises:
        TypeError: ``data`` has another type.
    """

    type = "html-file"
    list_type = "html"
    is_kept = True

    @checks_names
    def __init__(
        self,
        data: Any,
        inject: bool = True,
        data_is_not_path: bool = False,
        caption: Any = None,
    ) -> None:
        super().__init__()
        self.caption = caption
        self._path: str | None = None
        self._text = ""
        is_text = isinstance(data, str)
        looks_like_path = is_text and "\n" not in data and data.lower().endswith((".html", ".htm"))
        if isinstance(data, os.PathLike) or (looks_like_path and not data_is_not_path):
            self._path = os.fspath(data)
        elif is_text:
            self._text = data
        elif hasattr(data, "read"):
            content = data.read()
            self._text = content.decode() if isinstance(content, bytes) else str(content)
        else:
            raise TypeError(
                f"Html: a {type(data).__name__}; expected a text, an open file or a path"
            )

    def described(self, stage: Stage | None, warn: Warn) -> dict[str, Any]:
        if stage is None:
            return super().described(stage, warn)
        about: dict[str, Any] = {"_type": self.type, "format": "html"}
        what = {"media_type": "text/html"}
        if self._path is not None:
            about |= stage.keep_file(TEXT, what, self._path)
        else:
            about |= stage.keep(TEXT, what, [self._text.encode("utf-8", "backslashreplace")])
        return about | self.caption_field()
