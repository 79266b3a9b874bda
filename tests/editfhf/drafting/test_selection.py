"""Regions to draft are those of the campaign and of the build, under the same ids."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from editfhf.builder import BuildOptions
from editfhf.chat import Usage
from editfhf.drafting.drafts_file import DraftResult, DraftSource, DraftWriter
from editfhf.drafting.reply import RegionDescription
from editfhf.drafting.selection import MarkedPair, SkippedPairs, resolve_pair_names, select_regions
from mos.errors import UserError
from tests.annotation.campaign.fake_studio import FakeStudio
from tests.annotation.campaign.people_at_work import respond
from tests.annotation.campaign.pilot import ROLES, SIZE, corpus_of, everybody_works, owner, sync
from tests.editfhf.builder import campaign, corpora
from tests.editfhf.builder.building import make, table


def selected(root: Path, options: BuildOptions | None = None) -> tuple[dict[str, MarkedPair], SkippedPairs]:
    skipped = SkippedPairs()
    with select_regions(root, options or BuildOptions(), lambda rejection: None) as found:
        pairs = list(found.iter_pairs(skipped))
        assert list(found.iter_pairs(SkippedPairs())) == pairs
    assert [one.pair.pair_id for one in pairs] == sorted(one.pair.pair_id for one in pairs)
    return {one.pair.pair_id: one for one in pairs}, skipped


@pytest.fixture
def studio() -> FakeStudio:
    return FakeStudio(f"{name}@x.org" for name in ROLES)


class TestCampaign:
    @pytest.fixture
    def corpus(self, tmp_path: Path) -> Path:
        return corpus_of(tmp_path / "corpus", wait_for_drafts=True)

    def test_before_the_expert_has_reviewed_no_pair_is_ready(self, corpus: Path, studio: FakeStudio) -> None:
        for _ in range(2):
            sync(studio, corpus)
            assert selected(corpus) == ({}, SkippedPairs(unfinished=2))
            everybody_works(studio)

    def test_one_pair_may_be_ready_before_another(self, corpus: Path, studio: FakeStudio) -> None:
        for _ in range(2):
            sync(studio, corpus)
            for task in studio.everything():
                if not task["annotations"] and "/p0/" in task["data"]["key"]:
                    studio.submit(task, owner(task), respond(task, SIZE))
        sync(studio, corpus)
        found, skipped = selected(corpus)
        assert found.keys() == {"p0"} and skipped.unfinished == 1

    def test_sync_finds_the_drafts_and_reviewers_see_them(self, corpus: Path, studio: FakeStudio) -> None:
        for _ in range(2):
            sync(studio, corpus)
            everybody_works(studio)
        sync(studio, corpus)
        assert not [key for key in studio.task_keys() if key.startswith("textual/")]
        found, _ = selected(corpus)
        for pair_id, one in found.items():
            (region,) = one.undecided
            said = RegionDescription("face", "severe", f"Draft of {pair_id}.")
            DraftWriter(corpus).write(
                [DraftResult((pair_id, region.region_id), DraftSource("m", "v", "k", 1), said, Usage())]
            )
        assert sync(studio, corpus).created == {"textual": 2}
        seen = [task["data"]["seen"] for task in studio.everything() if task["data"]["key"].startswith("textual/")]
        wanted = [{one.undecided[0].region_id: f"Draft of {pair_id}."} for pair_id, one in found.items()]
        assert sorted(map(str, seen)) == sorted(map(str, wanted))

    def test_regions_of_which_reviewers_spoke_are_marked_so_and_final_texts_are_known(
        self, tmp_path: Path, studio: FakeStudio
    ) -> None:
        corpus = corpus_of(tmp_path / "corpus")
        for _ in range(4):
            sync(studio, corpus)
            everybody_works(studio)
        sync(studio, corpus)
        one = selected(corpus)[0]["p0"]
        assert one.under_review == {one.undecided[0].region_id} and not one.decided
        for _ in range(4):
            everybody_works(studio)
            sync(studio, corpus)
        one = selected(corpus)[0]["p0"]
        (final,) = one.decided.values()
        assert final.rationale == "Text 1 <b>א🦊" and final.region_id == one.undecided[0].region_id


class TestExports:
    @pytest.fixture
    def corpus(self, tmp_path: Path) -> Path:
        return campaign.campaign().write(tmp_path / "corpus")

    @pytest.fixture(autouse=True)
    def _own_cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("EDITFHF_CACHE", str(tmp_path / "cache"))

    @pytest.mark.parametrize("options", [{}, {"regions": {"min_support": 3}}, {"regions": {"iou": 0.99}}])
    def test_regions_are_those_of_the_build(
        self, corpus: Path, tmp_path: Path, options: dict[str, dict[str, float]]
    ) -> None:
        resolved = BuildOptions.model_validate(options)
        make(corpus, tmp_path / "dataset", resolved)
        built = {
            (row["pair_id"], region["region_id"]): region["rationale"]
            for row in table(tmp_path / "dataset")
            for region in [*row["artifact_regions"], *row["failure_regions"]]
        }
        found, _ = selected(corpus, resolved)
        assert built == {
            (pair_id, region.region_id): region.rationale
            for pair_id, one in found.items()
            for region in [*one.undecided, *one.decided.values()]
        }
        assert any(built.values())

    def test_pairs_that_nobody_or_one_person_marked_are_unfinished(self, tmp_path: Path) -> None:
        made = corpora.corpus(sources=3, edits=1, raters=2)
        first, second = (pair["pair_id"] for pair in made.pairs[:2])
        for name, tasks in made.exports.items():
            if name.startswith("regions"):
                tasks[:] = [task for task in tasks if task["data"]["pair_id"] != first]
        for name in sorted(name for name in made.exports if name.startswith("regions"))[1:]:
            made.exports[name] = [task for task in made.exports[name] if task["data"]["pair_id"] != second]
        found, skipped = selected(made.write(tmp_path / "corpus"))
        assert not found.keys() & {first, second} and skipped.unfinished == 2

    def test_a_pair_with_a_broken_picture_is_passed_over(self, tmp_path: Path) -> None:
        made = corpora.corpus(sources=2, edits=1, raters=2)
        made.images[made.pairs[0]["edited"]] = b"no picture"
        found, skipped = selected(made.write(tmp_path / "corpus"))
        assert made.pairs[0]["pair_id"] not in found and skipped.bad_image == 1

    def test_pairs_may_be_drawn_in_one_thread_after_another(self, corpus: Path) -> None:
        with select_regions(corpus, BuildOptions(), lambda rejection: None) as found:
            pairs = iter(found.iter_pairs(SkippedPairs()))
            for _ in range(3):
                with ThreadPoolExecutor(1) as thread:
                    try:
                        thread.submit(next, pairs).result()
                    except sqlite3.ProgrammingError as error:
                        pytest.fail(str(error))


def test_pairs_are_named_one_by_one_or_in_a_file(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "corpus", 3)
    (tmp_path / "ids").write_text("p1\n\np2\n")
    assert resolve_pair_names(corpus, ["p0", f"@{tmp_path / 'ids'}"]) == {"p0", "p1", "p2"}
    with pytest.raises(UserError, match="Did you mean"):
        resolve_pair_names(corpus, ["p00"])
    with pytest.raises(UserError, match="cannot be read"):
        resolve_pair_names(corpus, ["@nowhere"])
