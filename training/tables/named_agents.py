"""The agents of a table by name: those that are run, with their records, and those that cannot be had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mos.errors import UserError
from training.agents.absent import NO_AGENT_FAMILY
from training.agents.registry import AgentRole, list_agents, load_agent
from training.tables.agent_records import open_agent_records
from training.tables.dataset_split import DatasetSplit
from training.tables.result_table import TableRow
from training.tables.run_agents import NamedAgent

RECORDS_FOLDER = "records"

ASKED_AGENTS = ("served", "served-levels", "vlm", "authors")
"""Agents that cost money, or need a server or a checkpoint: they run only if they are named."""

_NO_WEIGHTS = "needs the weights that its authors trained, and no installable package carries them."

UNAVAILABLE_AGENTS: Mapping[AgentRole, Mapping[str, str]] = {
    "perception": {
        "salicon": f"SALICON {_NO_WEIGHTS}",
        "mlnet": f"ML-Net {_NO_WEIGHTS}",
        "sam-resnet": f"SAM-ResNet {_NO_WEIGHTS}",
        "transalnet": f"TranSalNet {_NO_WEIGHTS}",
        "richhf": f"RichHF {_NO_WEIGHTS}",
    },
    "reasoning": {},
    "evaluation": {
        "lpips": "LPIPS needs the package lpips, and through torchvision the weights of AlexNet, which are a download.",
        "ahiq": f"AHIQ {_NO_WEIGHTS}",
        "cvrkd": f"CVRKD {_NO_WEIGHTS}",
        "q-align": "Q-Align needs its own weights of 8 billion parameters, which are a download from the Hub.",
    },
}
"""Rows of the paper's tables that cannot be measured, and what is missing."""


def list_default_agents(role: AgentRole) -> list[str]:
    """The agents of a role that need neither a server nor an answer, then those that cannot be had."""
    known = [name for name in list_agents(role) if name not in (NO_AGENT_FAMILY, *ASKED_AGENTS)]
    return [*known, *(name for name in UNAVAILABLE_AGENTS[role] if name not in known)]


def open_named_agents(
    role: AgentRole, names: Sequence[str], split: DatasetSplit, folder: Path | None, settings: Mapping[str, str]
) -> tuple[list[NamedAgent], list[TableRow]]:
    """Load agents by name, each with its file of records in `folder`.

    Parameters
    ----------
    role : {"perception", "reasoning", "evaluation"}
    names : sequence of str
        All by default (`list_default_agents`) if there are none.
    split : DatasetSplit
    folder : Path or None
        Where records are; None to keep them in memory.
    settings : mapping
        What else decides a record, such as the preset.

    Returns
    -------
    list of NamedAgent, list of TableRow
        Agents that run, and rows that say what the others lack.

    Raises
    ------
    UserError
        For an unknown name, one that is given twice, or a file of other records.
    """
    wanted = list(names) or list_default_agents(role)
    doubles = sorted({name for name in wanted if wanted.count(name) > 1})
    if doubles:
        raise UserError(f"The agent {doubles[0]!r} is given twice.")
    known = list_agents(role)
    agents: list[NamedAgent] = []
    missing: list[TableRow] = []
    for name in wanted:
        if name not in known and name in UNAVAILABLE_AGENTS[role]:
            missing.append(TableRow(name, "unavailable", {}, note=UNAVAILABLE_AGENTS[role][name]))
            continue
        agent = load_agent(role, name)
        header = {"role": role, "agent": str(agent.identity), "dataset": split.digest, "split": split.split, **settings}
        stem = "-".join([role, split.split, *settings.values(), name])
        path = None if folder is None else folder / RECORDS_FOLDER / f"{stem}.jsonl"
        agents.append(NamedAgent(name, agent, open_agent_records(header, path)))
    return agents, missing
