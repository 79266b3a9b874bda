"""People with real accounts do a whole campaign in real browsers, and `sync` and `export` bring home what they did."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from annotation import interfaces
from annotation.commands import annotate_app
from annotation.interfaces.guidance import HOT_KEYS
from annotation.labelstudio.accounts import read_passwords
from annotation.labelstudio.read_export import read_export_tasks
from annotation.labelstudio.read_marks import read_regional_annotations
from annotation.labelstudio.read_ratings import read_export_ratings
from annotation.labelstudio.read_rationales import read_rationales
from annotation.records import Place, Rejection
from tests.annotation.interfaces.conftest import Photo, Seat
from tests.annotation.interfaces.desk import Desk
from tests.annotation.studio_server import Live

pytestmark = [pytest.mark.browser, pytest.mark.studio, pytest.mark.slow]

EXAMPLES = Path(__file__).parents[3] / "examples" / "real"
EVIL = '<img src=x onerror="alert(1)"><script>alert(2)</script> {{7*7}} ${7*7} שלום 🦊'
ROLES = {"ann": ["regional", "reviewer"], "bob": ["regional", "reviewer"], "max": ["expert"], "rae": ["rater"]}
NAMES = {"ann": "Anna A.", "bob": "Bob B.", "max": "<b>Max</b> {{7*7}} 🦊", "rae": "<script>alert(3)</script>"}
SIZES = {"plain": (512, 512), "turned": (384, 512)}
DISKS, BOX = [(0.3, 0.66), (0.36, 0.7)], (0.23, 0.6, 0.42, 0.77)
SCORES = dict(zip(interfaces.DIMENSION_QUESTIONS, (0.4, 0.2, 0.85), strict=True))


@pytest.fixture
def corpus(live: Live, tmp_path: Path) -> Path:
    """A real pair, and one whose edited picture is stored on its side and whose instruction means harm."""
    lines = map(json.loads, (EXAMPLES / "pairs.jsonl").read_text().splitlines())
    plain = next(line for line in lines if line["pair_id"] == "reasonedit-heart") | {"pair_id": "plain"}
    turned = plain | {"pair_id": "turned", "edited": "images/turned.jpg", "instruction": EVIL}
    root = tmp_path / "corpus"
    (root / "images").mkdir(parents=True)
    shutil.copy(EXAMPLES / "corpus.yaml", root)
    for name in (plain["source"], plain["edited"]):
        shutil.copy(EXAMPLES / name, root / "images")
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(EXAMPLES / plain["edited"]) as image:
        image.resize(SIZES["turned"]).transpose(Image.Transpose.ROTATE_90).save(root / turned["edited"], exif=exif)
    for path in (root / "images").iterdir():
        shutil.copy(path, live.corpus / "images")
    (root / "pairs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in (plain, turned)))
    return root


class Team:
    """The people of the campaign before their browsers; `sync` is what the manager lets run meanwhile."""

    def __init__(self, live: Live, corpus: Path, seat: Seat) -> None:
        self._live, self._corpus, self._seat = live, corpus, seat
        self._passwords = corpus.parent / "passwords.csv"

    def command(self, *words: str | Path) -> str:
        done = CliRunner().invoke(annotate_app, [str(word) for word in words], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    def sync(self) -> str:
        return self.command("sync", self._corpus, "--data", self._live.server.data, "--passwords", self._passwords)

    def page(self, person: str) -> Any:
        email = f"{person}@example.org"
        return self._seat(email, read_passwords(self._passwords)[email])

    def tasks(self, stage: str, person: str) -> Iterator[tuple[Desk, str]]:
        """Each task that waits for a person, open before them, and the pair that it is about."""
        with self._live.manager() as manager:
            project = manager.find_project(f"editfhf:desk/{stage}/{person}")
            if project is None:
                return
            waiting = [task["data"] for task in manager.tasks(project.project_id) if not task["annotations"]]
        for data in waiting:
            desk = Desk.open(self.page(person), self._live.server.url, project.project_id, SIZES[data["pair_id"]])
            assert desk.page.get_by_text(data["instruction"], exact=True).first.is_visible()
            yield desk, data["pair_id"]

    def seen(self) -> list[str]:
        """What scripts that were smuggled in said to anybody."""
        return [message for person in ROLES for message in self.page(person).seen]


@pytest.fixture
def team(live: Live, corpus: Path, seat: Seat) -> Team:
    people = [
        {"person_id": name, "email": f"{name}@example.org", "name": NAMES[name], "roles": roles}
        for name, roles in ROLES.items()
    ]
    config = corpus.parent / "config.yaml"
    numbers = {"annotators": 2, "reviewers": 2, "raters": 1, "min_support": 2}
    config.write_text(
        yaml.safe_dump(
            {"campaign_id": "desk", "name": "A first campaign", "people": people} | numbers, allow_unicode=True
        )
    )
    team = Team(live, corpus, seat)
    team.command("create", corpus, "--config", config)
    team.sync()
    return team


def mark(desk: Desk) -> tuple[list[float], list[tuple[float, float]]]:
    """Two disks and a box around them; where they are in the picture, in pixels."""
    desk.keep_labels()
    desk.close_dialog()
    desk.press(HOT_KEYS["disk"]["artifact"])
    for place in DISKS:
        desk.disk(*place)
    desk.press(HOT_KEYS["box"]["artifact"])
    desk.box(*BOX)
    desk.click(BOX[2] - 0.01, BOX[3] - 0.01)
    desk.say("object_structure", "severe")
    expected = [*desk.pixel(*BOX[:2]), *desk.pixel(*BOX[2:])], [desk.pixel(*place) for place in DISKS]
    desk.press("Escape")
    desk.link(0, BOX[2] - 0.01, BOX[3] - 0.01)
    return expected


def found(corpus: Path, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    return read_export_tasks(corpus / "annotations" / f"{name}-desk.json", name, refused)


def refused(rejection: Rejection) -> None:
    pytest.fail(f"{rejection.reason}: {rejection.message}")


def test_people_in_browsers_do_a_whole_campaign(team: Team, corpus: Path, photo: Photo) -> None:
    drawn = {}
    for person in ("ann", "bob"):
        for desk, pair in team.tasks("regional", person):
            drawn[person, pair] = mark(desk)
            desk.submit()
    look_around(team.page("ann"), photo)
    team.sync()
    for desk, _ in team.tasks("expert", "max"):
        assert desk.page.get_by_text(f"Expert review: {NAMES['max']}").first.is_visible()
        assert desk.regions.count() == 1 + 2 * len(DISKS)
        desk.submit()
    review(team)
    team.command("status", corpus, "--page", corpus.parent / "status.html")
    team.page("ann").set_content((corpus.parent / "status.html").read_text())
    photo(team.page("ann"), "status")
    for desk, _ in team.tasks("scoring", "rae"):
        assert desk.page.get_by_text(f"Scores: {NAMES['rae']}").first.is_visible()
        assert desk.page.get_by_text(EVIL.replace("$", "$\u2060")).count() == 1
        for dimension, share in SCORES.items():
            desk.score(dimension, share)
        desk.flag("object structure")
        desk.submit(with_button=True)
    team.sync()
    assert team.seen() == []
    assert "2 of 2 pairs finished all stages" in team.command("export", corpus)
    check_marks(corpus, drawn)
    check_words(corpus)


def look_around(page: Any, photo: Photo) -> None:
    """What a person sees who goes to the list of projects."""
    page.get_by_role("link", name="Projects").click()
    page.get_by_text("editfhf:desk/regional/ann").wait_for()
    photo(page, "projects", 270)


def review(team: Team) -> None:
    """Whoever's turn it is first writes the text; the other agrees."""
    said = ["revise", "agree"]
    for verdict in said:
        team.sync()
        for person in ("ann", "bob"):
            for desk, _ in team.tasks("textual", person):
                desk.select(0)
                desk.press(HOT_KEYS["text_read"]["read"])
                if verdict == "revise":
                    desk.page.get_by_placeholder("What is wrong here").fill(EVIL)
                    desk.press("Shift+Enter")
                assert desk.page.locator(".ehf-region").get_by_text(EVIL).count() == 1
                desk.press("Escape", HOT_KEYS["verdict"][verdict])
                desk.submit()
    team.sync()


def check_marks(corpus: Path, drawn: dict[tuple[str, str], Any]) -> None:
    """The pixels are those at which the mouse was pressed."""
    seen = {}
    for row, task in found(corpus, "regions"):
        pair = task["data"]["pair_id"]
        for annotation in read_regional_annotations(task, Place("regions", row), SIZES[pair], refused):
            [seen[annotation.annotator_id, pair]] = annotation.marks
    assert seen.keys() == drawn.keys()
    for key, (box, disks) in drawn.items():
        assert (seen[key].flaw_type, seen[key].severity) == ("object_structure", "severe")
        assert seen[key].box == pytest.approx(box, abs=0.5)
        assert [tuple(disk) for disk in seen[key].disks] == [pytest.approx(disk, abs=0.5) for disk in disks]


def check_words(corpus: Path) -> None:
    """Texts, scores and flags are those that were typed and clicked."""
    for row, task in found(corpus, "rationales"):
        size = SIZES[task["data"]["pair_id"]]
        said = [(one.text, one.verdict) for one in read_rationales(task, Place("rationales", row), size, refused)]
        assert said == [(EVIL, "revise"), (EVIL, "agree")]
    for row, task in found(corpus, "ratings"):
        rated, flags = read_export_ratings(task, Place("ratings", row), refused)
        given = {one.dimension: one.score for one in rated}
        assert given == pytest.approx({name: 1 + 4 * share for name, share in SCORES.items()}, abs=0.06)
        assert len(flags) == 1
