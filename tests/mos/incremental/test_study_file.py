"""One file that holds a state: whole or not at all, the same for the same state, and never believed blindly."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mos.errors import UserError
from mos.methods import METHODS, score_ratings
from mos.scoring.options import ScoringOptions
from mos.study_file import StoredStudy, decode_study, encode_study, open_study, save_study
from mos.table import read_ratings_table, validate_ratings
from tests.mos.incremental.growing import SCALE, assert_equal, options, study, table

START = study(6, 9, 2, seed=1, fill=0.8)


def state_of(
    by: ScoringOptions, scale: tuple[float, float] | None = SCALE, dimensions: list[str] | None = None
) -> StoredStudy:
    return StoredStudy.empty(by, scale, dimensions).add(table([(*key, value) for key, value in START.items()]))[0]


WHOLE = encode_study(state_of(options("paper")))


class TestRoundTrip:
    @pytest.mark.parametrize("name", METHODS)
    def test_the_result_is_the_same(self, tmp_path: Path, name: str) -> None:
        state = state_of(options(name))
        save_study(state, tmp_path / "state.parquet")
        loaded = open_study(tmp_path / "state.parquet")
        assert_equal(loaded.result(), state.result())
        assert loaded.options == state.options
        assert [path.name for path in tmp_path.iterdir()] == ["state.parquet"]

    @pytest.mark.parametrize("scale", [None, (1.0, 5.0), (0.5, 100.0)])
    @pytest.mark.parametrize("dimensions", [None, ["dimension0", "dimension1", "not rated yet"]])
    def test_scale_and_dimensions_are_kept(
        self, scale: tuple[float, float] | None, dimensions: list[str] | None
    ) -> None:
        state = state_of(options("mos"), scale, dimensions)
        loaded = decode_study(encode_study(state))
        assert (loaded.scale, loaded.ratings.scale) == (state.scale, state.ratings.scale)
        assert (loaded.dimensions, loaded.ratings.dimensions) == (state.dimensions, state.ratings.dimensions)

    def test_limits_are_kept_as_the_decimals_they_are(self) -> None:
        given = {"max_outlier_share": Decimal("0.0500000000000000000000000000000001"), "outlier_sigma": Decimal("2.50")}
        state = state_of(options("paper", **given))
        assert decode_study(encode_study(state)).options == state.options

    def test_equal_options_make_equal_bytes(self) -> None:
        written = [options("paper", outlier_sigma=sigma) for sigma in ("2", "2.00", 2, 2.0)]
        assert len({encode_study(state_of(by)) for by in written}) == 1

    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20))
    def test_scores_are_kept_to_the_last_bit(self, scores: list[float]) -> None:
        batch = [(f"i{at}", "r", "d", score) for at, score in enumerate(scores)]
        state, _ = StoredStudy.empty(options("mos"), None).add(table(batch))
        assert decode_study(encode_study(state)).ratings.score.tolist() == state.ratings.score.tolist()

    def test_it_is_a_table_of_ratings_like_any_other(self, tmp_path: Path) -> None:
        state = state_of(options("paper"))
        save_study(state, tmp_path / "state.parquet")
        found, _ = read_ratings_table(tmp_path / "state.parquet")
        assert_equal(score_ratings(validate_ratings(found, SCALE)[0]), state.result())

    def test_a_zero_has_one_sign(self) -> None:
        one, other = (
            StoredStudy.empty(options("mos"), None).add(table([("i", "r", "d", zero)]))[0] for zero in (0.0, -0.0)
        )
        assert encode_study(one) == encode_study(other)


class TestWriting:
    def test_a_killed_write_leaves_the_earlier_state(self, tmp_path: Path) -> None:
        path = tmp_path / "state.parquet"
        earlier, later = state_of(options("paper")), state_of(options("mos"))
        save_study(earlier, path)
        killed = (
            "import os, sys\nfrom pathlib import Path\nfrom mos.study_file import decode_study, save_study\n"
            "os.fsync = lambda _: os._exit(9)\n"
            "save_study(decode_study(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2]))\n"
        )
        (tmp_path / "later").write_bytes(encode_study(later))
        assert subprocess.run([sys.executable, "-c", killed, tmp_path / "later", path], check=False).returncode == 9
        assert (tmp_path / ".state.parquet.part").exists()
        assert encode_study(open_study(path)) == encode_study(earlier)
        save_study(later, path)
        assert encode_study(open_study(path)) == encode_study(later)
        assert not (tmp_path / ".state.parquet.part").exists()

    def test_a_full_disk_leaves_the_earlier_state(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "state.parquet"
        save_study(state_of(options("paper")), path)

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match=r"cannot be written \(No space left on device\)"):
            save_study(state_of(options("mos")), path)
        assert open_study(path).options.method == "paper"
        assert [found.name for found in tmp_path.iterdir()] == ["state.parquet"]

    def test_a_folder_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="No such file or directory"):
            save_study(state_of(options("mos")), tmp_path / "nowhere" / "state.parquet")

    def test_pandas_is_not_needed(self, tmp_path: Path) -> None:
        work = (
            "import sys\nfrom pathlib import Path\n"
            "from mos.study_file import decode_study, encode_study\n"
            "state = decode_study(Path(sys.argv[1]).read_bytes())\n"
            "state, _ = state.remove(state.table.slice(0, 9))\nencode_study(state)\nstate.result().ledger()\n"
            "sys.exit('pandas' in sys.modules)\n"
        )
        (tmp_path / "state").write_bytes(WHOLE)
        subprocess.run([sys.executable, "-c", work, tmp_path / "state"], check=True)


class TestReading:
    @settings(max_examples=150, deadline=None)
    @given(st.integers(0, len(WHOLE) - 1))
    def test_a_file_that_was_cut_is_refused(self, size: int) -> None:
        with pytest.raises(UserError, match="cut off or something else"):
            decode_study(WHOLE[:size])

    @settings(max_examples=400, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=3))
    def test_a_file_with_changed_bytes_is_refused_or_says_the_same(self, changes: list[tuple[int, int]]) -> None:
        data = bytearray(WHOLE)
        for at, value in changes:
            data[at] = value
        try:
            state = decode_study(bytes(data))
        except UserError:
            return
        assert encode_study(state) == WHOLE

    @pytest.mark.parametrize("data", [b"", b"item,rater,score\n", b"PAR1", b"\x80\x04\x95cposix\nsystem\n", b"\0" * 99])
    def test_something_else_is_refused(self, tmp_path: Path, data: bytes) -> None:
        (tmp_path / "state.parquet").write_bytes(data)
        with pytest.raises(UserError, match=r"state\.parquet: expected a saved state, but the file is cut off"):
            open_study(tmp_path / "state.parquet")

    def test_a_missing_file_and_a_folder_are_told(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="there is no such file"):
            open_study(tmp_path / "state.parquet")
        with pytest.raises(UserError, match="cannot be read"):
            open_study(tmp_path)

    def test_another_table_is_refused(self) -> None:
        with pytest.raises(UserError, match="this is another table; add it to a state as ratings"):
            decode_study(parquet(table([("i", "r", "d", 3.0)]), {}))


def parquet(ratings: pa.Table, word: dict[bytes, bytes]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(ratings.replace_schema_metadata(word), sink)
    return sink.getvalue().to_pybytes()


def forged(ratings: pa.Table, **said: object) -> bytes:
    """A file by somebody who knows how it is made, checksum included."""
    by = options("mos").as_dict()
    word = {"format": 1, "rows": ratings.num_rows, "options": by, "scale": [1.0, 5.0], "dimensions": None} | said
    text = orjson.dumps(word)
    return parquet(ratings, {b"mos_state": text, b"mos_state_sha256": sha256(text).hexdigest().encode()})


GOOD = table([("i", "r", "d", 3.0), ("i", "s", "d", 4.0)])


class TestForgeries:
    def test_a_true_copy_is_accepted(self) -> None:
        assert len(decode_study(forged(GOOD))) == 2

    @pytest.mark.parametrize(
        "ratings",
        [
            table([("i", "r", "d", 9.0)]),
            table([("i", "r", "d", np.nan)]),
            table([("i", None, "d", 3.0)]),
            table([("i", "r", "d", 3.0), ("i", "r", "d", 3.0)]),
            table([("i", "r", "d", 3.0), ("i", "r", "d", 4.0)]),
        ],
    )
    def test_ratings_that_no_state_can_have_are_refused(self, ratings: pa.Table) -> None:
        with pytest.raises(UserError, match="the ratings are not as they were saved"):
            decode_study(forged(ratings))

    def test_missing_columns_and_rows_are_refused(self) -> None:
        with pytest.raises(UserError, match="lacks score"):
            decode_study(forged(GOOD.drop_columns(["score"])))
        with pytest.raises(UserError, match="not as they were saved"):
            decode_study(forged(GOOD, rows=3))

    @pytest.mark.parametrize(
        "said",
        [
            {"scale": [1.0]},
            {"scale": "1 to 5"},
            {"dimensions": [1]},
            {"options": None},
            {"rows": "2"},
            {"more": 1},
        ],
    )
    def test_a_word_of_another_form_is_refused(self, said: dict[str, object]) -> None:
        with pytest.raises(UserError, match="does not say how its ratings are scored"):
            decode_study(forged(GOOD, **said))

    @pytest.mark.parametrize(
        ("said", "message"),
        [
            ({"format": 2}, "saved by another version"),
            ({"scale": [5.0, 1.0]}, "from a lower to a higher number"),
            ({"options": {"method": "os.system"}}, "Unknown method"),
            ({"options": {}}, "Unknown method"),
            ({"options": {"method": "mos", "shell": "rm"}}, "unknown option"),
            ({"options": {"method": "mos", "min_ratings": -1}}, "min_ratings"),
        ],
    )
    def test_what_cannot_be_is_refused(self, said: dict[str, object], message: str) -> None:
        with pytest.raises(UserError, match=message):
            decode_study(forged(GOOD, **said))
