"""`editfhf train levels`: put the level scores of a served model on the MOS scale."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train_level_calibration(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Dataset of `editfhf build`.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="File for the calibration.")],
    model: Annotated[str, typer.Option("--model", help="Name of the model on the server.")],
    folder: Annotated[Path, typer.Option("--folder", help="Folder of answers, ledger and budget.")],
    base_url: Annotated[str | None, typer.Option("--base-url", help="OpenAI-compatible server.")] = None,
    key_file: Annotated[Path | None, typer.Option("--key-file", help="File of mode 600 with its API key.")] = None,
    split: Annotated[str, typer.Option("--split", help="Split to learn from.")] = "validation",
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most N pairs.")] = None,
    max_requests: Annotated[int | None, typer.Option("--max-requests", min=1, help="Budget of the folder.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Fit the monotone maps from expected levels to mean opinion scores that the agent served-levels needs.

    Asks the server once for each pair and dimension; answers are kept, and a second run pays nothing again.

    Examples:

        editfhf train levels DATASET --out levels.json --model qwen --folder answers --base-url http://127.0.0.1:8000/v1
    """
    from itertools import islice

    import editfhf
    from mos.console import print_line, show_progress
    from mos.errors import UserError
    from training.samples.read_samples import read_samples
    from training.served.level_evaluation import calibrate_levels
    from training.served.server import ModelServer, ServedOptions

    if out.exists() and not overwrite:
        raise UserError(f"{out} is there already: name another file, or add --overwrite.")
    tables = editfhf.load(dataset)
    if split not in tables:
        raise UserError(f"{dataset} has no split {split!r}, only {', '.join(sorted(tables))}.")
    rows = tables[split]
    server = ModelServer(
        ServedOptions(model=model, folder=folder, base_url=base_url, key_file=key_file, max_requests=max_requests)
    )
    try:
        with show_progress(quiet) as progress:
            progress.begin("Pairs", min(len(rows), limit or len(rows)))
            calibration = calibrate_levels(server, islice(read_samples(rows), limit), progress)
    finally:
        server.close()
    calibration.save(out)
    for name, curve in calibration.maps.items():
        print_line(f"{name}: {curve.pairs} pairs, sd {curve.sd:.1f} points")
    print_line(f"Written to {out}")
