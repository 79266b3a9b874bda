"""The work on one pair: a proposal changes nothing, a kept change is a layer, and every step leads back."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mos.errors import UserError
from refiner.app.session import RefineSession, decode_mask
from tests.refiner.doubles import make_scene, make_team


@pytest.fixture
def session() -> RefineSession:
    scene = make_scene()
    return RefineSession(scene.source, scene.flawed, "Make it snow.", make_team(scene))


def first_label(session: RefineSession) -> str:
    return next(label for label, _ in session.look().labelled_findings())


def propose(session: RefineSession) -> str:
    label = first_label(session)
    session.propose(session.list_masks()[label], session.suggest_editor(label), label=label)
    return label


def test_a_proposal_changes_nothing_until_it_is_kept(session: RefineSession) -> None:
    label = first_label(session)
    mask = session.list_masks()[label]
    proposal = session.propose(mask, session.suggest_editor(label), label=label)
    assert np.array_equal(session.image, session.edited)
    assert np.array_equal(proposal.image[~mask], session.edited[~mask])
    assert proposal.after is not None and proposal.before is not None and proposal.after > proposal.before
    session.reject()
    with pytest.raises(UserError, match="no proposal"):
        session.accept()
    assert not session.layers


def test_a_kept_change_is_a_layer_that_can_be_switched_off(session: RefineSession) -> None:
    propose(session)
    assert session.proposal is not None
    wanted = session.proposal.image
    session.accept()
    assert np.array_equal(session.image, wanted)
    session.switch_layer(1, False)
    assert np.array_equal(session.image, session.edited)
    session.switch_layer(1, True)
    assert np.array_equal(session.image, wanted)
    with pytest.raises(UserError, match="no change 2"):
        session.switch_layer(2, True)


def test_undo_and_redo_are_exact(session: RefineSession) -> None:
    images = [session.image]
    for _ in range(2):
        propose(session)
        session.accept()
        images.append(session.image)
    session.undo()
    assert np.array_equal(session.image, images[1]) and session.can_redo
    session.undo()
    assert np.array_equal(session.image, images[0]) and not session.can_undo
    session.redo()
    session.redo()
    assert np.array_equal(session.image, images[2])
    session.undo()
    propose(session)
    session.accept()
    assert not session.can_redo
    with pytest.raises(UserError, match="nothing to redo"):
        session.redo()


def test_what_was_repaired_is_not_seen_again(session: RefineSession) -> None:
    before = len(session.look().findings)
    propose(session)
    session.accept()
    assert len(session.look().findings) == before - 1


def test_the_layers_of_the_file_are_those_that_are_on(session: RefineSession) -> None:
    for _ in range(2):
        propose(session)
        session.accept()
    session.switch_layer(1, False)
    with zipfile.ZipFile(io.BytesIO(session.encode_layers())) as archive:
        names = [name for name in archive.namelist() if name.startswith("data/fix")]
        merged = np.asarray(Image.open(io.BytesIO(archive.read("mergedimage.png"))).convert("RGB"))
    assert len(names) == 1
    assert np.array_equal(merged, session.image)
    assert [change["on"] for change in session.as_trace()["changes"]] == [False, True]


def test_a_drawn_mask_needs_no_region(session: RefineSession) -> None:
    label = first_label(session)
    drawn = session.list_masks()[label]
    session.propose(drawn, next(iter(session.editors)))
    session.accept()
    assert "drawn mask" in session.layers[0].edit.title


def test_mistakes_are_sentences(session: RefineSession) -> None:
    nothing = np.zeros(session.edited.shape[:2], bool)
    with pytest.raises(UserError, match="mask is empty"):
        session.propose(nothing, next(iter(session.editors)))
    with pytest.raises(UserError, match="no editor 'magic'"):
        session.propose(~nothing, "magic")
    with pytest.raises(UserError, match="Expected a mask of"):
        session.propose(nothing[1:], next(iter(session.editors)))
    with pytest.raises(UserError, match="no region 'Z9'"):
        session.suggest_editor("Z9")
    with pytest.raises(UserError, match="nothing to undo"):
        session.undo()
    with pytest.raises(UserError, match="instruction"):
        scene = make_scene()
        RefineSession(scene.source, scene.flawed, "x" * 10_001, make_team(scene))


def test_without_evaluation_a_proposal_has_no_scores() -> None:
    scene = make_scene()
    session = RefineSession(scene.source, scene.flawed, "x", replace(make_team(scene), evaluation=None, reasoning=None))
    propose(session)
    assert session.proposal is not None and (session.proposal.before, session.proposal.after) == (None, None)


def test_a_mask_of_another_size_is_enlarged_without_grey() -> None:
    small = np.zeros((10, 20), np.uint8)
    small[2:5, 4:9] = 200
    mask = decode_mask(small, 40, 80)
    assert mask.shape == (40, 80) and mask.sum() == 16 * small.astype(bool).sum()
