"""Figures of Plotly: what a row says of them, and the library that is kept with the first one."""

import json
from pathlib import Path
from typing import Any

import pytest

from stepwell import Plotly
from stepwell._json_values import as_json
from tests.sdk.kept_media import Kept

graph_objects = pytest.importorskip("plotly.graph_objects")


def line(*values: float) -> Any:
    return graph_objects.Figure(graph_objects.Scatter(y=list(values)))


def kept(stage: Kept, value: Any) -> dict[str, Any]:
    said: list[str] = []
    found = as_json({"chart": value}, lambda kind, text: said.append(text), stage)["chart"]
    assert said == []
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_a_figure_is_kept_as_json_with_the_library_of_its_package(is_wrapped: bool) -> None:
    import plotly

    stage, figure = Kept(), line(1.5, 2.5)
    row = kept(stage, Plotly(figure) if is_wrapped else figure)
    assert row == {
        "_type": "plotly-file",
        "format": "json",
        "blob": f"{1:032x}",
        "library": f"{2:032x}",
    }
    (_, about, payload), (kind, of_library, library) = stage.kept
    assert about == {"media_type": "application/json"}
    assert json.loads(payload)["data"][0]["y"] == [1.5, 2.5]
    assert (kind, of_library) == ("file", {"media_type": "text/javascript"})
    assert library == (Path(plotly.__file__).parent / "package_data/plotly.min.js").read_bytes()


def test_the_library_is_kept_once() -> None:
    stage = Kept()
    first, second = kept(stage, line(1)), kept(stage, line(2))
    assert first["library"] == second["library"]
    assert [kind for kind, _, _ in stage.kept] == ["text", "file", "text"]
    assert kept(Kept(), line(3))["library"] == f"{2:032x}"


def test_a_figure_is_converted_when_it_is_made() -> None:
    figure = line(1)
    made = Plotly(figure, caption="c")
    figure.data[0].y = [9]
    stage = Kept()
    assert made.described(stage, lambda kind, text: None)["caption"] == "c"
    assert json.loads(stage.kept[0][2])["data"][0]["y"] == [1]


def test_without_the_library_the_figure_is_kept_and_a_line_says_so() -> None:
    class Full(Kept):
        def keep_file(self, kind: str, about: Any, path: Any) -> dict[str, Any]:
            return {"blob": None, "failed": "no room"}

    said: list[str] = []
    row = Plotly(line(1)).described(Full(), lambda kind, text: said.append(text))
    assert "library" not in row
    (text,) = said
    assert "no room: plotly.js was not stored" in text


def test_a_figure_of_matplotlib_becomes_an_image() -> None:
    figures = pytest.importorskip("matplotlib.figure")
    figure = figures.Figure(figsize=(1, 1), dpi=20)
    assert kept(Kept(), Plotly(figure))["_type"] == "image-file"


def test_another_object_is_refused() -> None:
    with pytest.raises(TypeError, match="expected a figure of plotly or matplotlib, not a dict"):
        Plotly({})
