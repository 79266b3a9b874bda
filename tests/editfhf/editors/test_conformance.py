"""The check of editors: every planted fault is found, and good editors raise no alarm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import orjson
import pytest
from PIL import Image
from typer.testing import CliRunner

from editfhf.commands.editors import editors_app
from editfhf.editors.conformance.card import attach_card, read_card, write_card
from editfhf.editors.conformance.check_editor import PROBE_NAMES, EditorDeclaration, check_editor
from editfhf.editors.conformance.probe_images import make_probe_images
from editfhf.editors.edit_attempts import EditDeclined, attempt_edit
from editfhf.editors.protocol import Editor, EditRequest, EditResult
from editfhf.editors.registry import find_editor_entry, load_editor, read_editor_entries
from mos.errors import UserError

WEIGHT_FREE = [name for name, entry in read_editor_entries().items() if entry.kind == "weight_free"]


@dataclass
class Planted:
    """A good editor whose requests or answers are spoilt."""

    editor: Editor
    spoil_request: Callable[[EditRequest], EditRequest] = lambda request: request
    spoil_answer: Callable[[np.ndarray], np.ndarray] = lambda image: image
    name: str = "planted"

    def edit(self, request: EditRequest) -> EditResult:
        result = self.editor.edit(self.spoil_request(request))
        return result if result.image is None else replace(result, image=self.spoil_answer(result.image))


@dataclass
class Noisy:
    """Restores, with a texture that the seed decides."""

    name: str = "noisy"
    is_seeded: bool = True

    def edit(self, request: EditRequest) -> EditResult:
        result = load_editor("restore").edit(request)
        assert result.image is not None
        noise = np.random.default_rng(request.seed if self.is_seeded else None).normal(0, 6, result.image.shape)
        noisy = np.clip(result.image + noise, 0, 255).astype(np.uint8)
        return replace(result, image=np.where(request.mask[..., None] > 0, noisy, request.current))


def warp(image: np.ndarray, x: float, y: float, zoom: float = 1.0) -> np.ndarray:
    height, width = image.shape[:2]
    matrix = np.array([[zoom, 0, (1 - zoom) * width / 2 + x], [0, zoom, (1 - zoom) * height / 2 + y]])
    return np.asarray(
        cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    )


def encode(image: np.ndarray, quality: int) -> np.ndarray:
    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def cast(image: np.ndarray) -> np.ndarray:
    return np.clip(image * (1.05, 1.0, 0.94) + 3, 0, 255).astype(np.uint8)


def keep_first_source() -> Callable[[EditRequest], EditRequest]:
    kept: list[np.ndarray] = []

    def spoil(request: EditRequest) -> EditRequest:
        kept.append(request.source)
        return replace(request, source=kept[0])

    return spoil


PLANTED: dict[str, Callable[[], tuple[Any, bool]]] = {
    "mask_ignored": lambda: (
        Planted(load_editor("restore"), lambda r: replace(r, mask=np.full_like(r.mask, 255))),
        False,
    ),
    "mask_inverted": lambda: (Planted(load_editor("restore"), lambda r: replace(r, mask=255 - r.mask)), False),
    "shift": lambda: (Planted(load_editor("restore"), spoil_answer=lambda i: warp(i, 0.6, -0.3)), False),
    "zoom": lambda: (Planted(load_editor("restore"), spoil_answer=lambda i: warp(i, 0, 0, 1.004)), False),
    "colour_drift": lambda: (Planted(load_editor("restore"), spoil_answer=cast), False),
    "no_op": lambda: (Planted(load_editor("restore"), lambda r: replace(r, source=r.current)), False),
    "seed_ignored": lambda: (Planted(Noisy(), lambda r: replace(r, seed=0)), True),
    "wrong_size": lambda: (
        Planted(load_editor("restore"), spoil_answer=lambda i: cv2.resize(i, (i.shape[1] + 16, i.shape[0]))),
        False,
    ),
    "lossy": lambda: (Planted(load_editor("restore"), spoil_answer=lambda i: encode(i, 95)), False),
    "second_image_ignored": lambda: (Planted(load_editor("restore"), keep_first_source()), False),
}


def test_a_fault_is_planted_for_every_probe() -> None:
    assert set(PLANTED) == set(PROBE_NAMES)
    assert len(PROBE_NAMES) == 10


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(fault: str) -> None:
    editor, takes_seed = PLANTED[fault]()
    card = check_editor(editor, EditorDeclaration(takes_seed=takes_seed))
    assert card.probes[fault].verdict == "fault", card.probes[fault]  # type: ignore[index]
    # A resampled answer has lost detail, one that does nothing ignores its second image, and what is edited outside of
    # the mask is no longer the same there: no other alarm is raised.
    follows = {"shift": {"lossy"}, "zoom": {"lossy"}, "wrong_size": {"lossy"}, "no_op": {"second_image_ignored"}}
    follows["mask_inverted"] = {"lossy", "colour_drift", "second_image_ignored"}
    assert set(card.faults) - {fault} <= follows.get(fault, set())


@pytest.mark.parametrize("name", WEIGHT_FREE)
def test_good_editors_raise_no_alarm(name: str) -> None:
    entry = find_editor_entry(name)
    card = check_editor(load_editor(name), EditorDeclaration(True, entry.takes_source, entry.takes_seed))
    assert card.faults == []
    skipped = {probe for probe, result in card.probes.items() if result.verdict == "does not apply"}
    expected = {"seed_ignored"} if not entry.takes_seed else set()
    assert skipped == expected | ({"second_image_ignored"} if not entry.takes_source else set())
    assert card.calls == 2 + entry.takes_source + 2 * entry.takes_seed


def test_a_seed_that_does_not_repeat_is_a_fault() -> None:
    assert check_editor(Noisy()).faults == []
    found = check_editor(Noisy(is_seeded=False)).probes["seed_ignored"]
    assert found.verdict == "fault"
    assert "One seed gave two answers" in found.sentence


def test_an_editor_without_a_mask_is_not_blamed_for_it() -> None:
    whole = Planted(load_editor("restore"), lambda r: replace(r, mask=np.full_like(r.mask, 255)))
    card = check_editor(whole, EditorDeclaration(takes_mask=False, takes_seed=False))
    assert card.faults == []
    assert card.probes["mask_ignored"].verdict == card.probes["mask_inverted"].verdict == "does not apply"


def test_another_picture_has_no_place() -> None:
    other = Planted(load_editor("restore"), spoil_answer=lambda i: np.ascontiguousarray(i[::-1, ::-1]))
    card = check_editor(other, EditorDeclaration(takes_seed=False))
    assert card.probes["shift"].verdict == "unknown"


def test_an_editor_that_gives_no_image_is_one_sentence() -> None:
    class Refusing:
        name = "refusing"

        def edit(self, request: EditRequest) -> EditResult:
            def decline() -> Any:
                raise EditDeclined("refused", "The filter declined.")

            return attempt_edit(self.name, "1", None, {}, decline)

    with pytest.raises(UserError, match=r"gave no image to check\. The filter declined"):
        check_editor(Refusing())


def test_the_card_is_kept_and_its_digest_is_in_every_record(tmp_path: Path) -> None:
    editor = load_editor("inpaint")
    takes = EditorDeclaration(True, False, False)
    card = check_editor(editor, takes)
    path = write_card(card, tmp_path / "cards")
    assert read_card(path) == card
    assert check_editor(load_editor("inpaint"), takes).digest == card.digest
    probe = make_probe_images()
    request = EditRequest(probe.source, probe.current, probe.first, "")
    assert load_editor("inpaint", card=path).edit(request).record.card_digest == card.digest
    assert editor.edit(request).record.card_digest == ""
    with pytest.raises(UserError, match="expected one of 'restore'"):
        attach_card(load_editor("restore"), card)
    content = orjson.loads(path.read_bytes())
    content["probes"]["shift"]["verdict"] = "fault"
    path.write_bytes(orjson.dumps(content))
    with pytest.raises(UserError, match="was changed since"):
        read_card(path)
    path.write_bytes(b"[1]")
    with pytest.raises(UserError, match="is no card of an editor"):
        read_card(path)


def test_the_commands(tmp_path: Path) -> None:
    run = CliRunner().invoke
    listed = run(editors_app, ["list", "--json"])
    assert [entry["name"] for entry in orjson.loads(listed.stdout)] == list(read_editor_entries())
    assert "restore" in run(editors_app, ["list"]).stdout
    checked = run(editors_app, ["check", "inpaint", "--out", str(tmp_path), "--json", "-q"])
    assert checked.exit_code == 0
    assert orjson.loads(checked.stdout) == orjson.loads((tmp_path / "editor.json").read_bytes())
    assert "no fault" in run(editors_app, ["check", "inpaint", "-q"]).stdout
    assert run(editors_app, ["check", "patch-fill", "--dry-run"]).stdout == "4 edits would be asked of patch-fill.\n"
    assert isinstance(run(editors_app, ["check", "inpant"]).exception, UserError)
