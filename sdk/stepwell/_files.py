"""Media from files or texts, kept as they are. A path is read when it is logged."""

import os
from typing import Any, ClassVar, Final

from stepwell._argument_names import checks_names
from stepwell._media import Media
from stepwell._names import Warn
from stepwell._staging import Stage
from stepwell_wire.staged import FILE, TEXT

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
    """A file by its path. Data that need an encoder are not kept yet.

    Raises:
        ValueError: The ending of the file's name is unknown for its kind.
    """

    endings: ClassVar[dict[str, str]] = {}

    def __init__(self, *values: Any, **named: Any) -> None:
        super().__init__(*values, **named)
        data = self.given.get(self.parameters[0])
        self._path: str | None = None
        self._media_type = ""
        if isinstance(data, str | os.PathLike):
            self._path = os.fspath(data)
            self.format, self._media_type = self._kind_of(self._path)
        self.is_kept = self._path is not None

    def _kind_of(self, path: str) -> tuple[str, str]:
        given = self.given.get("file_type") or self.given.get("format")
        name = f".{given}" if given else os.path.basename(path).lower()
        for ending, media_type in self.endings.items():
            if name.endswith(f".{ending}"):
                return ending, media_type
        raise ValueError(
            f"{type(self).__name__}: {path}: expected a name that ends in one of "
            f"{', '.join(self.endings)}; rename it, or pass its type as an argument"
        )

    def described(self, stage: Stage | None, warn: Warn) -> dict[str, Any]:
        if self._path is None or stage is None:
            return super().described(stage, warn)
        about: dict[str, Any] = {"_type": self.type, "format": self.format}
        about |= stage.keep_file(FILE, {"media_type": self._media_type}, self._path)
        return about | self.caption_field()


class Video(FileMedia):
    type = "video-file"
    list_type = "videos"
    parameters = ("data_or_path", "caption", "fps", "format")
    endings = _VIDEO


class Audio(FileMedia):
    type = "audio-file"
    list_type = "audio"
    parameters = ("data_or_path", "sample_rate", "caption")
    endings = _AUDIO


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
            about |= stage.keep(TEXT, what, [self._text.encode("utf-8", "replace")])
        return about | self.caption_field()
