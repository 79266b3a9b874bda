"""Of what a person rated more than once the latest rating counts, in whichever file it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from annotation.records import Place, Rating, Rejection
from editfhf.build.ratings import RatingRows, score_ratings
from editfhf.build.scoring import Paper

times = st.sampled_from(["", "2026-01-01T00:00:00.000000Z", "2026-01-02T00:00:00.000000Z"])


def counted(ratings: list[Rating]) -> tuple[dict[tuple[str, str], float], list[Rejection]]:
    """The score that counts of every pair and rater, and what was set aside."""
    rows = RatingRows()
    rows.add(ratings)
    rejected: list[Rejection] = []
    found = score_ratings(rows, {"p", "q"}, Paper(), rejected.append)
    items, raters = found.ratings.items.to_pylist(), found.ratings.raters.to_pylist()
    keys = [(items[item], raters[rater]) for item, rater in zip(found.ratings.item, found.ratings.rater, strict=True)]
    places = found.table.take(found.ratings.index)["row"].to_pylist()
    scores = dict(zip(keys, found.ratings.score.tolist(), strict=True))
    assert [ratings[row - 1].score for row in places] == list(scores.values())
    return scores, rejected


def rating(row: int, pair: str, person: str, score: float, at: str) -> Rating:
    return Rating(pair, person, "perceptual_quality", score, at, Place("ratings.json", row))


@given(
    st.lists(
        st.tuples(st.sampled_from("pq"), st.sampled_from("abc"), st.sampled_from([1.0, 2.0, 3.0]), times), max_size=12
    )
)
def test_the_latest_counts_and_every_other_is_set_aside(given_ratings: list[tuple[str, str, float, str]]) -> None:
    ratings = [rating(row, *one) for row, one in enumerate(given_ratings, start=1)]
    expected = {}
    for one in sorted(ratings, key=lambda one: (one.rated_at, one.place.row)):
        expected[one.pair_id, one.annotator_id] = one.score
    scores, rejected = counted(ratings)
    assert scores == expected
    assert len(rejected) == len(ratings) - len(expected)
    assert {one.reason for one in rejected} <= {"duplicate_rating"}
