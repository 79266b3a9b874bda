"""A campaign folder of an earlier version, with its rules at the top level of campaign.yaml, still opens."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from annotation.campaign.options import CAMPAIGN_FOLDER, read_campaign_options
from annotation.campaign.read_record import read_campaign_record
from annotation.campaign.state_files import RejectionsFile, TaskTimesFile, lock_campaign
from annotation.campaign.status.collect_status import read_campaign_status
from annotation.campaign.write_exports import EXPORT_DIGESTS_FILE, export_campaign
from annotation.rules import AnnotationRules
from mos.errors import UserError
from tests.annotation.campaign.fake_studio import FakeStudio
from tests.annotation.campaign.pilot import ROLES, sync, to_the_end

HERE = Path(__file__).parent
PAIRS_DONE = 1


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A corpus with one finished pair, two hidden gold pairs, a redo, rejections and exports of that version."""
    return Path(shutil.copytree(HERE / "old_campaign", tmp_path / "corpus"))


def test_rules_at_the_top_level_are_the_rules(corpus: Path) -> None:
    assert "rules" not in (corpus / CAMPAIGN_FOLDER / "campaign.yaml").read_text("utf-8")
    assert read_campaign_options(corpus).rules == AnnotationRules(min_support=1, reviewers=2, scale=(1.0, 7.0))


def test_the_status_is_the_one_of_that_version(corpus: Path) -> None:
    status = read_campaign_status(corpus, datetime(2026, 1, 2, tzinfo=UTC)).as_dict()
    assert json.loads(json.dumps(status)) == json.loads((HERE / "old_status.json").read_text("utf-8"))


def test_the_exports_have_the_same_bytes_and_the_rules_come_with_them(corpus: Path) -> None:
    digests = json.loads((corpus / CAMPAIGN_FOLDER / EXPORT_DIGESTS_FILE).read_text("utf-8"))
    assert len(digests) == 4
    found = export_campaign(corpus)
    assert (found.finished, found.pairs, sorted(found.files)) == (PAIRS_DONE, PAIRS_DONE, sorted(digests))
    for file, [digest] in digests.items():
        assert hashlib.sha256((corpus / file).read_bytes()).hexdigest() == digest
    assert "reviewers: 2" in (corpus / found.rules).read_text("utf-8")


def test_an_export_that_was_changed_since_is_kept(corpus: Path) -> None:
    (corpus / "annotations" / "ratings-pilot.json").write_text("[]")
    with pytest.raises(UserError, match="was changed since the last export"):
        export_campaign(corpus)


def test_rejections_and_task_times_of_that_version_are_known(corpus: Path) -> None:
    _, rejections = read_campaign_record(corpus)
    assert [rejection.reason for rejection in rejections] == ["wrong_person", "done_again"]
    assert RejectionsFile(corpus / CAMPAIGN_FOLDER).add(rejections) == ()
    assert len(TaskTimesFile(corpus / CAMPAIGN_FOLDER).keys) == len(
        (corpus / CAMPAIGN_FOLDER / "handed_out.jsonl").read_text("utf-8").splitlines()
    )


def test_a_sync_goes_on_with_it(corpus: Path) -> None:
    before = (corpus / CAMPAIGN_FOLDER / "answers.jsonl").read_bytes()
    with lock_campaign(corpus / CAMPAIGN_FOLDER), pytest.raises(UserError, match="Another command"):
        export_campaign(corpus)
    studio = FakeStudio(f"{name}@x.org" for name in ROLES)
    found = to_the_end(studio, lambda: sync(studio, corpus))
    assert (found.steps, found.damaged, found.set_aside) == ({"done": PAIRS_DONE}, (), ())
    assert (corpus / CAMPAIGN_FOLDER / "answers.jsonl").read_bytes().startswith(before)
