"""Images: what each kind of value becomes, and what is refused at once."""

import importlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stepwell import Html, Image, Table, Video
from stepwell._boxes import why_not_drawn
from tests.sdk.kept_media import Kept

numpy = pytest.importorskip("numpy")

WEB = Path(__file__).parents[2] / "hub" / "web"
BOXES = json.loads((WEB / "tests" / "pages" / "boxes.json").read_text())


def staged(value: Any) -> tuple[dict[str, Any], Any, list[str]]:
    """Return what the row says of ``value``, its pixels by shape, and what the user is told."""
    stage, told = Kept(), []
    row = value.described(stage, lambda kind, text: told.append(text))
    ((_, about, payload),) = stage.kept
    pixels = numpy.frombuffer(payload, numpy.uint8).reshape(about["shape"])
    return row, pixels, told


def pixels(value: Any, **named: Any) -> Any:
    return staged(Image(value, **named))[1]


def test_uint8_pixels_are_copied_when_the_image_is_made() -> None:
    array = numpy.arange(12, dtype=numpy.uint8).reshape(2, 2, 3)
    image = Image(array, caption="a")
    array[:] = 0
    row, found, told = staged(image)
    assert found.tolist() == numpy.arange(12).reshape(2, 2, 3).tolist()
    assert row == {
        "_type": "image-file",
        "blob": f"{1:032x}",
        "width": 2,
        "height": 2,
        "format": "png",
        "caption": "a",
    }
    assert told == []


def test_a_view_that_is_not_contiguous_is_what_it_shows() -> None:
    array = numpy.arange(48, dtype=numpy.uint8).reshape(4, 4, 3)
    assert pixels(array[::2, ::-1]).tolist() == array[::2, ::-1].tolist()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (numpy.array([[0.0, 0.5, 1.0]]), [0, 128, 255]),
        (numpy.array([[0.0, 0.5, 1.0]], dtype=numpy.float32), [0, 128, 255]),
        (numpy.array([[0.0, 0.5, 1.0]], dtype=numpy.float16), [0, 128, 255]),
        (numpy.array([[0.0, 100.4, 255.0]]), [0, 100, 255]),
        (numpy.array([[False, True, True]]), [0, 255, 255]),
        (numpy.array([[0, 1, 255]]), [0, 1, 255]),
    ],
)
def test_values_become_bytes(values: Any, expected: list[int]) -> None:
    row, found, told = staged(Image(values))
    assert found.ravel().tolist() == expected
    assert found.shape == (1, 3, 1)
    assert told == []
    assert row["width"] == 3


@pytest.mark.parametrize(
    ("values", "expected", "said"),
    [
        (numpy.array([[-1.0, 0.0, 1.0]]), [0, 128, 255], "stretched"),
        (numpy.array([[0.0, 300.0, 2.0]]), [0, 255, 2], "clipped"),
        (numpy.array([[-5, 300, 2]]), [0, 255, 2], "clipped"),
        (numpy.array([[numpy.nan, 1.0, numpy.inf]]), [0, 255, 0], "non-finite"),
        (numpy.array([[numpy.nan, -numpy.inf]]), [0, 0], "non-finite"),
        (numpy.array([[1e300, 0.0]]), [255, 0], "clipped"),
        (numpy.array([[-1.7e308, 0.0, 1.7e308]]), [0, 128, 255], "stretched"),
        (numpy.array([[-3e38, 0.0, 3e38]], dtype=numpy.float32), [0, 128, 255], "stretched"),
        (numpy.array([[-5e-324, 0.0]]), [0, 255], "stretched"),
    ],
)
def test_values_that_are_changed_are_told(values: Any, expected: list[int], said: str) -> None:
    with numpy.errstate(all="raise"):
        _, found, told = staged(Image(values))
    assert found.ravel().tolist() == expected
    (text,) = told
    assert said in text


def test_without_normalize_floats_are_taken_as_they_are() -> None:
    assert pixels(numpy.array([[0.0, 1.0, 200.0]]), normalize=False).ravel().tolist() == [0, 1, 200]


def test_lists_are_arrays() -> None:
    assert pixels([[0, 255], [255, 0]])[:, :, 0].tolist() == [[0, 255], [255, 0]]


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((3, 8, 8), r"\.transpose\(1, 2, 0\)"),
        ((2, 8, 8, 3), "log a batch as a list"),
        ((8,), "height × width"),
        ((8, 8, 7), "1 to 4 channels"),
        ((0, 8), "each side has 1"),
        ((1 << 14, (1 << 13) + 1), "at most 134,217,728: log it smaller"),
    ],
)
def test_a_shape_that_is_no_picture_is_refused_with_what_to_do(
    shape: tuple[int, ...], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Image(numpy.broadcast_to(numpy.uint8(0), shape))


def test_other_mistakes_are_refused_at_once() -> None:
    good = numpy.zeros((2, 2, 3), dtype=numpy.uint8)
    for wrong in (
        {"mode": "CMYK"},
        {"mode": "L"},
        {"file_type": "tga"},
    ):
        with pytest.raises(ValueError, match="Image: "):
            Image(good, **wrong)
    with pytest.raises(TypeError, match="boxes is a list"):
        Image(good, boxes=[1])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected an array"):
        Image(object())
    with pytest.raises(ValueError, match="Image: the lists in it differ in length or depth"):
        Image([[1, 2], [3]])
    with pytest.raises(TypeError, match="complex"):
        Image(good.astype(complex))
    with pytest.raises(ValueError, match="is not a known format of pictures"):
        Image("model.pt")
    with pytest.raises(TypeError):
        Image(good, colour="red")  # type: ignore[call-arg]


def test_boxes_and_classes_are_kept_with_the_row() -> None:
    place = {"minX": 0.1, "maxX": numpy.float32(0.5), "minY": 0, "maxY": 1}
    boxes = {"predictions": {"box_data": [{"position": place, "class_id": 1}]}}
    row, _, told = staged(Image(numpy.zeros((2, 2)), boxes=boxes, grouping=3))
    assert row["boxes"] == boxes
    assert row["grouping"] == 3
    assert told == []


@pytest.mark.parametrize("case", BOXES, ids=[case["name"] for case in BOXES])
def test_boxes_that_the_page_does_not_draw_are_counted(case: dict[str, Any]) -> None:
    size = (case["size"]["width"], case["size"]["height"])
    boxes = case["about"].get("boxes")
    groups = boxes.values() if isinstance(boxes, dict) else []
    given = [group["box_data"] for group in groups if isinstance(group, dict)]
    drawn = [
        box
        for data in given
        if isinstance(data, list)
        for box in data
        if not why_not_drawn(box, size)
    ]
    assert len(drawn) == sum(len(group["boxes"]) for group in case["groups"])


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ({"minX": 20, "maxX": 40, "minY": 2, "maxY": 9}, "for pixels add 'domain': 'pixel'"),
        ({"minX": float("nan"), "maxX": 1, "minY": 0, "maxY": 1}, "no finite numbers"),
        ({"minX": 0.5, "maxX": 0.5, "minY": 0, "maxY": 1}, "no area"),
        ({"xmin": 0, "xmax": 1, "ymin": 0, "ymax": 1}, "missing values"),
    ],
)
def test_boxes_that_cannot_be_drawn_are_kept_and_named(place: dict[str, Any], why: str) -> None:
    good = {"position": {"middle": [0.5, 0.5], "width": 0.1, "height": 2}}
    boxes = {"p": {"box_data": [good, {"position": place}, good]}}
    row, _, (line,) = staged(Image(numpy.zeros((10, 50)), boxes=boxes))
    assert len(row["boxes"]["p"]["box_data"]) == 3
    assert line.startswith("Image: the boxes 'p': 1 of 3 cannot be drawn: the position ")
    assert why in line


def test_boxes_that_the_conversion_cut_are_not_blamed() -> None:
    box = {"position": {"middle": [0.5, 0.5], "width": 0.1, "height": 0.1}}
    _, _, told = staged(Image(numpy.zeros((10, 50)), boxes={"p": {"box_data": [box] * 20_000}}))
    assert told != []
    assert not any("cannot be drawn" in line for line in told)


def test_boxes_in_pixels_are_compared_with_the_size_of_the_picture(tmp_path: Path) -> None:
    place = {"minX": 20, "maxX": 40, "minY": 2, "maxY": 9}
    boxes = {"p": {"box_data": [{"position": place, "domain": "pixel"}]}}
    path = tmp_path / "cat.jpg"
    path.write_bytes(b"jpeg")
    told: list[str] = []
    for data in (numpy.zeros((10, 50)), path, numpy.zeros((10, 20))):
        image = Image(data, boxes=boxes)
        image.described(Kept(), lambda kind, text: told.append(text))
    assert told == [
        "Image: the boxes 'p': 1 of 1 cannot be drawn: the position is outside the picture, or "
        "has no area"
    ]


@pytest.mark.parametrize(
    ("shape", "is_stretched"),
    [((20, 30), False), ((10, 15), False), ((7, 10), False), ((30, 20), True), ((20, 20), True)],
)
def test_a_mask_of_other_proportions_is_named(shape: tuple[int, int], is_stretched: bool) -> None:
    masks = {"m": {"mask_data": numpy.zeros(shape, int)}}
    told: list[str] = []
    image = Image(numpy.zeros((20, 30)), masks=masks)
    image.described(KeptMasks(), lambda kind, text: told.append(text))
    assert (
        told
        == [
            f"Image: the mask 'm' has {shape[0]} × {shape[1]} pixels and its picture 20 × 30 "
            "(height × width): the page stretches it"
        ]
        * is_stretched
    )


class KeptMasks(Kept):
    def __init__(self) -> None:
        super().__init__()
        self.within: list[list[str]] = []

    def note_within(self, about: Any, within: Any) -> None:
        self.within.append(list(within))


def test_masks_are_staged_as_grey_pictures(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(b"grey")
    classes = numpy.array([[0, 1], [2, 255]])
    masks = {
        "truth": {"mask_data": classes, "class_labels": {1: "cat", 2: "dog"}},
        "drawn": {"path": path},
    }
    image = Image(numpy.zeros((2, 2)), masks=masks)
    classes[:] = 0
    stage, told = KeptMasks(), []
    row = image.described(stage, lambda kind, text: told.append(text))
    assert row["masks"] == {
        "truth": {"_type": "mask", "blob": f"{2:032x}", "class_labels": {"1": "cat", "2": "dog"}},
        "drawn": {"_type": "mask", "blob": f"{3:032x}"},
    }
    assert stage.kept[1:] == [
        ("pixels", {"shape": [2, 2, 1], "format": "png"}, bytes([0, 1, 2, 255])),
        ("file", {"media_type": "image/png", "mask": True}, b"grey"),
    ]
    assert stage.within == [[f"{2:032x}", f"{3:032x}"]]
    assert told == []


@pytest.mark.parametrize("labels", [["sky", "road"], ("sky", "road"), numpy.array(["sky", "road"])])
def test_labels_may_be_a_list_in_the_order_of_the_classes(labels: Any) -> None:
    masks = {"m": {"mask_data": [[0]], "class_labels": labels}}
    boxes = {"b": {"box_data": [], "class_labels": labels}}
    stage, said = KeptMasks(), []
    image = Image(numpy.zeros((2, 2)), masks=masks, boxes=boxes)
    row = image.described(stage, lambda kind, text: said.append(text))
    assert row["masks"]["m"]["class_labels"] == {"0": "sky", "1": "road"}
    assert row["boxes"]["b"] == {
        "box_data": [],
        "class_labels": {"0": "sky", "1": "road"},
    }
    assert said == []


def test_labels_of_another_kind_are_named() -> None:
    masks = {"m": {"mask_data": [[0]], "class_labels": "road"}}
    said: list[str] = []
    image = Image(numpy.zeros((2, 2)), masks=masks, boxes={"b": {"class_labels": 3}})
    row = image.described(KeptMasks(), lambda kind, text: said.append(text))
    assert "class_labels" not in row["masks"]["m"]
    assert said == [
        "Image: the boxes 'b': class_labels is a int and was not kept; expected a dict or a list",
        "Image: the mask 'm': class_labels is a str and was not kept; expected a dict or a list",
    ]


@pytest.mark.parametrize("classes", [["sky", "road"], {0: "sky", 1: "road"}])
def test_classes_may_be_names_alone(classes: Any) -> None:
    row = Image([[0]], classes=classes).described(Kept(), lambda kind, text: None)
    assert row["classes"] == [{"id": 0, "name": "sky"}, {"id": 1, "name": "road"}]


def test_masks_and_boxes_may_be_objects_of_the_other_client() -> None:
    from stepwell._media import BoundingBoxes2D, ImageMask

    mask = {"mask_data": [[7]], "class_labels": {7: "cat"}}
    boxes = {"box_data": [{"class_id": 7}], "class_labels": ["cat"]}
    plain = Image([[0]], masks={"m": mask}, boxes={"b": boxes})
    made = Image([[0]], masks={"m": ImageMask(mask, "m")}, boxes={"b": BoundingBoxes2D(boxes, "b")})
    rows = [image.described(KeptMasks(), lambda kind, text: None) for image in (plain, made)]
    assert rows[0] == rows[1]


def test_an_image_of_an_image_keeps_what_is_not_given_anew(tmp_path: Path) -> None:
    beside: dict[str, Any] = {
        "masks": {"m": {"mask_data": [[7]]}},
        "boxes": {"b": {"box_data": []}},
        "classes": [{"id": 7, "name": "cat"}],
        "grouping": 3,
        "caption": "old",
    }
    path = tmp_path / "cat.jpg"
    path.write_bytes(b"jpeg")

    def row_of(image: Image) -> dict[str, Any]:
        row = image.described(KeptMasks(), lambda kind, text: None)
        return {name: row.get(name) for name in ("blob", "format", *beside)}

    for image in (Image(numpy.zeros((2, 2)), file_type="webp", **beside), Image(path, **beside)):
        before = row_of(image)
        assert before["masks"] is not None
        assert row_of(Image(image)) == before
        assert row_of(Image(image, caption="new")) == before | {"caption": "new"}
        anew: dict[str, Any] = {
            "masks": {},
            "boxes": {},
            "classes": [],
            "grouping": 0,
            "caption": "",
        }
        assert row_of(Image(image, **anew)) == before | anew | {"masks": None}
    assert row_of(Image(Image([[0]], file_type="webp"), file_type="bmp"))["format"] == "bmp"


def test_masks_of_a_lost_picture_are_not_staged(tmp_path: Path) -> None:
    masks = {"truth": {"mask_data": numpy.zeros((2, 2), int)}}
    image = Image(tmp_path / "nothing.png", masks=masks)

    class Full(Kept):
        def keep_file(self, kind: str, about: Any, path: Any) -> dict[str, Any]:
            return {"blob": None, "failed": "no room"}

    stage = Full()
    row = image.described(stage, lambda kind, text: None)
    assert (row["blob"], "masks" in row, stage.kept) == (None, False, [])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("mask", "error", "says"),
    [
        (3, TypeError, "the mask 'm' is a int; expected a dict"),
        ({}, ValueError, r"has the keys \[\]; expected mask_data or path"),
        ({"mask_data": None, "labels": {}}, ValueError, r"has the keys \['mask_data', 'labels'\]"),
        ({"mask_data": [[0.5]]}, TypeError, "values of float64"),
        ({"mask_data": [[256]]}, ValueError, "classes from 256 to 256; expected 0 to 255"),
        ({"mask_data": [[1e300]]}, ValueError, r"classes from 1e\+300 to 1e\+300; expected"),
        ({"mask_data": [[0.0, float("inf")]]}, ValueError, "classes from 0 to inf; expected"),
        ({"mask_data": [[0.0, float("nan")]]}, TypeError, "values of float64"),
        ({"mask_data": [[-(2**63), 7]]}, ValueError, "classes from -9223372036854775808 to 7"),
        ({"mask_data": [[0], [123456789]]}, ValueError, "classes from 0 to 123456789;"),
        ({"mask_data": [0, 1]}, ValueError, r"the shape \(2,\); expected height × width"),
        (
            {"mask_data": [[0, 1], [0]]},
            ValueError,
            "the mask 'm': the lists in it differ in length",
        ),
    ],
)
def test_what_is_no_mask_is_refused(mask: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        Image(numpy.zeros((2, 2)), masks={"m": mask})


@pytest.mark.parametrize(
    ("mask", "ignored"),
    [
        ({"mask_data": [[7]], "caption": "x", "id": 3}, "caption, id"),
        ({"mask_data": [[7]], "path": None, "class_labels": None}, ""),
        ({"mask_data": [[7]], "path": __file__}, "mask_data"),
        ({"mask_data": None, "path": __file__}, ""),
    ],
)
def test_keys_that_no_mask_has_are_named_and_ignored(mask: Any, ignored: str) -> None:
    said: list[str] = []
    image = Image([[0]], masks={"m": mask})
    row = image.described(KeptMasks(), lambda kind, text: said.append(text))
    assert row["masks"]["m"].keys() == {"_type", "blob"}
    assert said == [
        f"Image: the mask 'm': ignored {each}; expected mask_data or path, and class_labels"
        for each in [ignored]
        if each
    ]


@pytest.mark.parametrize("shape", [(1, 2, 2), (2, 2, 1)])
def test_a_mask_may_have_one_channel(shape: tuple[int, ...]) -> None:
    stage = KeptMasks()
    masks = {"m": {"mask_data": numpy.full(shape, 3.0)}}
    Image(numpy.zeros((2, 2)), masks=masks).described(stage, lambda kind, text: None)
    assert stage.kept[1][1:] == ({"shape": [2, 2, 1], "format": "png"}, bytes([3] * 4))


def test_a_tensor_has_its_channels_first() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.arange(12, dtype=torch.uint8).reshape(3, 2, 2)
    assert pixels(tensor).tolist() == tensor.permute(1, 2, 0).tolist()
    assert pixels(torch.ones(1, 2, 2, requires_grad=True)).ravel().tolist() == [255] * 4
    assert pixels(torch.ones(2, 2, dtype=torch.bfloat16)).ravel().tolist() == [255] * 4
    with pytest.raises(ValueError, match="channels × height × width"):
        Image(torch.zeros(8, 8, 3))


def test_a_pil_picture_keeps_its_mode() -> None:
    pil = pytest.importorskip("PIL.Image")
    picture = pil.new("RGBA", (3, 2), (1, 2, 3, 4))
    assert pixels(picture).tolist() == [[[1, 2, 3, 4]] * 3] * 2
    assert pixels(picture, mode="RGB").shape == (2, 3, 3)
    assert pixels(pil.new("1", (2, 2), 1)).ravel().tolist() == [255] * 4
    assert pixels(pil.new("P", (2, 2))).shape == (2, 2, 3)
    assert pixels(pil.new("CMYK", (2, 2))).shape == (2, 2, 3)


@pytest.mark.parametrize(
    ("values", "dtype", "mode"),
    [
        ([[0, 255], [256, 65535]], "uint16", "I;16"),
        ([[-1, 7], [255, 70000]], "int32", "I"),
        ([[0.0, 0.25], [0.5, 1.0]], "float32", "F"),
        ([[-0.5, 0.0], [0.25, 0.5]], "float32", "F"),
        ([[3.0, 4.0], [250.0, 300.0]], "float32", "F"),
    ],
)
def test_a_pil_picture_of_other_numbers_is_as_its_array(
    values: list[list[float]], dtype: str, mode: str
) -> None:
    pil = pytest.importorskip("PIL.Image")
    array = numpy.array(values, dtype)
    picture = pil.fromarray(array)
    assert picture.mode == mode
    assert pixels(picture).tolist() == pixels(array).tolist()
    assert Image(picture)._notes == Image(array)._notes
    grey = pixels(array).repeat(3, axis=2)
    assert pixels(picture, mode="RGB").tolist() == grey.tolist()


def test_a_path_is_staged_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "cat.jpg"
    path.write_bytes(b"\xff\xd8\xff bytes")
    stage = Kept()
    row = Image(str(path), caption="cat").described(stage, lambda kind, text: None)
    assert stage.kept == [("file", {"media_type": "image/jpeg"}, b"\xff\xd8\xff bytes")]
    assert (row["format"], row["caption"]) == ("jpg", "cat")


def test_html_is_a_text_a_file_or_a_path(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("<b>path</b>")
    with path.open() as file:
        values = [
            Html("<b>text</b>"),
            Html(file),
            Html(path),
            Html("a.html", data_is_not_path=True),
            Html("<b>lone \udce9</b>"),
        ]
    stage = Kept()
    for value in values:
        value.described(stage, lambda kind, text: None)
    assert [payload for _, _, payload in stage.kept] == [
        b"<b>text</b>",
        b"<b>path</b>",
        b"<b>path</b>",
        b"a.html",
        b"<b>lone \\udce9</b>",
    ]
    with pytest.raises(TypeError, match="expected a text"):
        Html(3)


def test_a_file_by_path_is_staged(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    path.write_bytes(b"video")
    stage = Kept()
    video = Video(str(path), caption="c")
    assert video.described(stage, lambda kind, text: None)["blob"]
    assert stage.kept == [("file", {"media_type": "video/mp4"}, b"video")]
    assert video.is_kept
    with pytest.raises(ValueError, match="expected a name that ends in one of"):
        Video("v.exe")


@pytest.mark.slow
def test_a_figure_is_drawn_and_stays_as_it_is() -> None:
    figures = pytest.importorskip("matplotlib.figure")
    figure = figures.Figure(figsize=(2, 1), dpi=50, facecolor="red")
    canvas = figure.canvas
    axes = figure.subplots()
    for value in (figure, axes, SimpleNamespace(figure_=figure)):
        found = pixels(value)
        assert found.shape == (50, 100, 4)
        assert found[0, 0].tolist() == [255, 0, 0, 255]
    assert figure.canvas is canvas


@pytest.mark.slow
def test_a_display_of_scikit_learn_in_a_row_is_its_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    from stepwell._json_values import as_json

    metrics = pytest.importorskip("sklearn.metrics")
    figures = pytest.importorskip("matplotlib.figure")
    axes = figures.Figure(figsize=(1, 1), dpi=20).subplots()
    shown = metrics.ConfusionMatrixDisplay.from_predictions([0, 1, 1], [0, 1, 0], ax=axes)
    row = {"drawn": shown, "not drawn": metrics.ConfusionMatrixDisplay(shown.confusion_matrix)}
    found = as_json(row, lambda kind, text: None, Kept())
    assert (found["drawn"]["_type"], found["drawn"]["width"]) == ("image-file", 20)
    assert "ConfusionMatrixDisplay" in found["not drawn"]


def test_pictures_and_figures_in_a_row_are_images_by_themselves() -> None:
    from stepwell._json_values import as_json

    figures = pytest.importorskip("matplotlib.figure")
    pil = pytest.importorskip("PIL.Image")
    row = {"figure": figures.Figure(figsize=(1, 1), dpi=20), "pictures": [pil.new("L", (3, 2))]}
    stage = Kept()
    found = as_json(row, lambda kind, text: None, stage)
    assert found["figure"]["_type"] == "image-file"
    assert found["figure"]["width"] == 20
    assert found["pictures"]["_type"] == "images/separated"
    assert found["pictures"]["items"][0]["width"] == 3
    assert [about["shape"] for _, about, _ in stage.kept] == [[20, 20, 4], [2, 3, 1]]


def test_pyplot_and_axes_in_a_row_are_images_of_their_figure() -> None:
    from stepwell._json_values import as_json

    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    plt = importlib.import_module("matplotlib.pyplot")
    figure = plt.figure(figsize=(1, 1), dpi=20)
    axes = figure.subplots()
    said: list[str] = []
    stage = Kept()
    row = {"plt": plt, "axes": axes, "colors": plt.get_cmap("viridis"), "module": importlib}
    found = as_json(row, lambda kind, text: said.append(text), stage, name="chart")
    plt.close(figure)
    assert [found[name]["_type"] for name in ("plt", "axes")] == ["image-file"] * 2
    assert [about["shape"] for _, about, _ in stage.kept] == [[20, 20, 4]] * 2
    assert isinstance(found["colors"], str)
    assert isinstance(found["module"], str)
    kept_as_text = [line for line in said if "its repr is kept" in line]
    assert [line.partition(" is not a number")[0] for line in kept_as_text] == [
        "'chart': a matplotlib.colors.ListedColormap",
        "'chart': a builtins.module",
    ]


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("altair.vegalite", "use Html(value.to_html())"),
        ("own", ""),
    ],
)
def test_the_line_of_a_chart_of_another_package_names_a_way_to_log_it(
    module: str, expected: str
) -> None:
    from stepwell._json_values import as_json

    methods = {"to_html": lambda self: ""} if expected else {}
    kind = type("Figure", (), {"__module__": module, **methods})
    said: list[str] = []
    as_json(kind(), lambda kind, text: said.append(text), Kept(), name="chart")
    (figure,) = said
    assert figure.startswith(f"'chart': a {module}.Figure is not a number")
    assert expected in figure
    assert figure.endswith("kept as text") == (not expected)


class KeptTables(Kept):
    def note_within(self, about: Any, within: Any) -> None:
        assert not within


def test_a_list_of_several_kinds_is_one_value_and_media_in_dicts_are_named() -> None:
    from stepwell._json_values import as_json

    picture, table = Image([[0]]), Table(columns=["a"], data=[[1]])
    said: list[str] = []
    for items, types in (
        ([picture, table], ["image-file", "table-file"]),
        ([table, table], ["table-file", "table-file"]),
        ([None, picture], [None, "image-file"]),
        ([[picture], [picture]], ["images/separated", "images/separated"]),
    ):
        found = as_json(items, lambda kind, text: said.append(text), KeptTables(), name="x")
        assert next(iter(found)) == "_type", "the store looks at the first name"
        assert (found["_type"], found["count"]) == ("media", 2)
        assert [each and each["_type"] for each in found["items"]] == types
    assert said == []
    inside = [{"image": picture, "label": 1}]
    assert isinstance(
        as_json(inside, lambda kind, text: said.append(text), KeptTables(), name="x"), list
    )
    assert len(said) == 1
    assert "'x' has media inside a dict" in said[0]
    beside = as_json([picture, 0.5], lambda kind, text: said.append(text), KeptTables(), name="y")
    assert [beside[0]["_type"], beside[1]] == ["image-file", 0.5]
    assert "'y' has media beside other values in a list; they are stored, but" in said.pop()
    plain = [{"a": 1}, [1, 2], None]
    assert as_json(plain, lambda kind, text: said.append(text), KeptTables(), name="x") == plain
    assert len(said) == 1


def test_the_stored_form_of_media_stays_as_it_is() -> None:
    """`run.summary` converts a value again that was read from it."""
    from stepwell._json_values import as_json

    picture, table = Image([[0]]), Table(columns=["a"], data=[[1]])
    said: list[str] = []
    for value in (picture, [picture, picture], [picture, table], [[picture], [picture]]):
        found = as_json(value, lambda kind, text: said.append(text), KeptTables(), name="x")
        assert as_json(found, lambda kind, text: said.append(text), name="x") == found
        assert as_json(found, lambda kind, text: said.append(text), KeptTables(), name="x") == found
        inside = as_json({"best": found}, lambda kind, text: said.append(text), name="x")
        assert inside == {"best": found}
    assert said == []


def test_pyplot_is_its_current_figure() -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    try:
        pyplot.figure(figsize=(1, 1), dpi=30)
        pyplot.plot([1, 2])
        assert pixels(pyplot).shape == (30, 30, 4)
    finally:
        pyplot.close("all")
