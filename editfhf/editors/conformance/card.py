"""The card of an editor: what a check found, as a file, and its digest in the records of the editor."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from editfhf.editors.protocol import Editor, EditRequest, EditResult
from mos.errors import UserError
from mos.files import read_regular_file, replace_file

CARD_NAME = "editor.json"

Verdict = Literal["ok", "fault", "does not apply", "unknown"]
"""`unknown`: the probe could not be judged, and its sentence says why."""

ProbeName = Literal[
    "mask_ignored",
    "mask_inverted",
    "shift",
    "zoom",
    "colour_drift",
    "no_op",
    "seed_ignored",
    "wrong_size",
    "lossy",
    "second_image_ignored",
]

MAX_CARD_BYTES = 1 << 20


class ProbeResult(BaseModel):
    """What one probe found: the verdict, what was measured, the limit from which it is a fault, and one sentence."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verdict: Verdict
    value: float | None
    limit: float
    sentence: str


class EditorCard(BaseModel):
    """What an editor does.

    Attributes
    ----------
    editor, version, parameters
        As in the editor's records.
    checked_by : str
        Version of EditFHF.
    probes : dict
    calls : int
        Edits that were asked for.
    seconds, cost : float
        Of all calls; not part of the digest.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    editor: str
    version: str
    parameters: dict[str, Any]
    checked_by: str
    probes: dict[ProbeName, ProbeResult]
    calls: int
    seconds: float
    cost: float

    @property
    def faults(self) -> list[ProbeName]:
        """Names of the probes that found a fault."""
        return [name for name, probe in self.probes.items() if probe.verdict == "fault"]

    @property
    def digest(self) -> str:
        """SHA-256 of what was found; the same for two checks that found the same."""
        content = self.model_dump(mode="json", exclude={"seconds", "cost"})
        return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def write_card(card: EditorCard, folder: Path) -> Path:
    """Write `editor.json` into a folder, which is made; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / CARD_NAME
    content = card.model_dump(mode="json") | {"digest": card.digest}
    replace_file(path, orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")
    return path


def read_card(path: Path) -> EditorCard:
    """Read a card.

    Raises
    ------
    UserError
        The file is no card, or was changed since it was written.
    """
    data = read_regular_file(path)
    advice = "Make it again: editfhf editors check NAME --out DIR."
    try:
        content = orjson.loads(data) if len(data) <= MAX_CARD_BYTES else None
        digest = content.pop("digest") if isinstance(content, dict) else None
        card = EditorCard.model_validate(content)
    except (orjson.JSONDecodeError, ValidationError, KeyError):
        raise UserError(f"{path} is no card of an editor. {advice}") from None
    if digest != card.digest:
        raise UserError(f"{path} was changed since it was written: its digest is another one. {advice}")
    return card


def attach_card(editor: Editor, card: EditorCard) -> Editor:
    """The editor with the digest of its card in every record.

    Raises
    ------
    UserError
        The card is that of another editor.
    """
    if card.editor != editor.name:
        raise UserError(f"The card is that of the editor {card.editor!r}: expected one of {editor.name!r}.")
    return _CardedEditor(editor, card.digest)


class _CardedEditor:
    def __init__(self, editor: Editor, digest: str) -> None:
        self._editor = editor
        self._digest = digest

    @property
    def name(self) -> str:
        return self._editor.name

    def edit(self, request: EditRequest) -> EditResult:
        result = self._editor.edit(request)
        return replace(result, record=replace(result.record, card_digest=self._digest))
