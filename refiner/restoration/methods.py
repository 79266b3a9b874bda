"""What the benchmark compares: our loop, the loop with known truth, copying the source back, and the authors' rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from annotation.images import RgbImage
from annotation.simulate import KnownPair
from editfhf.editors.protocol import Editor
from editfhf.editors.registry import load_editor
from mos.errors import UserError
from mos.words import did_you_mean
from refiner.accepted_edit import list_turn_images
from refiner.agent_calls import AgentTeam
from refiner.choose_team import AUTO, choose_team
from refiner.loop import run_loop
from refiner.options import RefineOptions
from refiner.restoration.authors_rules import AUTHORS_RULES, LoopRules, run_plain_loop
from refiner.restoration.oracle_agents import OracleAgents
from training.agents.map_regions import find_mask
from training.baselines.difference import DifferencePerception
from training.samples.pair_sample import scale_array


@dataclass(frozen=True, slots=True, eq=False)
class Restoration:
    """What a method made of one image.

    Attributes
    ----------
    image : ndarray
        uint8 [H, W, 3].
    by_turn : tuple of ndarray
        The image after each turn; empty for a method without turns.
    stop : str
        Why it stopped; "" for a method without turns.
    """

    image: RgbImage
    by_turn: tuple[RgbImage, ...] = ()
    stop: str = ""


RepairPair = Callable[[KnownPair], Restoration]

METHOD_MEANINGS: Mapping[str, str] = {
    "refine": "The loop with the agents and editors of this run.",
    "refine-oracle": "The loop with agents that know the truth: the upper bound for these editors.",
    "copy-source": "The source is copied back where the difference baseline finds a difference.",
    "authors-rules": "All rules of the authors' published loop, with the same agents and one editor.",
    "stale-maps": "One rule of theirs: the maps of the first image in every turn.",
    "stretched-maps": "One rule of theirs: each map is stretched to its own maximum.",
    "mean-score": "One rule of theirs: the arithmetic mean of the dimensions decides.",
    "whole-answer": "One rule of theirs: the editor's whole answer is kept, as JPEG.",
    "keep-last": "One rule of others: the last image, not the best.",
}

_SINGLE_RULES = {
    "stale-maps": LoopRules(stale_maps=True),
    "stretched-maps": LoopRules(stretched_maps=True),
    "mean-score": LoopRules(mean_score=True),
    "whole-answer": LoopRules(whole_answer=True),
    "keep-last": LoopRules(keep_last=True),
    "authors-rules": AUTHORS_RULES,
}

PLAIN_LOOP_EDITOR = "restore"


def make_methods(
    names: Sequence[str], options: RefineOptions, agents: Mapping[str, str] | None = None
) -> dict[str, RepairPair]:
    """Make the methods of these names; the agents are loaded once for all.

    Parameters
    ----------
    names : sequence of str
        Keys of `METHOD_MEANINGS`.
    options : RefineOptions
        Of the loops.
    agents : mapping from str to str, optional
        Names of the agents by their role, as `choose_team` takes them.

    Raises
    ------
    UserError
        For an unknown name, or an agent that cannot be loaded.
    """
    for name in names:
        if name not in METHOD_MEANINGS:
            known = ", ".join(METHOD_MEANINGS)
            raise UserError(f"Unknown method {name!r}.{did_you_mean(name, METHOD_MEANINGS)} Known: {known}.")
    if not names:
        return {}
    chosen = agents or {}
    team = choose_team(
        perception=chosen.get("perception", AUTO),
        reasoning=chosen.get("reasoning", AUTO),
        evaluation=chosen.get("evaluation", AUTO),
    )
    return {name: _make_method(name, team, options) for name in names}


def _make_method(name: str, team: AgentTeam, options: RefineOptions) -> RepairPair:
    if name == "copy-source":
        return copy_source_back
    if name in _SINGLE_RULES:
        editor = load_editor(PLAIN_LOOP_EDITOR)
        return lambda pair: _run_rules(pair, team, editor, _SINGLE_RULES[name], options.turns)
    if name == "refine":
        return lambda pair: _run_ours(pair, team, options)
    return lambda pair: _run_ours(pair, _with_oracle(pair, team), options)


def copy_source_back(pair: KnownPair) -> Restoration:
    """Copy the source where the difference baseline sees a difference: what a person would try first."""
    mask = find_mask(DifferencePerception().perceive(pair.source, pair.edited, pair.instruction).artifact)
    source = scale_array(pair.source, *pair.edited.shape[:2])
    return Restoration(np.where(mask[:, :, None], source, pair.edited).astype(np.uint8))


def _with_oracle(pair: KnownPair, team: AgentTeam) -> AgentTeam:
    oracle = OracleAgents(pair)
    return replace(team, perception=oracle, reasoning=oracle, evaluation=oracle, auditor=None)


def _run_ours(pair: KnownPair, team: AgentTeam, options: RefineOptions) -> Restoration:
    result = run_loop(pair.source, pair.edited, pair.instruction, team, options)
    by_turn = list_turn_images(pair.edited, result.edits, len(result.turns))[1:]
    return Restoration(result.image, tuple(by_turn), result.stop)


def _run_rules(pair: KnownPair, team: AgentTeam, editor: Editor, rules: LoopRules, turns: int) -> Restoration:
    if team.evaluation is None:
        raise UserError("The rules of the authors' loop need an evaluation agent: name one with --evaluation.")
    image = run_plain_loop(
        pair.source, pair.edited, pair.instruction, team.perception, team.evaluation, editor, rules, turns
    )
    return Restoration(image)
