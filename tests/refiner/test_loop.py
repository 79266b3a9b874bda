"""The loop with oracles: what it keeps, what it rolls back, why it stops, and what faulty agents cannot do to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from annotation.records import DIMENSIONS
from editfhf.editors.protocol import EditRequest
from refiner.accepted_edit import lay_edit_over
from refiner.agent_calls import AgentTeam
from refiner.audit import compare_audits, describe_audit
from refiner.loop import LoopResult, run_loop
from refiner.options import RefineBudget, RefineOptions
from tests.refiner.doubles import (
    FunctionEditor,
    OracleEvaluation,
    OraclePerception,
    OracleReasoning,
    Scene,
    add_seeded_noise,
    is_restored,
    make_scene,
    make_team,
    measure_error,
    paint_green,
    restore_and_spill,
    restore_source,
    wait_for_ever,
)
from training.agents.results import AgentIdentity, PerceivedMaps, Score


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene()


def refine_scene(scene: Scene, team: AgentTeam, **options: object) -> LoopResult:
    return run_loop(scene.source, scene.flawed, "invert the middle", team, RefineOptions(**options))  # type: ignore[arg-type]


def list_reasons(result: LoopResult) -> str:
    return " ".join(trial.reason for turn in result.turns for edit in turn.edits for trial in edit.trials)


# What a run gives


def test_unwanted_changes_are_undone_and_the_wanted_edit_stays(scene: Scene) -> None:
    result = refine_scene(scene, make_team(scene))
    assert result.stop == "clean"
    assert is_restored(result.image, scene.clean)
    assert [edit.decision for edit in result.turns[0].edits] == ["accepted", "accepted"]


def test_a_clean_image_is_left_as_it_is(scene: Scene) -> None:
    editor = FunctionEditor(paint_green, "restore")
    result = run_loop(scene.source, scene.clean, "", make_team(scene, editor), RefineOptions())
    assert (result.stop, editor.calls, result.edits) == ("clean", 0, ())
    assert result.image is scene.clean


def test_outside_of_the_masks_no_pixel_changes(scene: Scene) -> None:
    """Although the editor changes the whole image."""
    seen: list[NDArray[np.uint8]] = []
    team = make_team(scene, FunctionEditor(restore_and_spill))
    options = RefineOptions(turns=4)
    result = run_loop(
        scene.source, scene.flawed, "", team, options, on_turn=lambda record, pictures: seen.append(pictures.mask)
    )
    outside = ~np.any([mask > 0 for mask in seen], axis=0)
    assert result.edits and outside.mean() > 0.5
    assert np.array_equal(result.image[outside], scene.flawed[outside])


def test_perception_looks_at_the_current_image(scene: Scene) -> None:
    """Equation 2: after a repair there is nothing left to see in that place."""
    result = refine_scene(scene, make_team(scene))
    assert [len(turn.regions) for turn in result.turns] == [2, 0]


def test_the_same_seed_gives_the_same_result_and_another_seed_another(scene: Scene) -> None:
    def run(seed: int) -> tuple[bytes, list[object]]:
        team = make_team(scene, FunctionEditor(add_seeded_noise, "noise", seeded=True), evaluation=Brightness())
        team = AgentTeam(team.perception, team.editors, None, team.evaluation, preferred=("noise",))
        result = refine_scene(scene, team, seed=seed, turns=1, candidates=4, guard=False)
        return result.image.tobytes(), [turn.as_record() for turn in result.turns]

    assert run(1) == run(1)
    assert run(1)[0] != run(2)[0]


class Brightness:
    """Scores by the brightness, so that noise now and then gains."""

    identity = AgentIdentity("test", "brightness", "1")

    def evaluate(self, source: object, current: NDArray[np.uint8], instruction: str) -> list[Score]:
        value = 100 * float(current.mean()) / 255
        return [Score(name, value, None, "ok", self.identity) for name in DIMENSIONS]


def test_disjoint_regions_commute(scene: Scene) -> None:
    """The kept edits laid over the input in any order give the result; laid over nothing, the input."""
    result = refine_scene(scene, make_team(scene))
    assert len(result.edits) == 2
    for order in (result.edits, result.edits[::-1]):
        image = scene.flawed.copy()
        for edit in order:
            lay_edit_over(image, edit)
        assert np.array_equal(image, result.image)


def test_a_region_is_kept_or_rolled_back_alone(scene: Scene) -> None:
    """An editor that repairs the upper left and ruins the rest changes only the upper left."""

    def repair_left(request: EditRequest) -> np.ndarray:
        inside = np.argwhere(request.mask > 0).mean(axis=0)
        return restore_source(request) if inside[1] < 48 else paint_green(request)

    result = refine_scene(scene, make_team(scene, FunctionEditor(repair_left)))
    assert sorted(edit.decision for edit in result.turns[0].edits) == ["accepted", "rolled_back"]
    assert is_restored(result.image[scene.masks[0]], scene.clean[scene.masks[0]])
    assert np.array_equal(result.image[scene.masks[1]], scene.flawed[scene.masks[1]])


def test_editors_compete_and_the_evaluator_picks(scene: Scene) -> None:
    def restore_half(request: EditRequest) -> np.ndarray:
        return ((restore_source(request).astype(int) + request.current) // 2).astype(np.uint8)

    half, whole = FunctionEditor(restore_half, "half"), FunctionEditor(restore_source, "whole")
    for order in (("half", "whole"), ("whole", "half")):
        team = make_team(scene, half, whole)
        team = AgentTeam(team.perception, team.editors, team.reasoning, team.evaluation, preferred=order)
        result = refine_scene(scene, team, turns=1, candidates=2)
        kept = [trial.editor for edit in result.turns[0].edits for trial in edit.trials if trial.accepted]
        assert kept == ["whole", "whole"]


# Why it stops


def test_the_loop_stops_after_its_turns_without_gain(scene: Scene) -> None:
    editor = FunctionEditor(add_seeded_noise, "noise", seeded=True)
    team = make_team(scene, editor)
    team = AgentTeam(team.perception, team.editors, team.reasoning, team.evaluation, preferred=("noise",))
    result = refine_scene(scene, team, patience=3, candidates=1, turns=9)
    assert (result.stop, len(result.turns)) == ("no_gain", 3)
    seeds = [trial.seed for turn in result.turns for edit in turn.edits for trial in edit.trials]
    assert len(set(seeds)) == len(seeds) == 6  # another seed in every turn and region


def test_an_editor_without_a_seed_is_not_asked_twice_for_one_region(scene: Scene) -> None:
    editor = FunctionEditor(paint_green)
    result = refine_scene(scene, make_team(scene, editor), patience=5)
    assert (result.stop, editor.calls) == ("no_gain", 2)
    assert result.detail == "There is nothing left to try."


def test_the_limit_of_turns_holds(scene: Scene) -> None:
    result = refine_scene(scene, make_team(scene), turns=1)
    assert (result.stop, len(result.turns)) == ("max_turns", 1)


@pytest.mark.parametrize(
    ("budget", "word"),
    [
        (RefineBudget(calls=5), "calls"),
        (RefineBudget(dollars=0.04), "dollars"),
        (RefineBudget(seconds=0.0), "seconds"),
    ],
)
def test_a_budget_ends_the_run_before_a_call_too_many(scene: Scene, budget: RefineBudget, word: str) -> None:
    editor = FunctionEditor(restore_source, cost=0.05)
    result = refine_scene(scene, make_team(scene, editor), budget=budget)
    assert result.stop == "budget" and word in result.detail
    assert result.calls <= 5 and editor.calls <= 1
    assert measure_error(result.image, scene.clean) <= measure_error(scene.flawed, scene.clean)


def test_a_region_without_an_editor_is_left_and_says_so(scene: Scene) -> None:
    team = make_team(scene, reasoning=OracleReasoning("not_executed"))
    result = refine_scene(scene, team)
    assert result.stop == "no_gain"
    assert {edit.decision for edit in result.turns[0].edits} == {"not_tried"}
    assert result.turns[0].edits[0].reason.startswith("No editor of this run repairs it.")


# What faulty agents and editors cannot do


@pytest.fixture
def released() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def crash(*_: object) -> None:
    raise RuntimeError("out of memory\x1b[2J")


def nonsense(*_: object) -> object:
    return {"score": "very good"}


FAULTY_EDITORS = {
    "corrupting": paint_green,
    "crashing": crash,
    "nonsense": nonsense,
    "float image": lambda request: request.current.astype(np.float64),
    "empty image": lambda request: request.current[:0],
    "no image": lambda request: None,
}


@pytest.mark.parametrize("fault", FAULTY_EDITORS)
def test_a_faulty_editor_never_makes_it_worse(scene: Scene, fault: str) -> None:
    result = refine_scene(scene, make_team(scene, FunctionEditor(FAULTY_EDITORS[fault])))
    assert np.array_equal(result.image, scene.flawed)
    assert result.stop == "no_gain" and list_reasons(result)


def test_an_editor_that_destroys_its_inputs_destroys_nothing(scene: Scene) -> None:
    def scribble(request: EditRequest) -> np.ndarray:
        for array in (request.source, request.current, request.mask):
            array[:] = 0
        return request.current

    before = scene.flawed.copy()
    result = refine_scene(scene, make_team(scene, FunctionEditor(scribble)))
    assert np.array_equal(scene.flawed, before) and np.array_equal(result.image, before)


def test_a_hanging_editor_is_given_up_and_another_one_works(scene: Scene, released: threading.Event) -> None:
    hanging, working = FunctionEditor(wait_for_ever(released), "match-colour"), FunctionEditor(restore_source)
    team = make_team(scene, hanging, working, reasoning=None, perception=OraclePerception(scene.clean, "artifact"))
    team = AgentTeam(team.perception, team.editors, None, team.evaluation, preferred=("match-colour", "restore"))
    result = refine_scene(scene, team, call_seconds=0.2)
    assert is_restored(result.image, scene.clean)
    assert hanging.calls == 1  # who hung once is not asked again
    assert "No answer within 0.2 s." in list_reasons(result)


@pytest.mark.parametrize("role", ["perception", "evaluation"])
@pytest.mark.parametrize("fault", ["crash", "hang", "nonsense"])
def test_without_perception_or_scores_the_result_is_the_input(
    scene: Scene, role: str, fault: str, released: threading.Event
) -> None:
    method = {"crash": crash, "hang": wait_for_ever(released), "nonsense": nonsense}[fault]
    agent = OraclePerception(scene.clean) if role == "perception" else OracleEvaluation(scene.clean)
    setattr(agent, "perceive" if role == "perception" else "evaluate", method)
    result = refine_scene(scene, make_team(scene, **{role: agent}), call_seconds=0.2)
    assert result.stop == "agent_error" and result.detail.isprintable()
    assert np.array_equal(result.image, scene.flawed)


@pytest.mark.parametrize("fault", ["crash", "nonsense"])
def test_without_findings_regions_are_repaired_by_their_kind(scene: Scene, fault: str) -> None:
    agent = OracleReasoning()
    agent.diagnose_boxes = {"crash": crash, "nonsense": nonsense}[fault]  # type: ignore[method-assign,assignment]
    result = refine_scene(scene, make_team(scene, reasoning=agent))
    assert {region.status for region in result.turns[0].regions} == {"error"}
    assert is_restored(result.image, scene.clean)


@pytest.mark.parametrize("value", ["nan", "wrong size"])
def test_maps_that_are_none_are_an_agent_error(scene: Scene, value: str) -> None:
    class Broken(OraclePerception):
        def perceive(self, source: object, current: object, instruction: str) -> PerceivedMaps:
            shape = scene.flawed.shape[:2] if value == "nan" else (7, 7)
            wrong = np.full(shape, np.nan if value == "nan" else 0.5, np.float32)
            return PerceivedMaps(wrong, wrong, self.identity)

    result = refine_scene(scene, make_team(scene, perception=Broken(scene.clean)))
    assert result.stop == "agent_error" and result.image is scene.flawed


def test_the_auditor_says_where_the_evaluator_lies(scene: Scene) -> None:
    """A liar may accept a corrupted image; without the guard nothing holds it back, but the auditor tells."""
    liar, auditor = OracleEvaluation(scene.clean, -1), OracleEvaluation(scene.clean, 1, "auditor")
    corrupting = FunctionEditor(paint_green)
    team = make_team(scene, corrupting, evaluation=liar, auditor=auditor)
    result = refine_scene(scene, team, guard=False, turns=1)
    comparisons = compare_audits(result.turns)
    assert measure_error(result.image, scene.clean) > measure_error(scene.flawed, scene.clean)
    assert [one.parts for one in comparisons] == [True]
    assert describe_audit(comparisons).startswith("The auditor disagrees in turn 1:")


def test_the_guard_holds_back_what_a_lying_evaluator_accepts(scene: Scene) -> None:
    team = make_team(scene, FunctionEditor(paint_green), evaluation=OracleEvaluation(scene.clean, -1))
    result = refine_scene(scene, team)
    assert np.array_equal(result.image, scene.flawed)
    assert "The perceived flaws did not become less." in list_reasons(result)


def test_an_honest_auditor_agrees(scene: Scene) -> None:
    team = make_team(scene, auditor=OracleEvaluation(scene.clean, 1, "auditor"))
    told = describe_audit(compare_audits(refine_scene(scene, team).turns))
    assert told.startswith("The auditor agrees: +")
