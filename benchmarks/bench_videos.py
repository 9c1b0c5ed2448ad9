"""How long does a worker take for the frames of a video, and how large is the file?

The worker's own code (WebP), and GIF of the same frames by the same Pillow, in turn in one process.
"""

import io
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.harness import table
from stepwell_daemon.blobs.makers import make_frames
from stepwell_wire.staged import FRAMES, StagedHeader

FPS = 30


def noisy(count: int, side: int) -> Any:
    """Return frames with smooth colours that move, and noise, as of a camera."""
    random = np.random.default_rng(0)
    down, across = np.mgrid[0:side, 0:side]
    frames = []
    for moment in range(count):
        red = 128 + 100 * np.sin(across / 17 + moment / 5)
        green = 128 + 100 * np.cos(down / 23 - moment / 9)
        blue = (across + down + 3 * moment) % 256
        frame = np.stack([red, green, blue], -1) + random.normal(0, 6, (side, side, 3))
        frames.append(frame.clip(0, 255).astype(np.uint8))
    return np.stack(frames)


def game(count: int) -> Any:
    """Return frames of 210 × 160 in 60 colours, in which two blocks move."""
    random = np.random.default_rng(0)
    palette = random.integers(0, 255, (60, 3), dtype=np.uint8)
    field = np.kron(random.integers(0, 60, (21, 16)), np.ones((10, 10), int))
    frames = []
    for moment in range(count):
        drawn = field.copy()
        drawn[100:110, 2 * moment % 150 : 2 * moment % 150 + 8] = 3
        drawn[3 * moment % 200 : 3 * moment % 200 + 4, 70:74] = 5
        frames.append(palette[drawn])
    return np.stack(frames)


def as_webp(frames: Any) -> tuple[float, int]:
    """Return seconds and bytes of the worker's way."""
    about = {"shape": list(frames.shape), "fps": FPS}
    header = StagedHeader("", "", "", "", "", "", 0, FRAMES, about, payload_bytes=frames.nbytes)
    with tempfile.TemporaryDirectory(prefix="sw-bench-") as folder:
        target = Path(folder, "made")
        start = time.perf_counter()
        make_frames(header, io.BytesIO(frames.tobytes()), target)
        return time.perf_counter() - start, target.stat().st_size


def as_gif(frames: Any) -> tuple[float, int]:
    """Return seconds and bytes of a GIF."""
    held = io.BytesIO()
    start = time.perf_counter()
    first, *others = map(Image.fromarray, frames)
    first.save(held, "GIF", save_all=True, append_images=others, duration=1000 // FPS, loop=0)
    return time.perf_counter() - start, held.tell()


def main() -> None:
    rows = []
    for name, frames in (
        ("a camera, 60 frames of 512 × 512", noisy(60, 512)),
        ("a game of 60 colours, 400 frames of 210 × 160", game(400)),
    ):
        for kind, encode in (("WebP", as_webp), ("GIF", as_gif)):
            seconds, size = encode(frames)
            rows.append([name, kind, f"{seconds:.2f}", f"{size / 1e6:.2f}"])
    print(table(["frames", "as", "seconds", "MB"], rows))


if __name__ == "__main__":
    main()
