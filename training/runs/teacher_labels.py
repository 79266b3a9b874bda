"""Label pairs by agents: what a small network learns of a big one, on pairs that no person saw."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from annotation.records import DIMENSIONS, KINDS
from editfhf.saliency import encode_saliency, quantise_saliency
from mos.console import Progress
from mos.errors import UserError
from mos.rejections import Rejection
from training.agents.protocols import Evaluation, Perception
from training.agents.results import AgentFailure
from training.samples.pair_sample import IMAGE_COLUMNS, decode_row, require_columns


def label_by_teacher(
    rows: Any,
    perception: Perception,
    evaluation: Evaluation,
    folder: Path,
    progress: Progress,
    reject: Callable[[Rejection], None],
) -> Any:
    """Give the pairs of a dataset the maps and scores of agents.

    Parameters
    ----------
    rows : datasets.Dataset
        A split of the table "default"; its own maps, regions and scores are not used.
    perception, evaluation : agent
    folder : Path
        For the labelled pairs, about as large as the split; another run with the same agents and pairs uses them again.
    progress : Progress
    reject : callable
        Receives each pair about which an agent has no answer; it is left out.

    Returns
    -------
    datasets.Dataset
        With the columns of `rows`. There are no regions, whose flaw types these agents do not give; a score without
        a value is null.

    Raises
    ------
    UserError
        If no pair could be labelled.
    """
    import datasets
    from datasets.arrow_writer import ArrowWriter

    require_columns(rows.column_names)
    path = folder / f"{_digest_labels(rows, perception, evaluation)[:16]}.arrow"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        for column in IMAGE_COLUMNS:
            rows = rows.cast_column(column, datasets.Image(decode=False))
        features = rows.features | {name: datasets.Value("float32") for name in DIMENSIONS}
        part = path.with_suffix(".part")
        count = 0
        progress.begin("Asking the teacher", len(rows))
        with ArrowWriter(path=str(part), features=datasets.Features(features)) as writer:
            for place, row in enumerate(rows):
                labelled = _label_row(place, row, perception, evaluation, reject)
                if labelled is not None:
                    writer.write(labelled)
                    count += 1
                progress.advance()
            if not count:
                raise UserError(f"The teacher {perception.identity} has no answer about any of {len(rows)} pairs.")
            writer.finalize()
        part.replace(path)
    found = datasets.Dataset.from_file(str(path))
    found._fingerprint = path.stem  # it names the content, so that features are computed once
    return found


def _label_row(
    place: int,
    row: dict[str, Any],
    perception: Perception,
    evaluation: Evaluation,
    reject: Callable[[Rejection], None],
) -> dict[str, Any] | None:
    try:
        sample = decode_row(row)
        maps = perception.perceive(sample.source, sample.edited, sample.instruction)
        scores = evaluation.evaluate(sample.source, sample.edited, sample.instruction)
    except (UserError, AgentFailure) as error:
        reject(Rejection("pair", "", place, "no_label", str(error), pair_id=row.get("pair_id")))
        return None
    labels: dict[str, Any] = {}
    for kind in KINDS:
        png = encode_saliency(quantise_saliency(maps.by_kind(kind)))
        labels |= {f"{kind}_saliency": {"bytes": png, "path": None}, f"{kind}_regions": []}
    return row | labels | {score.dimension: score.value for score in scores}


def _digest_labels(rows: Any, perception: Perception, evaluation: Evaluation) -> str:
    digest = hashlib.sha256(f"{perception.identity} {evaluation.identity} {rows._fingerprint}".encode())
    for agent in (perception.identity, evaluation.identity):
        digest.update(agent.digest.encode())
    digest.update("\n".join(rows["pair_id"]).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
