"""Media and tables."""

from stepwell._files import Audio, Html, Molecule, Object3D, Video
from stepwell._histogram import Histogram
from stepwell._image import Image
from stepwell._media import (
    Bokeh,
    Classes,
    Graph,
    JoinedTable,
    Media,
    box3d,
)
from stepwell._plotly import Plotly
from stepwell._table import EvalTable, Table

WBValue = Media

__all__ = [
    "Audio",
    "Bokeh",
    "Classes",
    "EvalTable",
    "Graph",
    "Histogram",
    "Html",
    "Image",
    "JoinedTable",
    "Media",
    "Molecule",
    "Object3D",
    "Plotly",
    "Table",
    "Video",
    "WBValue",
    "box3d",
]
