"""The status of a campaign adds up, and shows names and sentences as they are, wherever they came from."""

from __future__ import annotations

import io
import random
from html.parser import HTMLParser
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from annotation.campaign.status.report import (
    CampaignStatus,
    StatusRow,
    render_status_page,
    sort_status_rows,
    status_tiles,
    sum_all_rows,
    sum_rows_by_stage,
    write_status_page,
)
from annotation.commands.status_table import render_status_table

ROWS = [
    StatusRow("regional", "anna", 30, 40, 20.0, 0.8, None, "2026-03-02", compared=20),
    StatusRow("regional", "ben", 10, 40, 10.0, 0.6, "nothing for 4 days", "2026-03-09", compared=60),
    StatusRow("expert", "eve", 5, 5, 6.0),
    StatusRow("scoring", "cem", 0, 7),
]


def status(rows: list[StatusRow] | None = None, **changes: object) -> CampaignStatus:
    values = {"name": "Pilot", "at": "2026-03-01T12:00:00+00:00", "heard": "2026-03-01T11:58:00+00:00"}
    return CampaignStatus(**(values | {"rows": ROWS if rows is None else rows, "finished": 3, "pairs": 40} | changes))


def shown(status: CampaignStatus) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(render_status_table(status))
    return console.file.getvalue()


def test_a_stage_is_the_sum_of_its_people() -> None:
    regional = sum_rows_by_stage(ROWS)[0]
    assert (regional.done, regional.assigned, regional.left, regional.per_hour) == (40, 80, 40, 30.0)
    assert regional.agreement == pytest.approx((20 * 0.8 + 60 * 0.6) / 80)
    assert (regional.stuck, regional.ends) == ("1 of 2", "2026-03-09")


def test_the_end_is_open_while_it_is_open_for_one_person() -> None:
    assert sum_rows_by_stage(ROWS)[-1].ends is None
    assert sum_all_rows(ROWS).ends is None
    assert sum_all_rows(ROWS[:3]).ends == "2026-03-09"


def test_who_is_ready_does_not_leave_the_end_open() -> None:
    assert sum_rows_by_stage([ROWS[0], StatusRow("regional", "cem", 9, 9)])[0].ends == "2026-03-02"


def test_stages_come_in_the_order_of_the_work_and_what_is_before_them_first() -> None:
    rows = [*ROWS, StatusRow("qualification", "dora", 1, 2)]
    assert [row.stage for row in sum_rows_by_stage(rows)] == ["qualification", "regional", "expert", "scoring"]


def test_the_order_of_the_rows_does_not_matter() -> None:
    mixed = ROWS[:]
    random.Random(1).shuffle(mixed)
    assert sort_status_rows(mixed) == sort_status_rows(ROWS)
    assert render_status_page(status(mixed)) == render_status_page(status())
    assert shown(status(mixed)) == shown(status())


counts = st.integers(0, 1000)
rows = st.lists(
    st.builds(
        lambda stage, person, done, left: StatusRow(stage, person, done, done + left),
        st.sampled_from(["regional", "expert", "scoring"]),
        st.text(max_size=5),
        counts,
        counts,
    )
)


@given(rows)
def test_sums_over_stages_and_over_people_are_the_same(rows: list[StatusRow]) -> None:
    everything = sum_all_rows(rows)
    assert everything.done == sum(row.done for row in sum_rows_by_stage(rows)) == sum(row.done for row in rows)
    assert everything.left == everything.assigned - everything.done
    assert 0 <= everything.share <= 1


def test_the_terminal_shows_every_person_with_their_figures() -> None:
    lines = shown(status(set_aside={"wrong_person": 2}, notes=["Ask ben."])).splitlines()
    [ben] = [line for line in lines if " ben " in line]
    for part in ("10/40", "30", "10.0", "60\N{NO-BREAK SPACE}%", "nothing for 4 days", "2026-03-09"):
        assert part in ben
    assert any("Rejected: 2 wrong_person" in line for line in lines)
    assert "Ask ben." in lines
    assert any("3 of 40 pairs finished all stages" in line for line in lines)


def test_names_cannot_steer_the_terminal_or_its_markup() -> None:
    evil = "[red]x[/red]\x1b[2J\x07\u202e"
    text = shown(status([StatusRow("regional", evil, 1, 2, stuck=evil)], name=evil, notes=[evil], set_aside={evil: 1}))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    assert text.count(r"[red]x[/red]\x1b[2J\x07\u202e") == 5


class Page(HTMLParser):
    """The elements, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


EVIL = '</style><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*1123 }}{% raw %}" onload="x\'&amp;\u202e😀'


def test_the_page_shows_whatever_it_is_told_as_text() -> None:
    rows = [StatusRow(EVIL, EVIL, 1, 2, stuck=EVIL, ends=EVIL), *ROWS]
    page = Page(render_status_page(status(rows, name=EVIL, notes=[EVIL], set_aside={EVIL: 1})))
    assert {"script", "img"} & set(page.tags) == set()
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "".join(page.text).count(EVIL) >= 4
    assert "7861" not in "".join(page.text)


def test_the_page_needs_nothing_and_lets_nothing_run() -> None:
    text = render_status_page(status(notes=["One."]))
    page = Page(text)
    values = dict(page.attributes)
    assert values.keys() & {"href", "src", "style"} == set()
    assert "url(" not in text and "@import" not in text
    policies = [value for name, value in page.attributes if name == "content" and "default-src" in value]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]
    assert "prefers-color-scheme:dark" in text


def test_a_page_that_is_watched_loads_itself_again() -> None:
    assert ("content", "30") in Page(render_status_page(status(), refresh=30)).attributes
    assert ("http-equiv", "refresh") not in Page(render_status_page(status())).attributes


def test_every_figure_is_on_the_page() -> None:
    text = "".join(Page(render_status_page(status(set_aside={"wrong_person": 2}))).text)
    for part in (
        "anna",
        "30 of 40",
        "75\N{NO-BREAK SPACE}%",
        "20.0",
        "80\N{NO-BREAK SPACE}%",
        "nothing for 4 days",
        "2026-03-09",
        "wrong person",
    ):
        assert part in text
    assert ("3", "pairs finished", "of 40") in status_tiles(status())
    assert ("4", "people", "1 of them stuck") in status_tiles(status())


def test_control_characters_and_lone_surrogates_can_be_written(tmp_path: Path) -> None:
    out = tmp_path / "status.html"
    write_status_page(out, status([StatusRow("regional", "a\x00\ud800b", 1, 2)]))
    assert "a��b" in out.read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["status.html"]


def test_a_campaign_in_which_nothing_happened_has_a_status() -> None:
    nothing = status([], heard=None, finished=0, pairs=0)
    assert "There are no submissions yet." in shown(nothing)
    assert "There are no submissions yet." in "".join(Page(render_status_page(nothing)).text)


def test_a_program_gets_rows_and_sums() -> None:
    values = orjson.loads(orjson.dumps(status(set_aside={"wrong_person": 2}).as_dict()))
    assert values["rows"][1] == {
        "stage": "regional",
        "person": "ben",
        "done": 10,
        "assigned": 40,
        "left": 30,
        "per_hour": 10.0,
        "agreement": 0.6,
        "stuck": "nothing for 4 days",
        "ends": "2026-03-09",
        "gold": None,
        "compared": 60,
    }
    assert [row["stage"] for row in values["stages"]] == ["regional", "expert", "scoring"]
    assert (values["total"]["done"], values["finished"], values["set_aside"]) == (45, 3, {"wrong_person": 2})
