"""The commands as a person runs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from typer.testing import CliRunner

from mos.cli import app
from mos.errors import UserError


class Ran(NamedTuple):
    """status: as the shell sees it; error: the one sentence of a user's mistake."""

    status: int
    out: str
    err: str
    error: str | None


@pytest.fixture
def run() -> Callable[..., Ran]:
    """Run `editfhf mos ARGUMENTS`; anything but a user's mistake is raised."""

    def command(*arguments: object) -> Ran:
        done = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if done.exception is not None and not isinstance(done.exception, SystemExit | UserError):
            raise done.exception
        mistake = str(done.exception) if isinstance(done.exception, UserError) else None
        return Ran(done.exit_code, done.stdout, done.stderr, mistake)

    return command


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Forty items rated by twelve people in two dimensions on 1 to 5; the last one rates at random."""
    random = np.random.default_rng(4)
    lines = ["pair_id,annotator_id,dimension,score,rated_at"]
    for dimension in ("quality", "consistency"):
        truth = random.uniform(1.5, 4.5, 40)
        for rater in range(12):
            noise = random.normal(0, 0.5, 40)
            given = random.uniform(1, 5, 40) if rater == 11 else truth + noise
            for item, score in enumerate(np.clip(np.round(given, 1), 1, 5)):
                time = f"2026-03-01T{rater:02d}:{item:02d}:00Z"
                lines.append(f"p{item:02d},anna{rater:02d},{dimension},{score:g},{time}")
    path = tmp_path / "ratings.csv"
    path.write_text("\n".join(lines) + "\n")
    return path
