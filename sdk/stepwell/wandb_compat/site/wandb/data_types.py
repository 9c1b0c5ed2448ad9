"""Media and tables."""

from stepwell._files import Audio, Html, Molecule, Object3D, Video
from stepwell._histogram import Histogram
from stepwell._image import Image
from stepwell._media import (
    Bokeh,
    BoundingBoxes2D,
    Classes,
    Graph,
    ImageMask,
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
    "BoundingBoxes2D",
    "Classes",
    "EvalTable",
    "Graph",
    "Histogram",
    "Html",
    "Image",
    "ImageMask",
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
