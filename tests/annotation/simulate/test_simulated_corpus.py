"""A simulated corpus is read by the readers of real ones, and its truth can be found again."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np

from annotation.consensus import PairConsensus, resolve_regions
from annotation.corpus import Corpus
from annotation.images import decode_image
from annotation.records import DIMENSIONS, KINDS, Box, PairSubmissions, Rejection
from annotation.regions import accepted_regions
from annotation.rules import AnnotationRules
from annotation.taxonomy import list_flaw_types, load_edit_tasks


def _resolved(corpus, rejected: list[Rejection]) -> dict[str, PairConsensus]:
    def of(records):
        found = defaultdict(list)
        for record in records:
            found[record.pair_id].append(record)
        return found

    regions, expert, texts, flags = map(of, (corpus.regions, corpus.expert, corpus.rationales, corpus.flags))
    return {
        key: resolve_regions(
            key,
            PairSubmissions(regions[key], expert[key], texts[key], flags[key]),
            AnnotationRules(),
            rejected.append,
        )
        for key in corpus.truth
    }


def test_nothing_in_it_is_rejected_by_the_readers(corpus):
    assert corpus.rejected == []


def test_it_says_that_it_is_simulated_and_whose_the_photos_are(corpus):
    assert "SIMULATED" in Corpus.open(corpus.root).meta.description
    licences = {pair.licence for pair in corpus.pairs}
    assert licences <= {"Public domain", "CC0-1.0", "CC-BY-2.0"}
    attributed = [pair.origin for pair in corpus.pairs if pair.licence == "CC-BY-2.0"]
    assert attributed
    assert all("flickr.com/photos/" in origin for origin in attributed)


def test_every_pair_has_both_pictures_at_the_size_in_the_truth(corpus):
    for pair in corpus.pairs:
        truth = corpus.truth[pair.pair_id]
        assert decode_image((corpus.root / pair.edited).read_bytes()).shape == (truth["height"], truth["width"], 3)
        assert decode_image((corpus.root / pair.source).read_bytes()).shape[0] == truth["height"] == 96


def test_it_covers_at_least_twenty_tasks_and_every_editor(corpus):
    assert len({pair.task for pair in corpus.pairs}) >= 20
    assert {pair.task for pair in corpus.pairs} <= set(load_edit_tasks())
    assert len({pair.editor for pair in corpus.pairs}) >= 12


def test_every_flaw_type_but_other_is_injected(corpus):
    seen = {(flaw["kind"], flaw["flaw_type"]) for row in corpus.truth.values() for flaw in row["regions"]}
    assert seen == {(kind, name) for kind in KINDS for name in list_flaw_types(kind) if name != "other"}


def test_true_regions_are_well_formed_and_told_in_15_to_40_words(corpus):
    for row in corpus.truth.values():
        for flaw in row["regions"]:
            box = Box(*flaw["box"])
            assert 0 <= box.x0 < box.x1 <= row["width"]
            assert 0 <= box.y0 < box.y1 <= row["height"]
            assert 1 <= len(flaw["disks"]) <= 4
            assert all(box.x0 <= x < box.x1 and box.y0 <= y < box.y1 for x, y in flaw["disks"])
            assert 15 <= len(flaw["rationale"].split()) <= 40, flaw["rationale"]


def test_true_regions_of_one_kind_hardly_overlap(corpus):
    for row in corpus.truth.values():
        for i, one in enumerate(row["regions"]):
            for other in row["regions"][:i]:
                if one["kind"] == other["kind"]:
                    assert Box(*one["box"]).iou(Box(*other["box"])) < 0.2


def test_at_least_two_annotators_mark_every_flaw(corpus):
    found: Counter[tuple[str, int]] = Counter()
    for annotation in corpus.regions:
        for i, flaw in enumerate(corpus.truth[annotation.pair_id]["regions"]):
            box = Box(*flaw["box"])
            found[annotation.pair_id, i] += any(
                mark.kind == flaw["kind"] and mark.box.iou(box) >= 0.5 for mark in annotation.marks
            )
    for pair_id, row in corpus.truth.items():
        for i, flaw in enumerate(row["regions"]):
            assert found[pair_id, i] == flaw["found_by"] >= 2


def test_some_marks_are_missed_some_are_spurious_and_spurious_ones_never_coincide(corpus):
    missed = sum(flaw["found_by"] == 2 for row in corpus.truth.values() for flaw in row["regions"])
    assert missed > 0
    spurious = defaultdict(list)
    for annotation in corpus.regions:
        spurious[annotation.pair_id] += [mark.box for mark in annotation.marks if mark.mark_id.endswith("-x")]
    assert sum(map(len, spurious.values())) > 0
    for boxes in spurious.values():
        assert all(one.iou(other) == 0 for i, one in enumerate(boxes) for other in boxes[:i])


def test_consensus_finds_exactly_the_true_regions(corpus):
    rejected: list[Rejection] = []
    for pair_id, outcome in _resolved(corpus, rejected).items():
        truth = corpus.truth[pair_id]["regions"]
        assert {region.region_id for region in outcome.regions} == {flaw["region_id"] for flaw in truth}
        by_id = {region.region_id: region for region in outcome.regions}
        assert all(by_id[flaw["region_id"]].box.iou(Box(*flaw["box"])) >= 0.5 for flaw in truth)
    assert {rejection.reason for rejection in rejected} <= {"flagged", "not_final"}


def test_accepted_regions_of_the_folder_are_those_of_its_records(corpus):
    rejected: list[Rejection] = []
    records = _resolved(corpus, rejected)
    again: list[Rejection] = []
    folder = {pair.pair_id: outcome for pair, outcome in accepted_regions(Corpus.open(corpus.root), None, again.append)}
    assert folder == records
    assert again == rejected


def test_unfounded_regions_are_flagged_away_and_true_ones_never(corpus):
    unfounded = [region for row in corpus.truth.values() for region in row["unfounded"]]
    assert unfounded
    assert all(region["flags"] > 3 for region in unfounded)
    assert all(flaw["flags"] <= 3 for row in corpus.truth.values() for flaw in row["regions"])
    assert any(flaw["flags"] for row in corpus.truth.values() for flaw in row["regions"])
    counted = Counter((flag.pair_id, flag.region_id) for flag in corpus.flags)
    for pair_id, row in corpus.truth.items():
        for region in row["unfounded"] + row["regions"]:
            assert counted[pair_id, region["region_id"]] == region["flags"]


def test_final_texts_are_the_true_ones_and_take_several_rounds_sometimes(corpus):
    outcomes = _resolved(corpus, [])
    for pair_id, row in corpus.truth.items():
        texts = {region.region_id: region.rationale for region in outcomes[pair_id].regions}
        for flaw in row["regions"]:
            text = texts[flaw["region_id"]]
            assert (text is not None) == row["rationales_final"]
            assert text is None or text.startswith(flaw["rationale"])
    assert {row["rationales_final"] for row in corpus.truth.values()} == {True, False}
    rounds = Counter((one.pair_id, one.region_id) for one in corpus.rationales)
    assert set(rounds.values()) >= {3, 4, 5}


def test_ratings_are_on_the_scale_and_a_few_are_missing(corpus):
    scores = np.array([rating.score for rating in corpus.ratings])
    assert scores.min() >= 1
    assert scores.max() <= 5
    assert np.allclose(scores * 100, np.rint(scores * 100))
    full = len(corpus.pairs) * 15 * len(DIMENSIONS)
    assert 0.95 * full < len(scores) < full


def test_honest_raters_follow_the_true_quality_and_the_careless_one_does_not(corpus):
    scores = defaultdict(list)
    for rating in corpus.ratings:
        scores[rating.annotator_id].append((rating.score, corpus.truth[rating.pair_id][rating.dimension]))
    assert set(scores) == set(corpus.raters)
    follows = {rater: np.corrcoef(np.array(values).T)[0, 1] for rater, values in scores.items()}
    careless = {rater for rater, row in corpus.raters.items() if row["careless"]}
    assert len(careless) == 1
    assert all((follows[rater] < 0.3) == (rater in careless) for rater in scores)
    assert all(follows[rater] > 0.6 for rater in scores if rater not in careless)


def test_dimensions_of_quality_are_related_as_published_for_a_real_set(corpus):
    """EBench-18K: quality with consistency 0.59, quality with instruction 0.27, consistency with instruction 0.07."""
    quality = np.array([[row[dimension] for dimension in DIMENSIONS] for row in corpus.truth.values()])
    table = np.corrcoef(quality.T)
    assert table[0, 2] > 0.4
    assert table[0, 2] > max(table[0, 1], table[1, 2]) > -0.1
    assert quality.min() >= 1
    assert quality.max() <= 5


def test_pictures_show_their_artifacts_and_leave_alone_what_was_not_executed(corpus):
    shown = untouched = 0
    for pair in corpus.pairs:
        edited = decode_image((corpus.root / pair.edited).read_bytes()).astype(int)
        source = decode_image((corpus.root / pair.source).read_bytes()).astype(int)
        if source.shape != edited.shape:
            continue
        for flaw in corpus.truth[pair.pair_id]["regions"]:
            x0, y0, x1, y1 = (int(edge) for edge in flaw["box"])
            difference = np.abs(edited - source)[y0:y1, x0:x1].max(axis=2)
            if flaw["kind"] == "artifact":
                assert (difference >= 10).mean() > 0.02, flaw
                shown += 1
            elif flaw["flaw_type"] == "not_executed":
                assert difference.max() == 0
                untouched += 1
    assert shown > 100
    assert untouched > 5
