"""The accepted regions of a corpus folder: its files, its rules, and the public names of the package."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import annotation
from annotation.records import Rejection
from annotation.rules import AnnotationRules
from tests.annotation.records_as_export import regional_task

BOX = annotation.Box(16.0, 12.0, 64.0, 60.0)
SIZE = (160, 120)


def drawn(annotator_id: str, pair_id: str = "p1") -> annotation.RegionalAnnotation:
    mark = annotation.Mark(f"m-{annotator_id}", "artifact", BOX, (annotation.Disk(30.0, 30.0),))
    return annotation.RegionalAnnotation(
        pair_id, annotator_id, (mark,), "2026-01-05T00:00:00Z", annotation.Place("x.json", 1)
    )


@pytest.fixture
def corpus(tmp_path: Path) -> annotation.Corpus:
    """Two pairs: two annotators agree on a region of the first, the second has no image."""
    (tmp_path / "corpus.yaml").write_text("name: small\n")
    line = {"source_id": "s", "source": "s.png", "instruction": "Make it snow.", "task": "scene_weather", "editor": "e"}
    pairs = [line | {"pair_id": name, "edited": f"{name}.png"} for name in ("p1", "p2")]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    Image.new("RGB", SIZE).save(tmp_path / "p1.png")
    (tmp_path / "annotations").mkdir()
    tasks = [regional_task("p1", [drawn(name)], SIZE) for name in ("ann", "bob")]
    write_export(tmp_path, "regions", [*tasks, regional_task("p3", [drawn("ann", "p3")], SIZE)])
    return annotation.Corpus.open(tmp_path)


def write_export(root: Path, name: str, tasks: list[dict[str, Any]]) -> None:
    (root / f"annotations/{name}.json").write_text(json.dumps(tasks))


def resolve(
    corpus: annotation.Corpus, rules: AnnotationRules | None = None
) -> tuple[dict[str, annotation.PairConsensus], list[Rejection]]:
    rejected: list[Rejection] = []
    consensus = {pair.pair_id: outcome for pair, outcome in annotation.accepted_regions(corpus, rules, rejected.append)}
    return consensus, rejected


def test_regions_of_every_pair_with_an_image(corpus: annotation.Corpus) -> None:
    consensus, rejected = resolve(corpus)
    assert list(consensus) == ["p1"]
    [region] = consensus["p1"].regions
    assert (region.box, region.annotators) == (BOX, ("ann", "bob"))
    assert [(one.what, one.reason, one.pair_id) for one in rejected] == [
        ("annotation", "unknown_pair", "p3"),
        ("image", "missing_file", "p2"),
    ]


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ({"pair_id": "p1", "id": 3, "box": [{"x": 1}], "annotator": 1, "annotation_id": 2}, "json_min_export"),
        (
            {"id": 3, "completed_by": {"id": 1}, "result": [], "task": {"data": {"pair_id": "p1"}}},
            "target_storage_export",
        ),
        ({"id": 3, "data": {"pair_id": "p1"}, "completions": []}, "old_export"),
        ({"id": 3, "data": {"pair_id": "p1"}, "completions": [], "annotations": []}, None),
        ({"id": 3, "data": {}}, "no_pair_id"),
    ],
)
def test_another_export_of_label_studio_is_named(
    corpus: annotation.Corpus, task: dict[str, Any], reason: str | None
) -> None:
    write_export(corpus.root, "regions-more", [task])
    found = [one for one in resolve(corpus)[1] if one.file == "annotations/regions-more.json"]
    assert [one.reason for one in found] == ([reason] if reason else [])
    assert all(one.row == 1 for one in found)


def test_an_export_in_which_no_task_names_a_pair_is_not_read_to_its_end(corpus: annotation.Corpus) -> None:
    last = regional_task("p1", [drawn("cy")], SIZE)
    write_export(corpus.root, "regions-more", [*[{"id": number} for number in range(1_500)], last])
    write_export(corpus.root, "regions-some", [last, *[{"id": number} for number in range(1_500)], last])
    found = Counter((one.file, one.reason) for one in resolve(corpus)[1] if one.what != "image")
    assert found["annotations/regions-more.json", "no_pair_id"] == 1_000
    assert found["annotations/regions-more.json", "not_an_export"] == 1
    assert found["annotations/regions-some.json", "no_pair_id"] == 1_500
    assert found["annotations/regions-some.json", "not_an_export"] == 0


def test_rejections_need_no_receiver(corpus: annotation.Corpus) -> None:
    assert len(list(annotation.accepted_regions(corpus))) == 1


def test_rules_are_those_of_the_corpus_unless_others_are_given(corpus: annotation.Corpus) -> None:
    (corpus.root / "annotations/rules.yaml").write_text("min_support: 3\n")
    assert resolve(corpus)[0]["p1"].regions == ()
    assert len(resolve(corpus, AnnotationRules())[0]["p1"].regions) == 1


def test_flags_of_a_table_discard_a_region(corpus: annotation.Corpus) -> None:
    [region] = resolve(corpus)[0]["p1"].regions
    rows = [f"p1,{region.region_id},rater{number}" for number in range(4)]
    (corpus.root / "annotations/flags.csv").write_text("\n".join(["pair_id,region_id,annotator_id", *rows, ",,"]))
    consensus, rejected = resolve(corpus)
    assert consensus["p1"].regions == ()
    assert {"flagged", "missing_value"} <= {one.reason for one in rejected}


def test_public_names_are_there_and_cost_nothing_to_import() -> None:
    assert all(getattr(annotation, name) is not None for name in annotation.__all__)
    assert set(annotation.__all__) <= set(dir(annotation))
    with pytest.raises(AttributeError, match="no attribute 'regionz'"):
        _ = annotation.regionz
    code = (
        "import sys, annotation; print(sum(name.split('.')[0] in ('numpy', 'pydantic', 'PIL') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
