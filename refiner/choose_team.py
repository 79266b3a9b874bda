"""From names to the agents and editors of a run. Models are loaded once, here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from editfhf.editors.command_editor import CommandEditor
from editfhf.editors.crops import DEFAULT_CROP_OPTIONS
from editfhf.editors.protocol import Editor
from editfhf.editors.registry import find_editor_entry, list_editors, load_editor
from mos.errors import UserError
from refiner.agent_calls import AgentTeam
from refiner.planning.routes import read_routes
from training.agents.registry import DEFAULT_AGENT, AgentRole, load_agent

AUTO = "auto"
"""The default agent of a role, or the weight-free editors."""

NO_AGENT = "none"
"""No agent in this role."""


def choose_team(
    *,
    perception: str = AUTO,
    reasoning: str = AUTO,
    evaluation: str = AUTO,
    auditor: str = NO_AGENT,
    editors: Sequence[str] = (AUTO,),
    editor_command: str = "",
    agent_options: Mapping[str, Mapping[str, Any]] | None = None,
) -> AgentTeam:
    """Load the agents and editors of a run.

    Parameters
    ----------
    perception, reasoning, evaluation, auditor : str
        Name of an agent; "auto" for the default one, "none" for none (not for perception).
    editors : sequence of str
        Names of editors; "auto" stands for all editors without weights.
    editor_command : str
        A program that edits, see `CommandEditor`; it is used for every flaw, as an editor that was named.
    agent_options : mapping, optional
        Options of agents by their role.

    Returns
    -------
    AgentTeam

    Raises
    ------
    UserError
        For an unknown name, or a package or key that is missing.
    """
    given = agent_options or {}
    perceiving = _load_role("perception", perception, given)
    if perceiving is None:
        raise UserError("--perception none: the loop cannot work without a perception agent. Name one.")
    chosen = [name for name in editors if name != AUTO]
    loaded: dict[str, Editor] = {name: load_editor(name) for name in chosen}
    if editor_command:
        program = CommandEditor(editor_command)
        loaded[program.name] = program
        chosen.append(program.name)
    if AUTO in editors:
        known = set(list_editors())
        for name in _list_route_editors():
            if name in known and name not in loaded and not find_editor_entry(name).describe_lack():
                loaded[name] = load_editor(name)
    if not loaded:
        raise UserError("No editor was chosen: expected at least one --editor.")
    return AgentTeam(
        perceiving,
        loaded,
        _load_role("reasoning", reasoning, given),
        _load_role("evaluation", evaluation, given),
        None if auditor == NO_AGENT else load_agent("evaluation", auditor, **given.get("auditor", {})),
        tuple(chosen),
        {name: DEFAULT_CROP_OPTIONS for name, editor in loaded.items() if _needs_crop(name, editor)},
    )


def _needs_crop(name: str, editor: Editor) -> bool:
    """Whether an editor is shown a crop at a size that models take; the weight-free ones take any."""
    return isinstance(editor, CommandEditor) or find_editor_entry(name).kind != "weight_free"


def _load_role(role: AgentRole, name: str, options: Mapping[str, Mapping[str, Any]]) -> Any:
    if name == NO_AGENT:
        return None
    return load_agent(role, DEFAULT_AGENT if name == AUTO else name, **options.get(role, {}))


def _list_route_editors() -> list[str]:
    """Names of all editors of the routes, without weights, in the order of the table."""
    names = [name for routes in read_routes().values() for route in routes for name in route.editors]
    return [name for name in dict.fromkeys(names) if name != "generative"]
