"""Editors on real pipelines of `diffusers`, tiny and with random weights, and the arguments of all the others."""

from __future__ import annotations

import inspect
import pickle
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import diffusers
import diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus as qwen_edit_plus
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from editfhf.editors.diffusers_editors import PIPELINE_FAMILIES, DiffusersEditor, PipelineFamily, adapter
from editfhf.editors.diffusers_editors.arguments import (
    build_arguments,
    fit_working_size,
    scale_image,
    scale_mask,
)
from editfhf.editors.diffusers_editors.loading import LoadedPipeline
from editfhf.editors.paste_back import paste_back
from editfhf.editors.protocol import Editor, EditRequest
from editfhf.editors.registry import find_editor_entry, load_editor
from mos.errors import UserError
from tests.editfhf.editors import tiny_pipelines

SAVED = ("flux-kontext-inpaint", "flux-kontext", "sd-inpaint", "instruct-pix2pix")
BUILT = (*SAVED, "qwen-image-edit-plus")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("pipelines")
    tiny_pipelines.save_flux_kontext(root / "flux")
    tiny_pipelines.save_stable_diffusion(root / "inpaint", True)
    tiny_pipelines.save_stable_diffusion(root / "pix2pix", False)
    return {
        "flux-kontext-inpaint": root / "flux",
        "flux-kontext": root / "flux",
        "sd-inpaint": root / "inpaint",
        "instruct-pix2pix": root / "pix2pix",
    }


@pytest.fixture(scope="module")
def editors(folders: dict[str, Path]) -> Iterator[dict[str, DiffusersEditor]]:
    """An editor of each pipeline, loaded without a network; Qwen's sizes, which are constants there, made small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", forbid_network)
        patch.setattr(socket, "getaddrinfo", forbid_network)
        patch.setattr(qwen_edit_plus, "VAE_IMAGE_SIZE", 64 * 64)
        patch.setattr(qwen_edit_plus, "CONDITION_IMAGE_SIZE", 56 * 56)
        made = {name: make_editor(name, folders[name]) for name in SAVED}
        qwen = DiffusersEditor("qwen-image-edit-plus", model="in memory", device="cpu", side=64, num_inference_steps=2)
        loaded = LoadedPipeline(tiny_pipelines.make_qwen_edit_plus(), "cpu", "float32", "", 1)
        patch.setattr(qwen, "_loaded", loaded)
        yield made | {"qwen-image-edit-plus": qwen}


def make_editor(name: str, folder: Path, **options: Any) -> DiffusersEditor:
    editor = load_editor(name, model=str(folder), device="cpu", side=64, num_inference_steps=2, **options)
    assert isinstance(editor, DiffusersEditor)
    return editor


def forbid_network(*arguments: Any, **named: Any) -> Any:
    raise AssertionError(f"The network was used: {arguments} {named}")


def make_request(
    source: int = 1, current: int = 2, column: int = 10, text: str = "Remove the cup.", seed: int = 3
) -> EditRequest:
    images = [
        np.random.default_rng(number).integers(0, 256, (40, 56, 3), dtype=np.uint8) for number in (source, current)
    ]
    mask = np.zeros((40, 56), np.uint8)
    mask[8:24, column : column + 16] = 255
    return EditRequest(*images, mask, text, seed)


@pytest.mark.parametrize("name", BUILT)
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    editors: dict[str, DiffusersEditor], name: str
) -> None:
    one, again, other = (editors[name].edit(make_request(seed=seed)) for seed in (3, 3, 4))
    assert isinstance(editors[name], Editor)
    assert one.image is not None
    assert again.image is not None
    assert other.image is not None
    assert one.record.status == "ok"
    assert one.image.tobytes() == again.image.tobytes() != other.image.tobytes()
    assert one.record.parameters == again.record.parameters
    assert one.record.seed == 3
    multiple = next(family.multiple for family in PIPELINE_FAMILIES if family.name == name)
    assert one.image.shape[:2] == fit_working_size(40, 56, 64, multiple)


@pytest.mark.parametrize("name", BUILT)
def test_a_pipeline_sees_what_its_family_says_and_nothing_else(editors: dict[str, DiffusersEditor], name: str) -> None:
    """What is passed changes the answer; what is not passed does not."""
    family = next(family for family in PIPELINE_FAMILIES if family.name == name)
    sees = {
        "current": True,
        "source": "source" in family.images or bool(family.reference_argument),
        "mask": "mask" in family.images or bool(family.mask_argument),
        "text": True,
    }
    changed = {
        "current": make_request(current=9),
        "source": make_request(source=9),
        "mask": make_request(column=30),
        "text": make_request(text="Paint the wall blue."),
    }
    first = editors[name].edit(make_request()).image
    assert first is not None
    for what, request in changed.items():
        answer = editors[name].edit(request).image
        assert answer is not None
        assert bool((answer != first).any()) == sees[what], what


@pytest.mark.parametrize("name", BUILT)
def test_nothing_outside_of_the_mask_changes(editors: dict[str, DiffusersEditor], name: str) -> None:
    """Without detail to register by, and without matching its colours to grey, the answer is pasted as it is."""
    drawn = make_request()
    plain = np.full_like(drawn.current, 90)
    request = EditRequest(plain, plain, drawn.mask, "Draw a cup.", 5)
    answer = editors[name].edit(request).image
    assert answer is not None
    assert (answer != 90).any()
    pasted = paste_back(request.current, answer, request.mask, match_colour=False)
    assert pasted.refused == ""
    assert (pasted.image[request.mask > 0] != 90).any()
    assert (pasted.image[request.mask == 0] == 90).all()


@pytest.mark.parametrize("family", PIPELINE_FAMILIES, ids=lambda family: family.name)
def test_the_arguments_fit_the_call_of_the_pipeline(family: PipelineFamily) -> None:
    """The oracle is the signature in the package."""
    call = inspect.signature(getattr(diffusers, family.pipeline).__call__)
    arguments = build_arguments(family, make_request(), find_editor_entry(family.name).merge_parameters({"side": 64}))
    call.bind(None, **arguments, generator=None)
    takers = set(call.parameters)
    assert family.has_size == ("height" in takers)
    assert bool(family.mask_argument) == ("mask_image" in takers)
    assert bool(family.reference_argument) == ("image_reference" in takers)
    assert arguments.get("strength", 1.0) > 0.99
    images = arguments["image"] if isinstance(arguments["image"], list) else [arguments["image"]]
    sizes = {image.size for image in [*images, *(arguments[name] for name in ("mask_image",) if name in arguments)]}
    assert len(sizes) == 1
    assert all(length % family.multiple == 0 for length in sizes.pop())


def test_the_mask_is_white_where_the_image_may_change() -> None:
    family = next(family for family in PIPELINE_FAMILIES if family.name == "flux-kontext-inpaint")
    request = make_request()
    arguments = build_arguments(family, request, find_editor_entry(family.name).merge_parameters({"side": 47}))
    assert np.asarray(arguments["mask_image"]).max() == 255
    reference, image = np.asarray(arguments["image_reference"]), np.asarray(arguments["image"])
    assert np.array_equal(reference, scale_image(request.source, *reference.shape[:2]))
    assert np.array_equal(image, scale_image(request.current, *image.shape[:2]))


def test_an_instruction_with_braces_stays_as_it_is() -> None:
    family = next(family for family in PIPELINE_FAMILIES if family.name == "qwen-image-edit-plus")
    request = make_request(text="Write {instruction} and {0} on the sign")
    prompt = build_arguments(family, request, find_editor_entry(family.name).merge_parameters({}))["prompt"]
    assert prompt.startswith("Write {instruction} and {0} on the sign\nPicture 1 is the image to edit.")


@settings(max_examples=40)
@given(st.integers(16, 4000), st.integers(16, 4000), st.sampled_from([512, 1024]), st.sampled_from([8, 16, 32]))
def test_a_working_size_has_the_area_and_nearly_the_shape(height: int, width: int, side: int, multiple: int) -> None:
    rows, columns = fit_working_size(height, width, side, multiple)
    assert rows % multiple == columns % multiple == 0
    exact = side * np.sqrt([height / width, width / height])
    assert np.abs(np.array([rows, columns]) - exact).max() <= multiple


@settings(max_examples=40)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_no_pixel_of_a_mask_is_lost_when_it_is_scaled(height: int, width: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    mask = np.zeros((40, 30), np.uint8)
    y, x = generator.integers(0, 40), generator.integers(0, 30)
    mask[y, x] = 255
    scaled = scale_mask(mask, height, width)
    assert set(np.unique(scaled)) <= {0, 255}
    if height <= 40 and width <= 30:
        assert scaled[min(height - 1, int((y + 0.5) * height / 40)), min(width - 1, int((x + 0.5) * width / 30))] == 255


def test_parameters_of_the_request_win_and_are_recorded(folders: dict[str, Path]) -> None:
    editor = make_editor("instruct-pix2pix", folders["instruct-pix2pix"], guidance_scale=2.0)
    request = make_request()
    asked = EditRequest(request.source, request.current, request.mask, "x", 5, {"guidance_scale": 3.0})
    parameters = editor.edit(asked).record.parameters
    assert (parameters["guidance_scale"], parameters["num_inference_steps"], parameters["side"]) == (3.0, 2, 64)
    assert (parameters["device"], parameters["dtype"], len(parameters["model_digest"])) == ("cpu", "float32", 64)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("restore", {}, "must be one of qwen-image-edit, "),
        ("flux-kontext", {"model": ""}, "needs --model: a folder, or a repository such as black-forest-labs/"),
        ("flux-kontext", {"num_steps": 3}, "has no parameter 'num_steps'. Did you mean"),
        ("flux-kontext", {"num_inference_steps": 0}, "must be at least 1 and at most 1000; got 0"),
        ("flux-kontext", {"guidance_scale": "high"}, "must be a number"),
        ("flux-kontext", {"prompt_embeds": 1}, "has no parameter 'prompt_embeds'"),
        ("flux-kontext", {"dtype": "float128"}, "dtype must be one of"),
        ("flux-kontext", {"offload": "disk"}, "offload must be one of"),
    ],
)
def test_a_wrong_option_is_one_sentence_before_anything_is_loaded(
    name: str, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError) as caught:
        DiffusersEditor(name, **{"model": "some/model", **options})
    assert sentence in str(caught.value)


def test_a_folder_without_a_pipeline_and_a_path_that_is_none_are_one_sentence(tmp_path: Path) -> None:
    for model, sentence in ((str(tmp_path), "has no model_index.json"), ("./no/folder", "There is no folder")):
        with pytest.raises(UserError, match=sentence):
            DiffusersEditor("sd-inpaint", model=model, device="cpu").edit(make_request())


def test_pickled_weights_are_never_opened(tmp_path: Path, folders: dict[str, Path]) -> None:
    class Exploit:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return Path.touch, (tmp_path / "owned",)  # type: ignore[return-value]

    folder = tmp_path / "model"
    for path in folders["sd-inpaint"].rglob("*"):
        if path.is_file():
            target = folder / path.relative_to(folders["sd-inpaint"])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps(Exploit()))
    with pytest.raises(UserError, match="with safetensors are read"):
        make_editor("sd-inpaint", folder).edit(make_request())
    assert not (tmp_path / "owned").exists()


def test_too_little_memory_is_a_result_with_advice(
    editors: dict[str, DiffusersEditor], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out(*arguments: Any, **named: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    editor = editors["sd-inpaint"]
    monkeypatch.setattr(editor.load_once().pipeline.unet, "forward", run_out)
    record = editor.edit(make_request()).record
    assert record.status == "error"
    assert "cpu has too little memory" in record.detail
    assert "--offload model" in record.detail


def test_any_other_failure_is_a_result_on_one_line(
    editors: dict[str, DiffusersEditor], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **named: Any) -> Any:
        raise ValueError("bad\n\x1b[31mshape")

    editor = editors["sd-inpaint"]
    monkeypatch.setattr(editor.load_once().pipeline.unet, "forward", fail)
    result = editor.edit(make_request())
    assert (result.image, result.record.status) == (None, "error")
    assert result.record.detail == r"The pipeline failed (ValueError: bad\n\x1b[31mshape)"


def test_a_blocked_image_is_a_refusal(editors: dict[str, DiffusersEditor], monkeypatch: pytest.MonkeyPatch) -> None:
    editor = editors["sd-inpaint"]
    pipeline = editor.load_once().pipeline
    monkeypatch.setattr(pipeline, "run_safety_checker", lambda image, *rest: (image, [True]))
    result = editor.edit(make_request())
    assert (result.image, result.record.status) == (None, "refused")


def test_a_pipeline_is_loaded_once(
    editors: dict[str, DiffusersEditor], folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []
    pipeline = editors["instruct-pix2pix"].load_once()
    monkeypatch.setattr(adapter, "load_pipeline", lambda *given: loaded.append(given) or pipeline)
    editor = make_editor("instruct-pix2pix", folders["instruct-pix2pix"])
    assert loaded == []
    for _ in range(2):
        editor.edit(make_request())
    assert len(loaded) == 1


def test_offload_without_an_accelerator_is_one_sentence(folders: dict[str, Path]) -> None:
    with pytest.raises(UserError, match="needs an accelerator"):
        make_editor("sd-inpaint", folders["sd-inpaint"], offload="model").edit(make_request())
