"""What people said, sorted by pair on disk; and what was set aside, in one order."""

from __future__ import annotations

import errno
import random
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.records import Place, Rejection
from editfhf.build import spool
from editfhf.build.spool import RejectionLog, Said, Spool

said = st.tuples(
    st.integers(0, 5),
    st.builds(
        Said,
        st.sampled_from(["regions", "expert", "rationales", "flags"]),
        st.builds(Place, st.text(st.characters(exclude_categories=["Cs"]), max_size=9), st.integers(0, 2**40)),
        st.binary(max_size=40),
    ),
)


@given(st.lists(said, max_size=60))
def test_what_goes_in_by_file_comes_out_by_pair_in_reading_order(
    tmp_path_factory: pytest.TempPathFactory, everything: list[tuple[int, Said]]
) -> None:
    path = tmp_path_factory.mktemp("spool") / "spool.sqlite"
    writing = Spool(path)
    for pair, one in everything:
        writing.add(pair, one)
    writing.close()
    with spool.reading(path) as connection:
        for pair in range(7):
            assert spool.said_of(connection, pair) == [one for owner, one in everything if owner == pair]


def test_more_than_one_batch_comes_out_whole(tmp_path: Path) -> None:
    writing = Spool(tmp_path / "spool.sqlite")
    for number in range(2 * spool.BATCH + 7):
        writing.add(number % 3, Said("regions", Place("f", number), str(number).encode()))
    writing.close()
    with spool.reading(tmp_path / "spool.sqlite") as connection:
        found = [one for pair in range(3) for one in spool.said_of(connection, pair)]
        assert len(found) == 2 * spool.BATCH + 7
        with pytest.raises(Exception, match="readonly"):
            connection.execute("DELETE FROM said")


def test_the_digest_tells_content_place_stage_and_order_apart(tmp_path: Path) -> None:
    def digest(*content: Said) -> str:
        with closing(Spool(tmp_path / "spool.sqlite")) as writing:
            for one in content:
                writing.add(4, one)
            return writing.digest(4)

    one, other = Said("regions", Place("a", 1), b"x"), Said("flags", Place("b", 2), b"y")
    variants = [
        (),
        (one,),
        (one, other),
        (other, one),
        (one, one),
        (one._replace(stage="expert"),),
        (one._replace(place=Place("a", 2)),),
        (one._replace(place=Place("b", 1)),),
        (one._replace(payload=b"z"),),
    ]
    assert len({digest(*variant) for variant in variants}) == len(variants)
    assert digest(one, other) == digest(one, other)


def rejection(**changed: Any) -> Rejection:
    return Rejection(**({"what": "box", "file": "f", "row": 1, "reason": "r", "message": "m"} | changed))


rejections = st.builds(
    Rejection,
    st.sampled_from(["box", "rating"]),
    st.text(max_size=3),
    st.integers(0, 3),
    st.sampled_from(["bad", "worse"]),
    st.text(max_size=5),
    st.none() | st.text(max_size=3),
    st.none(),
    st.none() | st.text(max_size=3),
    st.booleans(),
)


@given(st.lists(rejections, max_size=30), st.randoms())
def test_the_log_gives_everything_back_in_one_order(
    tmp_path_factory: pytest.TempPathFactory, items: list[Rejection], chance: random.Random
) -> None:
    shuffled = list(items)
    chance.shuffle(shuffled)
    told = []
    for number, order in enumerate((items, shuffled)):
        with closing(RejectionLog(tmp_path_factory.mktemp("log") / f"{number}.sqlite")) as log:
            log.add(order)
            told.append([one for one, _ in log])
            counted = log.counts()
    assert told[0] == told[1]
    assert sorted(map(repr, told[0])) == sorted(map(repr, items))
    assert sum(counted.values()) == len(items)
    assert [(one.file, one.row) for one in told[0]] == sorted((one.file, one.row) for one in items)


def test_bytes_that_are_no_text_are_spelled_out(tmp_path: Path) -> None:
    with closing(RejectionLog(tmp_path / "log.sqlite")) as log:
        log.add([rejection(file="notes-\udcff.txt", item_id="\ud800")])
        ((found, _),) = log
    assert (found.file, found.item_id) == ("notes-\\udcff.txt", "\\ud800")


def test_a_full_disk_is_an_error_of_the_system(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("mounting is not permitted")
    try:
        with pytest.raises(OSError, match="No space left") as raised, closing(Spool(folder / "spool.sqlite")) as full:
            full.add(1, Said("regions", Place("f", 1), b"x" * 200_000))
        assert raised.value.errno == errno.ENOSPC
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_new_spool_forgets_an_old_one(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    path.write_bytes(b"left behind by a crash")
    with closing(Spool(path)) as writing:
        writing.add(1, Said("flags", Place("f", 1), b"{}"))
    with spool.reading(path) as connection:
        assert len(spool.said_of(connection, 1)) == 1
