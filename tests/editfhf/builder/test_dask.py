"""Shards made on a Dask cluster are the shards made here, also when a machine is lost."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from editfhf import executors
from mos.errors import UserError
from tests.editfhf.builder import building, corpora

distributed = pytest.importorskip("distributed")

pytestmark = [
    pytest.mark.slow,
    # the cluster's own threads and sockets are still closing when a test ends, and a lost worker is told as a warning
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:tornado"),
    pytest.mark.filterwarnings("ignore:Port .* is already in use:UserWarning"),
    pytest.mark.filterwarnings("ignore:Sending large graph:UserWarning"),
]

OPTIONS = {"shards": {"megabytes": 1}, "gallery": 2}


@pytest.fixture(scope="module")
def cluster() -> Iterator[object]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs="ERROR"
    ) as running:
        yield running


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    made = corpora.corpus(sources=14)
    for number, pair in enumerate(made.pairs):
        made.images[pair["edited"]] += random.Random(number).randbytes(600_000)
    return made.write(tmp_path / "corpus")


def test_a_cluster_that_loses_a_worker_writes_the_same_bytes(cluster, corpus: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    dataset = tmp_path / "dataset"
    victim = next(iter(cluster.workers.values())).pid
    killed: list[int] = []

    def kill_at_the_first_shard() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            markers = len(list((dataset / ".editfhf/shards").glob("*.json")))
            if markers:
                os.kill(victim, signal.SIGKILL)
                killed.append(markers)
                return
            time.sleep(0.002)

    watching = threading.Thread(target=kill_at_the_first_shard)
    watching.start()
    summary = building.make(
        corpus, dataset, building.options(**OPTIONS), executor="dask", scheduler=cluster.scheduler_address
    )
    watching.join()
    assert killed and killed[0] < summary.shards_made
    building.make(corpus, tmp_path / "here", building.options(**OPTIONS))
    assert building.differences(building.tree(dataset), building.tree(tmp_path / "here")) == []


def test_the_command_builds_on_a_cluster(cluster, tiny: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    words = ("--executor", "dask", "--scheduler", cluster.scheduler_address, "--quiet", "--json")
    done = building.command("build", tiny, tmp_path / "dataset", *words)
    assert done.returncode == 0, done.stderr
    assert orjson.loads(done.stdout)["shards_made"] > 0
    building.make(tiny, tmp_path / "here")
    assert building.differences(building.tree(tmp_path / "dataset"), building.tree(tmp_path / "here")) == []


def test_work_that_kills_every_worker_is_one_sentence(cluster) -> None:  # type: ignore[no-untyped-def]
    with (
        pytest.raises(UserError, match="lost its workers"),
        executors.open_worker_pool("dask", scheduler=cluster.scheduler_address) as pool,
    ):
        list(pool.run(os._exit, [(1,)]))
    # their nannies are starting others: let them, or they cannot be ended
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=240)


@pytest.mark.parametrize(
    ("scheduler", "said"),
    [
        (None, "needs --scheduler ADDRESS"),
        ("tcp://127.0.0.1:9", "No Dask scheduler answers"),
        ("carrier-pigeon://roof", "No Dask scheduler answers"),
        ("nonsense", "No Dask scheduler answers"),
        ("tcp://", "No Dask scheduler answers"),
    ],
)
def test_a_wrong_address_is_one_sentence(tiny: Path, tmp_path: Path, scheduler: str | None, said: str) -> None:
    words = ["--executor", "dask", *(["--scheduler", scheduler] if scheduler else [])]
    done = building.command("build", tiny, tmp_path / "dataset", "--quiet", *words)
    assert done.returncode == 1, done.stderr
    assert building.is_one_sentence(done.stderr), done.stderr
    assert said in done.stderr
    assert not (tmp_path / "dataset/manifest.json").exists()
