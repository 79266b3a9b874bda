"""The registry of agents: by name, imported when asked for, with a hint for a misspelt name."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from mos.errors import UserError
from training.agents import registry
from training.agents.protocols import Evaluation, Perception, Reasoning
from training.agents.results import AgentIdentity, PerceivedMaps


class FlatPerception:
    """A perception agent with one option."""

    def __init__(self, level: float = 0.0) -> None:
        self.level = level
        self.identity = AgentIdentity("test", "flat", "1")

    def perceive(self, source: np.ndarray, current: np.ndarray, instruction: str) -> PerceivedMaps:
        flat = np.full(current.shape[:2], self.level, np.float32)
        return PerceivedMaps(flat, flat, self.identity)


PLACES = {
    "perception.flat": f"{__name__}:FlatPerception",
    "perception.broken": "training_of_nobody:Agent",
    "evaluation.flat": f"{__name__}:FlatPerception",
}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Agents of another distribution, as their entry points are."""
    monkeypatch.setitem(sys.modules, __name__, sys.modules[FlatPerception.__module__])
    points = [EntryPoint(name, place, registry.AGENT_GROUP) for name, place in PLACES.items()]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)


def test_an_agent_is_made_by_its_name_with_its_options() -> None:
    agent = registry.load_agent("perception", "flat", level=0.25)
    maps = agent.perceive(np.zeros((4, 6, 3), np.uint8), np.zeros((2, 3, 3), np.uint8), "Remove the hat.")
    assert isinstance(agent, Perception)
    assert not isinstance(agent, Reasoning | Evaluation)
    assert (maps.artifact.shape, float(maps.artifact.max())) == ((2, 3), 0.25)


def test_a_misspelt_name_gets_a_hint() -> None:
    with pytest.raises(UserError, match=r"Unknown perception agent 'flst'\. Did you mean 'flat'\? Known: .*flat"):
        registry.load_agent("perception", "flst")


def test_a_misspelt_role_gets_a_hint() -> None:
    with pytest.raises(UserError, match=r"Unknown role 'percption'\. Did you mean 'perception'\?"):
        registry.list_agents("percption")  # type: ignore[arg-type]


@pytest.mark.parametrize("role", ["reasoning", "evaluation"])
def test_a_person_may_choose_no_agent(role: registry.AgentRole) -> None:
    assert "none" in registry.list_agents(role)
    assert isinstance(registry.load_agent(role, "none"), {"reasoning": Reasoning, "evaluation": Evaluation}[role])


def test_a_missing_package_is_one_sentence() -> None:
    with pytest.raises(
        UserError, match=r"needs the package 'training_of_nobody': run pip install 'editfhf\[training\]"
    ):
        registry.load_agent("perception", "broken")


def test_an_agent_of_another_role_is_refused() -> None:
    with pytest.raises(UserError, match="makes a FlatPerception, so it is no evaluation agent"):
        registry.load_agent("evaluation", "flat")


def test_the_room_needs_no_torch() -> None:
    code = (
        "import sys, training, training.agents.registry as r, training.metrics.saliency\n"
        "r.list_agents('perception')\n"
        "assert not {'torch', 'transformers', 'scipy', 'datasets'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
