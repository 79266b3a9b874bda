"""`layers.ora`, read by what we did not write: the ZIP and XML readers of Python, and Pillow."""

from __future__ import annotations

import io
import zipfile
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from refiner.layers import encode_layers
from refiner.loop import LoopResult, run_loop
from refiner.options import RefineOptions
from tests.refiner.doubles import OracleReasoning, Scene, make_scene, make_team


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene(3)


@pytest.fixture(scope="module")
def result(scene: Scene) -> LoopResult:
    reasoning = OracleReasoning(rationale='</layer><x a="1">& \x00\ud800 \u202e')
    return run_loop(scene.source, scene.flawed, "", make_team(scene, reasoning=reasoning), RefineOptions())


@pytest.fixture(scope="module")
def archive(scene: Scene, result: LoopResult) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(encode_layers(scene.flawed, result.image, result.edits)))


def compose(archive: zipfile.ZipFile, hidden: frozenset[int] = frozenset()) -> np.ndarray:
    """Lay the layers over each other from the last to the first of the stack, as the format says, with Pillow."""
    root = ElementTree.fromstring(archive.read("stack.xml"))
    image = Image.new("RGBA", (int(root.attrib["w"]), int(root.attrib["h"])))
    for number, layer in enumerate(reversed(root.findall("./stack/layer"))):
        if number in hidden:
            continue
        with Image.open(io.BytesIO(archive.read(layer.attrib["src"]))) as opened:
            image.alpha_composite(opened.convert("RGBA"), (int(layer.attrib["x"]), int(layer.attrib["y"])))
    return np.asarray(image.convert("RGB"))


def test_the_mimetype_is_first_and_stored(archive: zipfile.ZipFile) -> None:
    first = archive.infolist()[0]
    assert (first.filename, first.compress_type, first.extra) == ("mimetype", zipfile.ZIP_STORED, b"")
    assert archive.read("mimetype") == b"image/openraster"
    assert archive.testzip() is None


def test_all_layers_give_the_result_and_none_the_input(
    archive: zipfile.ZipFile, scene: Scene, result: LoopResult
) -> None:
    assert np.array_equal(compose(archive), result.image)
    assert np.array_equal(compose(archive, frozenset({1, 2, 3})), scene.flawed)


def test_one_layer_undoes_one_fix(archive: zipfile.ZipFile, scene: Scene) -> None:
    shown = compose(archive, frozenset({2}))
    untouched = [np.array_equal(shown[mask], scene.flawed[mask]) for mask in scene.masks]
    assert sorted(untouched) == [False, False, True]


def test_the_merged_image_and_the_thumbnail_are_there(archive: zipfile.ZipFile, result: LoopResult) -> None:
    with Image.open(io.BytesIO(archive.read("mergedimage.png"))) as merged:
        assert np.array_equal(np.asarray(merged), result.image)
    with Image.open(io.BytesIO(archive.read("Thumbnails/thumbnail.png"))) as thumbnail:
        assert max(thumbnail.size) <= 256


def test_titles_of_layers_are_text(archive: zipfile.ZipFile) -> None:
    names = [layer.attrib["name"] for layer in ElementTree.fromstring(archive.read("stack.xml")).iter("layer")]
    assert len(names) == 4 and names[-1] == "edited image"
    assert all("</layer><x" in name for name in names[:3])


def test_the_same_edits_give_the_same_bytes(scene: Scene, result: LoopResult) -> None:
    assert len({encode_layers(scene.flawed, result.image, result.edits) for _ in range(2)}) == 1


def test_without_edits_there_is_the_input_alone(scene: Scene) -> None:
    with zipfile.ZipFile(io.BytesIO(encode_layers(scene.flawed, scene.flawed, ()))) as archive:
        assert np.array_equal(compose(archive), scene.flawed)
