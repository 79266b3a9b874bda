"""Kills, hostile files and lying editors: nothing is lost or made up, and no harm is done."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotation.corpus import Corpus
from editfhf.collect.edit import collect_edits
from editfhf.collect.folder import lock_collection, read_counts, read_table
from editfhf.collect.quality import QualityLimits
from editfhf.collect.retract import retract_sources
from editfhf.collect.sources import collect_sources
from editfhf.editors.protocol import EditRecord, EditRequest, EditResult
from mos.console import NullProgress
from mos.errors import UserError
from tests.editfhf.collect.photos import MODEL, serve_vlm, write_photos
from tests.editfhf.collect.test_collect_end_to_end import SCORER, call

ROOT = Path(__file__).parents[3]


def read_all(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_plan(folder: Path, url: str) -> Path:
    folder.mkdir()
    plan = folder / "collect.yaml"
    plan.write_text(
        f"collection: c\ncorpus: corpus\nsources: [../photos/list.csv]\nmodel: {MODEL}\nbase_url: {url}\n"
        f"per_source: 2\neditors: [denoise, deblur]\nscorer: '{SCORER}'\ntop: 1\n"
    )
    return plan


@pytest.mark.slow
def test_kills_at_random_moments_change_no_byte_of_the_corpus(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos")
    kills, draw = 0, random.Random(14)
    with serve_vlm() as vlm:
        call("run", write_plan(tmp_path / "calm", vlm.url), "-q")
        assert vlm.answered == 4
        plan = write_plan(tmp_path / "killed", vlm.url)
        command = [sys.executable, "-m", "editfhf.cli", "collect", "run", str(plan), "-q"]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENAI_API_KEY": "key"}
        for _ in range(5):
            process = subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.DEVNULL)
            try:
                process.wait(draw.uniform(0.5, 3.0))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
            if (tmp_path / "killed" / "corpus").exists():
                break
        if not (tmp_path / "killed" / "corpus").exists():
            call("run", plan, "-q")
        # A kill loses at most the replies of the requests in flight; what was stored is not asked again.
        assert kills >= 1
        assert 8 <= vlm.answered <= 8 + 4 * kills
    assert read_all(tmp_path / "killed" / "corpus") == read_all(tmp_path / "calm" / "corpus")


def test_a_list_cannot_read_files_outside_of_its_folder(tmp_path: Path) -> None:
    Image.new("RGB", (99, 99)).save(tmp_path / "secret.png")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "list.csv").write_text("file,licence\n../secret.png,CC0\n/etc/passwd,CC0\n\x07.png,CC0\n")
    counts = collect_sources(tmp_path / "c", [tmp_path / "photos" / "list.csv"], (), QualityLimits(), NullProgress())
    assert counts == {"in": 3, "out": 0, "rejected_bad_image": 3}


def test_bad_photos_and_other_licences_are_left_out_with_their_reasons(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    write_photos(folder, 1)
    noise = np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8)
    Image.fromarray(noise).save(folder / "noise.png")
    Image.fromarray(noise).save(folder / "again.jpg", quality=95)
    Image.fromarray(noise // 30).save(folder / "dark.png")
    Image.fromarray(np.tile(noise[:, :20], (1, 1, 1))).save(folder / "thin.png")
    Image.new("RGB", (90, 90), (120, 120, 120)).save(folder / "flat.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno image")
    names = ("noise.png", "again.jpg", "dark.png", "thin.png", "flat.png", "broken.png")
    rows = "".join(f"{name},CC0\n" for name in names) + "noise.png,all rights reserved\n"
    (folder / "list.csv").write_text("file,licence\n" + rows)
    collect_sources(tmp_path / "c", [folder / "list.csv"], ["cc0"], QualityLimits(), NullProgress())
    reasons = {row["item"]: row["reason"] for row in read_table(tmp_path / "c", "rejected.jsonl", "sources")}
    assert reasons == {
        "photos/again.jpg": "near_duplicate",
        "photos/dark.png": "dark",
        "photos/thin.png": "too_small",
        "photos/flat.png": "low_information",
        "photos/broken.png": "bad_image",
        "photos/noise.png": "licence",
    }


class LyingEditor:
    """Returns an image of a size of its choice, and counts how often it is asked."""

    name = "denoise"

    def __init__(self, size: tuple[int, int]) -> None:
        self.size, self.asked = size, 0

    def edit(self, request: EditRequest) -> EditResult:
        self.asked += 1
        return EditResult(np.zeros((*self.size, 3), np.uint8), EditRecord("denoise", "1", 0, {}, 0.1))


@pytest.mark.parametrize(("size", "status"), [((30, 600), "rejected_error"), ((0, 0), "rejected_error")])
def test_a_result_of_another_shape_is_an_error_and_is_not_made_again(
    tmp_path: Path, size: tuple[int, int], status: str
) -> None:
    call("sources", tmp_path / "c", write_photos(tmp_path / "photos", 1), "-q")
    with serve_vlm() as vlm:
        call("prompts", tmp_path / "c", "--model", MODEL, "--base-url", vlm.url, "--per-source", 1, "-q")
    editor = LyingEditor(size)
    for _ in range(2):
        collect_edits(tmp_path / "c", ["denoise"], lambda name: editor, NullProgress())
    assert editor.asked == 1
    assert read_counts(tmp_path / "c")["edit"] == {"in": 1, "out": 0, status: 1}


def test_a_judge_scores_and_two_processes_do_not_share_a_collection(tmp_path: Path) -> None:
    with serve_vlm() as vlm:
        call("sources", tmp_path / "c", write_photos(tmp_path / "photos", 1), "-q")
        call("prompts", tmp_path / "c", "--model", MODEL, "--base-url", vlm.url, "--per-source", 1, "-q")
        call("edit", tmp_path / "c", "--editor", "denoise", "-q")
        for _ in range(2):
            call("score", tmp_path / "c", "--judge", MODEL, "--base-url", vlm.url, "-q")
        assert vlm.answered == 2
    assert {row["scores"]["perceptual_quality"] for row in read_table(tmp_path / "c", "scores.jsonl", "score")} == {70}
    with lock_collection(tmp_path / "c"), pytest.raises(UserError, match="Another process"):
        call("score", tmp_path / "c", "--scorer", SCORER, "-q")


def test_a_retracted_source_leaves_nothing_but_a_receipt(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", 2)
    with serve_vlm() as vlm:
        call("run", write_plan(tmp_path / "plan", vlm.url), "-q")
    root = tmp_path / "plan" / "corpus"
    pairs = list(Corpus.open(root).pairs(print))
    (root / "annotations").mkdir()
    rows = "".join(f"{pair.pair_id},r1,perceptual_quality,3\n" for pair in pairs)
    (root / "annotations" / "ratings.csv").write_text("pair_id,annotator_id,dimension,score\n" + rows)
    gone = pairs[0].source_id
    before = read_all(root)
    receipt = retract_sources(root, [gone])
    assert {pair.source_id for pair in Corpus.open(root).pairs(print)} == {pairs[-1].source_id}
    after = read_all(root)
    receipts = after.pop("retractions.jsonl")
    assert set(before) - set(after) == set(receipt["images"])
    assert all(gone.encode() not in content for content in after.values() if not content.startswith(b"\x89PNG"))
    assert gone.encode() in receipts
    with pytest.raises(UserError, match="no source"):
        retract_sources(root, [gone])
