"""A build may be stopped at any moment, in any way: run again, it ends in the same bytes."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import orjson
import pytest

from editfhf.builder import workspace
from editfhf.builder.workspace import BuildWorkspace
from mos.errors import UserError
from tests.editfhf.builder import building, corpora
from tests.warm_commands import WarmCommands, WarmProcess

OPTIONS = {"shards": {"megabytes": 1}, "gallery": 6}

PATIENCE = 300.0
TWO_WORKERS_OF = 3
"""Of so many builds that are killed at something on the disk, one has two workers, which take seconds to start."""

# What is waited for, at most how many of it, and at most how many seconds pass between it and the kill (None: as many
# as the start takes); how many kills.
MOMENTS: dict[tuple[str, int, float | None], int] = {
    ("", 0, None): 4,
    (".editfhf/lock", 1, 0.4): 6,
    (".editfhf/shards/*.json", 10, 0.05): 10,
    (".editfhf/staged/*", 1, 0.3): 6,
    (".editfhf/publish.json", 1, 0.01): 4,
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pairs in about twenty shards."""
    made = corpora.corpus(sources=20)
    for number, pair in enumerate(made.pairs):
        made.images[pair["edited"]] += random.Random(number).randbytes(500_000)
    return made.write(tmp_path_factory.mktemp("faults") / "corpus")


@pytest.fixture(scope="module")
def reference(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    dataset = tmp_path_factory.mktemp("reference") / "dataset"
    assert building.make(corpus, dataset, building.options(**OPTIONS)).shards_made > 10
    return building.tree(dataset)


class Command:
    """`editfhf build` in a process group of its own, with Python started anew or by a process that is there."""

    def __init__(self, corpus: Path, dataset: Path, warm: WarmCommands | None = None, workers: int = 2) -> None:
        config = corpus.parent / "build.yaml"
        config.write_bytes(orjson.dumps(OPTIONS))
        words = ("build", str(corpus), str(dataset), "--config", str(config), "--quiet", "--workers", str(workers))
        self.process: subprocess.Popen[str] | WarmProcess
        if warm is None:
            self.process = subprocess.Popen(
                building.arguments(*words),
                start_new_session=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        else:
            self.process = warm.begin(*words)

    def signal(self, number: int) -> None:
        os.killpg(self.process.pid, number)

    def end(self) -> tuple[int, str]:
        with self.process:
            _, stderr = self.process.communicate(timeout=PATIENCE)
            return self.process.wait(), stderr

    def wait_for(self, dataset: Path, glob: str, at_least: int = 1) -> None:
        """Until so many of this name are there, or the build is over."""
        while self.process.poll() is None and len(found(dataset, glob)) < at_least:
            time.sleep(0.002)


def wait_for_imports(pid: int) -> None:
    """Until a command that was started anew is importing its packages."""
    mapped = Path(f"/proc/{pid}/maps")
    with suppress(OSError):  # it is over
        while "libarrow" not in mapped.read_text():
            time.sleep(0.002)


def found(dataset: Path, glob: str) -> set[str]:
    """The names that match now; none where a running build has just removed the folder."""
    try:
        return {path.name for path in dataset.glob(glob)}
    except FileNotFoundError:
        return set()


def phase(dataset: Path) -> str:
    """How far a build had come when it was stopped, as what lies on the disk tells."""
    area = dataset / ".editfhf"
    if (dataset / "manifest.json").exists():
        return "published"
    if (area / "publish.json").exists():
        return "publishing"
    if (area / "staged").is_dir() and any((area / "staged").iterdir()):
        return "tables and pages"
    if (area / "orders").is_dir() and any((area / "orders").iterdir()):
        return "shards"
    return "reading" if area.exists() else "starting"


def is_complete(dataset: Path) -> bool:
    """Whether every file that the manifest names is there with its digest."""
    tree = building.tree(dataset)
    return all(tree.get(entry["path"]) == entry["sha256"] for entry in building.manifest(dataset)["outputs"])


@pytest.mark.slow
def test_killed_thirty_times_it_ends_in_the_same_bytes(
    corpus: Path,
    reference: dict[str, str],
    commands: WarmCommands,
    tmp_path: Path,
    record_property: pytest.RecordProperty,
) -> None:
    begun = time.monotonic()
    undisturbed = Command(corpus, tmp_path / "undisturbed")
    undisturbed.wait_for(tmp_path / "undisturbed", ".editfhf/lock")
    start = time.monotonic() - begun
    status, stderr = undisturbed.end()
    assert status == 0, stderr
    chance = random.Random(20_260_101)
    met: Counter[str] = Counter()
    # A moment is something on the disk and not a time: it is met on a busy machine as on an idle one.
    moments = [moment for moment, times in MOMENTS.items() for _ in range(times)]
    for number, (awaited, at_least, at_most) in enumerate(moments):
        dataset = tmp_path / f"dataset-{number}"
        if awaited:
            build = Command(corpus, dataset, commands, workers=1 if number % TWO_WORKERS_OF else 2)
            build.wait_for(dataset, awaited, at_least=chance.randint(1, at_least))
        else:
            build = Command(corpus, dataset)
        time.sleep((at_most or start) * chance.random())
        build.signal(signal.SIGKILL)
        build.end()
        met[phase(dataset)] += 1
        assert not (dataset / "manifest.json").exists() or is_complete(dataset)
        building.make(corpus, dataset, building.options(**OPTIONS))
        assert building.differences(building.tree(dataset), reference) == []
        shutil.rmtree(dataset)
    record_property("kills", dict(met))
    assert met["shards"] >= 3, met
    assert len(met) >= 4, met


@pytest.mark.slow
def test_killed_again_and_again_it_gets_on_every_time(
    corpus: Path, reference: dict[str, str], commands: WarmCommands, tmp_path: Path
) -> None:
    """Each run is killed at its third new shard; finished shards are not made again, so it ends."""
    dataset = tmp_path / "dataset"
    finished: set[str] = set()
    for _ in range(12):
        build = Command(corpus, dataset, commands)
        while build.process.poll() is None:
            if len(found(dataset, ".editfhf/shards/*.json") - finished) >= 3:
                break
            time.sleep(0.002)
        build.signal(signal.SIGKILL) if build.process.poll() is None else None
        build.end()
        if (dataset / "manifest.json").exists():
            break
        now = found(dataset, ".editfhf/shards/*.json")
        assert finished <= now
        finished = now
    assert building.differences(building.tree(dataset), reference) == []


class Stopped(BaseException):
    """Stands for the process dying on the spot."""


@pytest.fixture(params=["first", "update"])
def half_way(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Path, Path, pytest.MonkeyPatch]]:
    """A corpus and a dataset that is new, or of an earlier state of the corpus with more shards."""
    made = corpora.corpus(sources=4, edits=1, raters=3)
    root = made.write(tmp_path / "corpus")
    if request.param == "update":
        building.make(root, tmp_path / "dataset")
        lines = (root / "pairs.jsonl").read_bytes().splitlines(keepends=True)
        (root / "pairs.jsonl").write_bytes(b"".join(lines[:2]))
    yield root, tmp_path / "dataset", monkeypatch


@pytest.mark.slow
def test_stopped_between_any_two_steps_of_publishing_it_is_carried_on(
    half_way: tuple[Path, Path, pytest.MonkeyPatch], tmp_path: Path
) -> None:
    corpus, dataset, monkeypatch = half_way
    building.make(corpus, tmp_path / "fresh")
    expected = building.tree(tmp_path / "fresh")
    before = tmp_path / "before"
    if dataset.exists():
        shutil.copytree(dataset, before)
    steps = 0
    while True:
        if dataset.exists():
            shutil.rmtree(dataset)
        if before.exists():
            shutil.copytree(before, dataset)
        with monkeypatch.context() as patch:
            stopped = _stop_after(steps, patch)
            with suppress(Stopped):
                building.make(corpus, dataset, update=True)
        if not stopped:
            break
        assert not (dataset / "manifest.json").exists() or is_complete(dataset)
        building.make(corpus, dataset, update=True)
        assert building.differences(building.tree(dataset), expected) == []
        steps += 1
    assert steps > 20


def _stop_after(steps: int, patch: pytest.MonkeyPatch) -> list[int]:
    """Let the publication make so many changes to the disk, then stop; the list is filled when it was stopped."""
    stopped: list[int] = []
    made = 0
    publishing = False

    def counted(function):  # type: ignore[no-untyped-def]
        def call(*args, **kwargs):  # type: ignore[no-untyped-def]
            nonlocal made
            if publishing:
                if made == steps:
                    stopped.append(made)
                    raise Stopped
                made += 1
            return function(*args, **kwargs)

        return call

    publish = BuildWorkspace.publish

    def published(self, *args):  # type: ignore[no-untyped-def]
        nonlocal publishing
        publishing = True
        publish(self, *args)
        publishing = False

    patch.setattr(BuildWorkspace, "publish", published)
    for name in ("replace", "unlink", "mkdir", "write_bytes"):
        patch.setattr(Path, name, counted(getattr(Path, name)))
    patch.setattr(workspace.shutil, "rmtree", counted(shutil.rmtree))
    return stopped


@pytest.mark.parametrize("glob", ["missing", ".editfhf/lock", ".editfhf/orders/*.json", ".editfhf/shards/*.json"])
def test_interrupted_it_says_so_and_resumes(
    corpus: Path, reference: dict[str, str], commands: WarmCommands, tmp_path: Path, glob: str
) -> None:
    for attempt in range(5):  # on a busy machine a build may be over before the signal is sent
        dataset = tmp_path / f"dataset-{attempt}"
        build = Command(corpus, dataset, None if glob == "missing" else commands)
        if glob == "missing":
            wait_for_imports(build.process.pid)
        else:
            build.wait_for(dataset, glob)
        build.signal(signal.SIGINT)
        status, stderr = build.end()
        if status != 0:
            break
    # A shell shows both as 130. Python dies of the signal itself if it met it inside `exec`, as in making a dataclass.
    assert status in (130, -signal.SIGINT), stderr
    assert "Traceback" not in stderr
    assert stderr.count("editfhf: Interrupted. Run the same command again") == 1
    assert not (dataset / "manifest.json").exists()
    status, stderr = Command(corpus, dataset, commands, workers=1).end()
    assert status == 0, stderr
    assert building.differences(building.tree(dataset), reference) == []


def test_no_worker_outlives_a_build_that_was_killed_alone(corpus: Path, commands: WarmCommands, tmp_path: Path) -> None:
    build = Command(corpus, tmp_path / "dataset", commands)
    build.wait_for(tmp_path / "dataset", ".editfhf/shards/*.json")
    build.process.kill()
    build.process.wait()
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            os.killpg(build.process.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.05)
    else:
        build.signal(signal.SIGKILL)
        pytest.fail("a worker was still there after minutes")
    build.end()


def test_a_worker_that_dies_is_one_sentence(
    corpus: Path, reference: dict[str, str], commands: WarmCommands, tmp_path: Path
) -> None:
    dataset = tmp_path / "dataset"
    build = Command(corpus, dataset, commands)
    build.wait_for(dataset, ".editfhf/shards/*.json")
    for child in _workers(build.process.pid):
        os.kill(child, signal.SIGKILL)
    status, stderr = build.end()
    assert status == 1
    assert building.is_one_sentence(stderr), stderr
    assert "A worker process died" in stderr
    building.make(corpus, dataset, building.options(**OPTIONS))
    assert building.differences(building.tree(dataset), reference) == []


def _workers(parent: int) -> list[int]:
    """Processes of the group whose parent is the fork server, not the build itself."""
    listed = subprocess.run(["ps", "-o", "pid=,ppid=", "-g", str(parent)], capture_output=True, text=True).stdout
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    return [pid for pid, ppid in pairs if pid != parent and ppid != parent]


def test_a_second_build_of_the_same_folder_is_refused(corpus: Path, commands: WarmCommands, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    build = Command(corpus, dataset, commands)
    build.wait_for(dataset, ".editfhf/orders/*.json")
    with pytest.raises(UserError, match="Another build is at work"):
        building.make(corpus, dataset, building.options(**OPTIONS))
    status, stderr = build.end()
    assert status == 0, stderr


def test_a_lock_that_was_left_behind_keeps_nobody_out(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "dataset/.editfhf").mkdir(parents=True)
    (tmp_path / "dataset/.editfhf/lock").write_text("")
    building.make(tiny, tmp_path / "dataset")


def test_what_lies_half_written_in_the_working_folder_is_made_again(
    corpus: Path, reference: dict[str, str], commands: WarmCommands, tmp_path: Path
) -> None:
    """A power cut may leave files that are shorter than they were said to be."""
    dataset = tmp_path / "dataset"
    build = Command(corpus, dataset, commands, workers=1)
    build.wait_for(dataset, ".editfhf/shards/*.json", at_least=6)
    build.signal(signal.SIGKILL)
    build.end()
    shards = sorted((dataset / ".editfhf/shards").glob("*.rows.parquet"))
    markers = sorted((dataset / ".editfhf/shards").glob("*.json"))
    for path in shards[:2]:
        os.truncate(path, path.stat().st_size // 2)
    markers[2].write_text("{")
    (dataset / ".editfhf/spool.sqlite").write_bytes(b"no database")
    (dataset / ".editfhf/rejections.sqlite").write_bytes(b"")
    building.make(corpus, dataset, building.options(**OPTIONS))
    assert building.differences(building.tree(dataset), reference) == []
