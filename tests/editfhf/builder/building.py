"""Running builds in tests, in this process or as the command, and looking at what they left."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from editfhf.builder import BuildOptions, BuildRunOptions, BuildSummary, build_dataset, read_build_options
from tests.warm_commands import WarmCommands, shared_commands

AREA = ".editfhf"


def make(corpus: Path, dataset: Path, options: BuildOptions | None = None, **running: Any) -> BuildSummary:
    """A build in this process, with one worker unless told otherwise, that remembers no picture."""
    return build_dataset(corpus, dataset, options, BuildRunOptions(**{"workers": 1, "cache": None} | running))


def options(**sections: Any) -> BuildOptions:
    """Options by section: `options(split={"seed": 3})`."""
    return BuildOptions.model_validate(sections) if sections else read_build_options(None)


def arguments(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "editfhf.cli", *map(str, words)]


def warm_commands() -> WarmCommands:
    """`editfhf build` without the seconds in which Python imports it."""
    return shared_commands(
        "editfhf.builder.pipeline",
        "editfhf.commands.build",
        "editfhf.commands.build_output",
        "editfhf.api",
        "mos.plots.results",
        "mos.raters.report",
        "mos.report.page",
        "rich.table",
    )


def command(*words: str | Path, timeout: float = 300, **environment: str) -> subprocess.CompletedProcess[str]:
    """`editfhf build ...` in a process of its own, whose Python is started anew where the environment is another.

    It has one worker unless told otherwise: several take seconds to start.
    """
    if not {"--workers", "--executor"} & set(words):
        words = (*words, "--workers", "1")
    if not environment:
        return warm_commands().run(*words, timeout=timeout)
    return subprocess.run(
        arguments(*words), capture_output=True, text=True, timeout=timeout, env={**os.environ, **environment}
    )


def tree(dataset: Path) -> dict[str, str]:
    """Digest of every file by its name; folders without files count as names too."""
    found = {}
    for path in sorted(dataset.rglob("*")):
        name = path.relative_to(dataset).as_posix()
        found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
    return found


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Names that are not the same in two trees; empty when the trees are equal."""
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def manifest(dataset: Path) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads((dataset / "manifest.json").read_bytes())
    return found


def rejected(dataset: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in (dataset / "rejected.jsonl").read_bytes().splitlines()]


def reasons(dataset: Path) -> Counter[tuple[str, str]]:
    """How often each (what, reason) was set aside."""
    return Counter((line["what"], line["reason"]) for line in rejected(dataset))


def table(dataset: Path, config: str = "default") -> list[dict[str, Any]]:
    """All rows of one config, shard after shard."""
    folder = "data" if config == "default" else config
    tables = [pq.read_table(path) for path in sorted((dataset / folder).glob("*.parquet"))]
    rows: list[dict[str, Any]] = pa.concat_tables(tables).to_pylist()
    return rows


def is_one_sentence(stderr: str) -> bool:
    """One line for a person, and no traceback."""
    lines = [line for line in stderr.splitlines() if line.startswith("editfhf: ")]
    return len(lines) == 1 and "Traceback" not in stderr and "Error" not in lines[0].split(":", 1)[0]
