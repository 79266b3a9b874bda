"""Run agents on a split, pair by pair: every image is decoded once for all agents, and memory holds one pair."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mos.console import NullProgress, Progress
from mos.errors import UserError
from mos.rejections import Rejection
from training.samples.pair_sample import PairSample
from training.samples.read_samples import read_samples
from training.tables.agent_records import AgentRecord, AgentRecords
from training.tables.dataset_split import DatasetSplit

MeasureSample = Callable[[Any, PairSample], Mapping[str, Any]]
"""From an agent and a sample to what was measured."""

_FLUSH_SECONDS = 5.0
"""Records are written this often: what a kill costs at most."""

_READ_THREADS = 2


@dataclass(frozen=True, slots=True, eq=False)
class NamedAgent:
    """An agent, the name under which it was asked for, and its records."""

    name: str
    agent: Any
    records: AgentRecords


def run_agents(
    split: DatasetSplit, agents: Sequence[NamedAgent], measure: MeasureSample, progress: Progress | None = None
) -> list[Rejection]:
    """Measure agents on the pairs of a split that they have no record of.

    Parameters
    ----------
    split : DatasetSplit
    agents : sequence of NamedAgent
        Their records are extended. An agent that raises an exception on a pair gets a record with the status "error";
        a `UserError`, such as a missing key, stops the run.
    measure : callable
    progress : Progress, optional

    Returns
    -------
    list of Rejection
        Rows of the dataset that cannot be read.
    """
    progress = progress or NullProgress()
    missing = {agent.name: agent.records.find_missing(split.pair_ids) for agent in agents}
    wanted = frozenset().union(*missing.values())
    if not wanted:
        return []
    progress.begin("Measuring agents", sum(map(len, missing.values())))
    rejections: list[Rejection] = []
    waiting: dict[str, list[AgentRecord]] = {agent.name: [] for agent in agents}
    flushed = time.monotonic()
    try:
        rows = split.select_pairs(wanted)
        for sample in read_samples(rows, threads=_READ_THREADS, reject=rejections.append):
            for agent in agents:
                if sample.pair_id in missing[agent.name]:
                    progress.show_note(agent.name)
                    waiting[agent.name].append(_measure_sample(agent, sample, measure))
                    progress.advance()
            if time.monotonic() - flushed > _FLUSH_SECONDS:
                _write_waiting(agents, waiting)
                flushed = time.monotonic()
    finally:
        _write_waiting(agents, waiting)
    return rejections


def _write_waiting(agents: Sequence[NamedAgent], waiting: Mapping[str, list[AgentRecord]]) -> None:
    for agent in agents:
        agent.records.add(waiting[agent.name])
        waiting[agent.name].clear()


def _measure_sample(agent: NamedAgent, sample: PairSample, measure: MeasureSample) -> AgentRecord:
    record: AgentRecord = {"pair_id": sample.pair_id, "source_id": sample.source_id, "status": "ok", "detail": ""}
    start = time.perf_counter()
    try:
        measured = measure(agent.agent, sample)
    except UserError:
        raise
    except Exception as error:  # whatever an agent of somebody else raises: the other pairs go on
        return record | {"status": "error", "detail": f"{type(error).__name__}: {error}"[:500]}
    return record | {"seconds": round(time.perf_counter() - start, 4), **measured}
