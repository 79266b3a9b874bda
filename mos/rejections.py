"""The one record of what was rejected, and the one encoder of lines of `rejected.jsonl` and its relatives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Rejection:
    """One thing that is not used, or that was used after a repair, with its reason.

    Parameters
    ----------
    what : str
        Kind of the thing: file, pair, image, annotation, box, disk, result, rationale, rating, flag, region, rater,
        score, submission or draft.
    file : str
        Where it comes from: a file, or the key of a task of a campaign. Empty for rows of a table in memory.
    row : int
        Row in `file`, counted from 1. Of a table in memory: its row, counted from 0. 0 where there are no rows.
    reason : str
        Short stable code in snake_case; summaries count these.
    message : str
        What was expected, what came, what to do. Never the id of a person, never more than a short excerpt of the
        input.
    pair_id, item_id, annotator_id : str or None
        The pair, the part of it (a region, box, dimension), and the annotator. Datasets replace the id of an annotator
        by a pseudonym.
    repaired : bool
        True when the thing was used all the same, for example after a byte order mark was skipped.
    submission_id : int
        Label Studio's number of the submission; 0 outside campaigns.
    """

    what: str
    file: str
    row: int
    reason: str
    message: str
    pair_id: str | None = None
    item_id: str | None = None
    annotator_id: str | None = None
    repaired: bool = False
    submission_id: int = 0


REJECTION_KEYS: Mapping[str, str] = {
    name: name
    for name in ("what", "file", "row", "reason", "message", "pair_id", "item_id", "annotator_id", "repaired")
}
"""Keys of a line of a corpus's or dataset's `rejected.jsonl`, and the field that each one shows."""

ROW_REJECTION_KEYS: Mapping[str, str] = {name: name for name in ("file", "row", "reason", "message")}
"""Keys of a line of the list of rejected rows that `editfhf mos --rejected` writes."""


def rejection_as_dict(rejection: Rejection, keys: Mapping[str, str] = REJECTION_KEYS) -> dict[str, Any]:
    """Show a rejection under the keys of a file format.

    Parameters
    ----------
    rejection : Rejection
    keys : mapping from str to str
        From each key of the format, in its order, to the field of `Rejection` that it shows.

    Returns
    -------
    dict

    Examples
    --------
    >>> rejection_as_dict(Rejection("rating", "a.csv", 7, "missing_score", "the score is blank"), ROW_REJECTION_KEYS)
    {'file': 'a.csv', 'row': 7, 'reason': 'missing_score', 'message': 'the score is blank'}
    """
    return {key: getattr(rejection, field) for key, field in keys.items()}


def encode_rejection(
    rejection: Rejection, keys: Mapping[str, str] = REJECTION_KEYS, more: Mapping[str, Any] | None = None
) -> bytes:
    """Encode a rejection as a line of a JSON-lines file.

    Parameters
    ----------
    rejection : Rejection
    keys : mapping from str to str
        See `rejection_as_dict`.
    more : mapping from str to JSON value, optional
        Further keys of the format that no rejection has.

    Returns
    -------
    bytes
        UTF-8 with a line feed at the end.
    """
    return orjson.dumps(rejection_as_dict(rejection, keys) | dict(more or {}), option=orjson.OPT_APPEND_NEWLINE)
