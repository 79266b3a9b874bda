"""The commands of a campaign as a manager meets them, without a server."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from annotation.campaign.options import read_campaign_options
from annotation.campaign.quality.redo import CampaignRedoList, RedoTask
from annotation.campaign.sync.dry_run import ReadOnlyServer, copy_campaign_state
from annotation.campaign.sync.run_sync import CampaignSync, SyncSummary
from annotation.commands import annotate_app
from annotation.commands.redo import EXCLUSION_SENTENCES, _print_redo_list
from annotation.commands.sync import is_eventful, print_sync_summary, require_image_address
from mos.errors import UserError
from mos.rejections import Rejection
from tests.annotation.campaign.fake_studio import FakeStudio, any_interface
from tests.annotation.campaign.pilot import ROLES, corpus_of, everybody_works, pilot, sync


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = corpus_of(tmp_path / "corpus")
    (root / "campaign" / "campaign.yaml").unlink()
    (root / "campaign").rmdir()
    return root


def config_of(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text)
    return path


def test_a_dry_run_tells_the_loads_and_writes_nothing(corpus: Path, tmp_path: Path) -> None:
    config = config_of(tmp_path, pilot().text())
    done = CliRunner().invoke(annotate_app, ["create", str(corpus), "--config", str(config), "--dry-run"])
    assert "campaign_id: pilot" in done.stdout
    assert "regional: 3 people, at most 2 tasks each" in done.stderr
    assert not (corpus / "campaign").exists()


def test_create_writes_once(corpus: Path, tmp_path: Path) -> None:
    config = config_of(tmp_path, pilot().text())
    for said in ("Wrote", "is up to date"):
        assert said in CliRunner().invoke(annotate_app, ["create", str(corpus), "--config", str(config)]).stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (pilot(raters=4).text(), "Stage scoring: expected at least 4 people"),
        ("campaign_id: a\nname: b\nrater: 3\n", "Did you mean 'raters'"),
    ],
)
def test_a_campaign_that_cannot_work_is_refused(corpus: Path, tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        CliRunner().invoke(
            annotate_app, ["create", str(corpus), "--config", str(config_of(tmp_path, text))], catch_exceptions=False
        )
    assert not (corpus / "campaign").exists()


def test_create_asks_who_annotates(corpus: Path) -> None:
    with pytest.raises(UserError, match="Expected --people FILE, --config FILE or both"):
        CliRunner().invoke(annotate_app, ["create", str(corpus)], catch_exceptions=False)


def people_of(folder: Path) -> Path:
    """The table of the pilot's people, who are fewer than the 15 raters of the defaults."""
    rows = [f"{one.person_id},{one.email},{one.name},{' '.join(one.roles)}" for one in pilot().people]
    path = folder / "people.csv"
    path.write_text("\n".join(["person_id,email,name,roles", *rows]) + "\n")
    return path


def create(*words: object) -> str:
    done = CliRunner().invoke(annotate_app, ["create", *map(str, words)], catch_exceptions=False)
    return done.stdout


def test_people_of_a_table_and_options_of_a_file_go_together(corpus: Path, tmp_path: Path) -> None:
    values = yaml.safe_load(pilot().text())
    del values["people"]
    config = config_of(tmp_path, yaml.safe_dump(values))
    assert "Wrote" in create(corpus, "--config", config, "--people", people_of(tmp_path))
    assert read_campaign_options(corpus) == pilot()


def test_people_are_listed_in_one_place(corpus: Path, tmp_path: Path) -> None:
    config = config_of(tmp_path, pilot().text())
    with pytest.raises(UserError, match="leave 'people' out of the first"):
        create(corpus, "--config", config, "--people", people_of(tmp_path))


def test_too_few_people_give_a_file_to_edit_and_every_remedy(corpus: Path, tmp_path: Path) -> None:
    people = people_of(tmp_path)
    raters = sum("rater" in one.roles for one in pilot().people)
    remedy = rf"Stage scoring: expected at least 15 people .*, found {raters}\..* set raters to {raters} "
    with pytest.raises(UserError, match=f"Wrote .*campaign.yaml.*{remedy}"):
        create(corpus, "--people", people)
    path = corpus / "campaign" / "campaign.yaml"
    path.write_text(path.read_text().replace("raters: 15", f"raters: {raters}"))
    assert "is up to date" in create(corpus, "--config", path)
    with pytest.raises(UserError, match="holds other options"):
        create(corpus, "--people", people)


def test_a_dry_run_with_too_few_people_writes_nothing(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="set raters to"):
        create(corpus, "--people", people_of(tmp_path), "--dry-run")
    assert not (corpus / "campaign").exists()


def test_sync_needs_a_key_and_to_know_where_pictures_are(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(tmp_path, pilot().text())
    CliRunner().invoke(annotate_app, ["create", str(corpus), "--config", str(config)])
    monkeypatch.delenv("EDITFHF_STUDIO_KEY", raising=False)
    with pytest.raises(UserError, match="No key for the server"):
        CliRunner().invoke(annotate_app, ["sync", str(corpus)], catch_exceptions=False)
    with pytest.raises(UserError, match="name its folder with --data"):
        CliRunner().invoke(annotate_app, ["sync", str(corpus)], catch_exceptions=False)
    with pytest.raises(UserError, match="--dry-run changes nothing"):
        CliRunner().invoke(annotate_app, ["sync", str(corpus), "--dry-run", "--watch", "3"], catch_exceptions=False)


class KnownKey:
    """A server that knows the key."""

    def whoami(self) -> None:
        return


class WrongKey:
    """A server that does not know the key."""

    def whoami(self) -> None:
        raise UserError("Label Studio does not know the key.")


def test_a_wrong_key_is_said_before_the_address_of_the_images_is_asked_for() -> None:
    with pytest.raises(UserError, match="Expected the address of the images"):
        require_image_address(KnownKey(), None, None)
    with pytest.raises(UserError, match="does not know the key"):
        require_image_address(WrongKey(), None, None)
    require_image_address(WrongKey(), None, "https://images.example.org")


@pytest.mark.parametrize(
    ("summary", "said"),
    [
        (SyncSummary(filed=1), "1 new answer. New tasks: none. New projects: 0."),
        (SyncSummary(filed=2, created={"expert": 1}), "2 new answers. New tasks: 1 expert. New projects: 0."),
        (SyncSummary(duplicate_tasks=1), "Removed 1 duplicate task without an answer."),
        (SyncSummary(without_proposal=2), "Replaced 2 tasks that the server had stored without their proposal."),
        (SyncSummary(withdrawn={"expert": 3}), "Withdrew tasks that nobody had begun: 3 expert."),
    ],
)
def test_sync_says_what_it_did(
    summary: SyncSummary, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_sync_summary(summary, tmp_path)
    assert capsys.readouterr().out.startswith(said)
    assert is_eventful(summary)


def test_a_sync_without_events_prints_nothing_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quiet = SyncSummary(steps={"regional": 3}, people_without_account=("ann",))
    print_sync_summary(quiet, tmp_path)
    assert capsys.readouterr().out == ""
    assert not is_eventful(quiet)


def test_a_dry_run_of_sync_says_what_it_would_do_and_changes_nothing(tmp_path: Path) -> None:
    root, studio = corpus_of(tmp_path / "corpus"), FakeStudio(f"{name}@x.org" for name in ROLES)

    def rehearse() -> SyncSummary:
        with (
            copy_campaign_state(root) as state,
            CampaignSync(ReadOnlyServer(studio), root, any_interface, Path("/served"), state=state) as rehearsal,
        ):
            return rehearsal.run()

    for _ in range(3):
        files = {path.name: path.read_bytes() for path in (root / "campaign").iterdir()}
        tasks = studio.everything()
        found = rehearse()
        assert {path.name: path.read_bytes() for path in (root / "campaign").iterdir()} == files
        assert studio.everything() == tasks
        done = sync(studio, root)
        assert (found.created, found.filed, found.projects) == (done.created, done.filed, done.projects)
        everybody_works(studio)


@pytest.mark.parametrize("reason", EXCLUSION_SENTENCES)
def test_why_a_rater_is_excluded_is_a_sentence(reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    _print_redo_list(CampaignRedoList(excluded={"ann": reason}))
    said = " ".join(capsys.readouterr().out.split())
    assert said == f"Not repeated: tasks of ann, whom the scoring excludes. {EXCLUSION_SENTENCES[reason]}"


def test_tables_of_sentences_fit_a_page_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    sentence = "The boxes agree with no other person's, but the others agree with each other, " * 3
    _print_redo_list(CampaignRedoList((RedoTask("regional", "p1", "ann", 0, "alone", 0, 1, sentence),)))
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 100


def test_what_a_member_wrote_as_a_key_cannot_steer_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = Rejection(
        "submission", "\x1b]0;owned\x07\nregional/p1", 1, "unknown_key", "It is none of this campaign's."
    )
    print_sync_summary(SyncSummary(set_aside=(hostile,), notes=("Look at \x9b2Jann.",)), tmp_path)
    assert capsys.readouterr().err.splitlines() == [
        "Rejected: \\x1b]0;owned\\x07\\nregional/p1 (unknown_key): It is none of this campaign's.",
        "Look at \\x9b2Jann.",
    ]
