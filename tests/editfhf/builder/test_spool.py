"""Submissions sorted by pair on disk; and rejections, in one order."""

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
from editfhf.builder import spool
from editfhf.builder.rejections import RejectionSink
from editfhf.builder.spool import AnnotationSpool, SpooledRecord
from mos.errors import UserError

said = st.tuples(
    st.integers(0, 5),
    st.builds(
        SpooledRecord,
        st.sampled_from(["regions", "expert", "rationales", "flags"]),
        st.builds(Place, st.text(st.characters(exclude_categories=["Cs"]), max_size=9), st.integers(0, 2**40)),
        st.binary(max_size=40),
    ),
)


@given(st.lists(said, max_size=60))
def test_what_goes_in_by_file_comes_out_by_pair_in_reading_order(
    tmp_path_factory: pytest.TempPathFactory, everything: list[tuple[int, SpooledRecord]]
) -> None:
    path = tmp_path_factory.mktemp("spool") / "spool.sqlite"
    writing = AnnotationSpool(path)
    for pair, one in everything:
        writing.add(pair, one)
    writing.close()
    with spool.open_spool(path) as connection:
        for pair in range(7):
            assert spool.read_spooled_records(connection, pair) == [one for owner, one in everything if owner == pair]


def test_more_than_one_batch_comes_out_whole(tmp_path: Path) -> None:
    writing = AnnotationSpool(tmp_path / "spool.sqlite")
    for number in range(2 * spool.SPOOL_BATCH + 7):
        writing.add(number % 3, SpooledRecord("regions", Place("f", number), str(number).encode()))
    writing.close()
    with spool.open_spool(tmp_path / "spool.sqlite") as connection:
        found = [one for pair in range(3) for one in spool.read_spooled_records(connection, pair)]
        assert len(found) == 2 * spool.SPOOL_BATCH + 7
        with pytest.raises(Exception, match="readonly"):
            connection.execute("DELETE FROM records")


def test_the_digest_tells_content_place_stage_and_order_apart(tmp_path: Path) -> None:
    def digest(*content: SpooledRecord) -> str:
        with closing(AnnotationSpool(tmp_path / "spool.sqlite")) as writing:
            for one in content:
                writing.add(4, one)
            return writing.digest(4)

    one, other = SpooledRecord("regions", Place("a", 1), b"x"), SpooledRecord("flags", Place("b", 2), b"y")
    variants = [
        (),
        (one,),
        (one, other),
        (other, one),
        (one, one),
        (one._replace(kind="expert"),),
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
def test_the_sink_gives_everything_back_in_one_order(
    tmp_path_factory: pytest.TempPathFactory, items: list[Rejection], chance: random.Random
) -> None:
    shuffled = list(items)
    chance.shuffle(shuffled)
    listed = []
    for number, order in enumerate((items, shuffled)):
        with closing(RejectionSink(tmp_path_factory.mktemp("sink") / f"{number}.sqlite")) as reject:
            for rejection in order:
                reject(rejection, named=True)
            listed.append(list(reject.list_pseudonymised({})))
            counted = reject.counts()
    assert listed[0] == listed[1]
    assert sorted(map(repr, listed[0])) == sorted(map(repr, items))
    assert sum(counted.values()) == len(items)
    assert [(item.file, item.row) for item in listed[0]] == sorted((item.file, item.row) for item in items)


def test_annotators_become_pseudonyms_and_unknown_ones_disappear(tmp_path: Path) -> None:
    with closing(RejectionSink(tmp_path / "sink.sqlite")) as reject:
        for row, name in enumerate(("ann", "bob", None)):
            reject(rejection(row=row, annotator_id=name))
        reject(rejection(row=3, annotator_id="A007"), named=True)
        found = [item.annotator_id for item in reject.list_pseudonymised({"ann": "A001"})]
    assert found == ["A001", None, None, "A007"]


def test_a_strict_sink_raises_at_the_first_unexpected_rejection(tmp_path: Path) -> None:
    with closing(RejectionSink(tmp_path / "sink.sqlite", strict=True)) as reject:
        reject(rejection(reason="superseded"))
        reject(rejection(repaired=True))
        with pytest.raises(UserError, match=r"f, row 1: m \(--strict\)"):
            reject(rejection())


def test_bytes_that_are_no_text_are_spelled_out(tmp_path: Path) -> None:
    with closing(RejectionSink(tmp_path / "sink.sqlite")) as reject:
        reject(rejection(file="notes-\udcff.txt", item_id="\ud800"))
        (found,) = reject.list_pseudonymised({})
    assert (found.file, found.item_id) == ("notes-\\udcff.txt", "\\ud800")


def test_a_full_disk_is_an_error_of_the_system(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("mounting is not permitted")
    try:
        with (
            pytest.raises(OSError, match="No space left") as raised,
            closing(AnnotationSpool(folder / "spool.sqlite")) as full,
        ):
            full.add(1, SpooledRecord("regions", Place("f", 1), b"x" * 200_000))
        assert raised.value.errno == errno.ENOSPC
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_new_spool_forgets_an_old_one(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    path.write_bytes(b"left behind by a crash")
    with closing(AnnotationSpool(path)) as writing:
        writing.add(1, SpooledRecord("flags", Place("f", 1), b"{}"))
    with spool.open_spool(path) as connection:
        assert len(spool.read_spooled_records(connection, 1)) == 1
