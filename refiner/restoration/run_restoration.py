"""Run the restoration benchmark: simulate pairs with known truth, repair them, compare with the hidden target."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from annotation.simulate import KnownPair, SimulationOptions, simulate_pairs
from annotation.simulate.photos import Photo, list_folder_photos, list_packaged_photos
from mos.console import NullProgress, Progress
from mos.errors import UserError
from refiner.options import RefineOptions
from refiner.restoration.measures import compute_psnr, measure_restoration
from refiner.restoration.methods import METHOD_MEANINGS, RepairPair, Restoration, make_methods
from refiner.restoration.restoration_tables import make_restoration_tables
from training.tables.agent_records import AgentRecord, open_agent_records
from training.tables.result_table import ResultTable


@dataclass(frozen=True, slots=True)
class RestorationOptions:
    """Which images the benchmark is made of.

    Attributes
    ----------
    pairs : int
        Number of simulated pairs, half of them rendered as a generative editor renders.
    height : int
        Height of the images in pixels.
    seed : int
    photos : Path or None
        Folder of photos; None for those that come with packages. Take photos on which no agent was trained.
    """

    pairs: int = 200
    height: int = 384
    seed: int = 0
    photos: Path | None = None

    def list_photos(self) -> tuple[Photo, ...]:
        """The photos to start from."""
        return list_packaged_photos() if self.photos is None else list_folder_photos(self.photos)

    def simulation(self) -> SimulationOptions:
        """The simulation that makes the pairs."""
        return SimulationOptions(
            pairs=self.pairs, height=self.height, seed=self.seed, profile="paper", rendered=0.5, edits_per_source=2
        )


def run_restoration(
    settings: RestorationOptions,
    names: Sequence[str] = tuple(METHOD_MEANINGS),
    *,
    options: RefineOptions | None = None,
    agents: Mapping[str, str] | None = None,
    out: Path | None = None,
    progress: Progress | None = None,
) -> list[ResultTable]:
    """Repair simulated images by each method and compare the results with the hidden clean targets.

    Parameters
    ----------
    settings : RestorationOptions
    names : sequence of str
        Methods, of `METHOD_MEANINGS`.
    options : RefineOptions, optional
        Of the loops.
    agents : mapping from str to str, optional
        Names of the agents by their role.
    out : Path, optional
        Folder for the results of each pair; a later run measures only what is new.
    progress : Progress, optional

    Returns
    -------
    list of ResultTable
        Methods; the gain by flaw type; the gain by turn.

    Raises
    ------
    UserError
        For an unknown method, a folder without photos, or results of other settings in `out`.
    """
    if settings.pairs < 1:
        raise UserError(f"Expected 1 pair or more, but got {settings.pairs}.")
    loop = options or RefineOptions()
    methods = make_methods(names, loop, agents)
    header = _describe_run(settings, loop, agents)
    records = {
        name: open_agent_records({"method": name, **header}, None if out is None else out / "records" / f"{name}.jsonl")
        for name in methods
    }
    photos = settings.list_photos()
    wanted = [f"p{number + 1:05d}" for number in range(settings.pairs)]
    missing = {name: kept.find_missing(wanted) for name, kept in records.items()}
    progress = progress or NullProgress()
    progress.begin("Repairing images", sum(map(len, missing.values())))
    for pair in simulate_pairs(settings.simulation(), photos) if any(missing.values()) else ():
        for name, repair in methods.items():
            if pair.pair_id in missing[name]:
                progress.show_note(name)
                records[name].add([repair_and_measure(pair, repair)])
                progress.advance()
    return make_restoration_tables(records, wanted, header)


def repair_and_measure(pair: KnownPair, repair: RepairPair) -> AgentRecord:
    """Repair one pair and measure it; what fails is a record with the status "error"."""
    record: AgentRecord = {
        "pair_id": pair.pair_id,
        "source_id": pair.source_id,
        "status": "ok",
        "detail": "",
        "rendered": pair.rendering is not None,
        "task": pair.task,
        "flaw_types": sorted({flaw.flaw_type for flaw in pair.flaws}),
    }
    if pair.clean.shape != pair.edited.shape:
        # The canvas was not extended: there is no target of this size.
        return record | {"values": None, "turn_gains": [], "stop": "", "seconds": 0.0}
    begun = time.perf_counter()
    try:
        restored = repair(pair)
    except UserError:
        raise
    except Exception as error:  # a method that fails on a pair is counted, and the others go on
        return record | {"status": "error", "detail": f"{type(error).__name__}: {error}"[:500]}
    seconds = round(time.perf_counter() - begun, 4)
    return record | {"seconds": seconds, "stop": restored.stop, **_measure(pair, restored)}


def _measure(pair: KnownPair, restored: Restoration) -> dict[str, Any]:
    boxes = [flaw.box for flaw in pair.flaws]
    result = measure_restoration(pair.clean, pair.edited, restored.image, boxes, has_flaws=bool(boxes))
    start = compute_psnr(pair.edited, pair.clean)
    gains = [round(compute_psnr(image, pair.clean) - start, 4) for image in restored.by_turn] if boxes else []
    values = result.as_record()
    return {"values": values["values"], "reasons": values["reasons"], "turn_gains": gains}


def _describe_run(
    settings: RestorationOptions, loop: RefineOptions, agents: Mapping[str, str] | None
) -> dict[str, Any]:
    described = {**asdict(settings), "photos": None if settings.photos is None else settings.photos.name}
    return {"settings": described, "loop": loop.as_record(), "agents": dict(agents or {})}
