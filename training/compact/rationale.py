"""A sentence for each finding, from closed parts only: flaw type, severity, place in the image, and the instruction.

Nothing is said that the network did not decide or the user did not write: no object, cause or number is made up.
"""

from __future__ import annotations

from annotation.records import Box, Kind, Severity
from training.compact.words import list_instruction_words

FLAW_PARTS: dict[str, str] = {
    "hand_foot": "a hand or foot looks malformed",
    "face": "a face looks distorted",
    "body": "a body or limb is out of proportion or bent the wrong way",
    "object_structure": "outlines are warped, so that the thing shown does not hold together",
    "duplication": "a part appears twice that should occur once",
    "blending": "a seam or halo shows where a piece was inserted",
    "physics_placement": "something is placed where nothing supports it",
    "scale_perspective": "size or proportions do not fit the scene",
    "light_shadow": "light or shadow contradicts the rest of the scene",
    "texture": "the surface has lost its natural structure",
    "color": "the colours do not belong to the scene",
    "blur_noise": "detail is lost in blur, noise or blocks",
    "garbled_text": "lettering cannot be read",
    "foreign_mark": "a foreign mark lies on the image",
    "not_executed": "the requested change cannot be found",
    "partial": "the requested change is incomplete",
    "wrong_target": "the change seems to be applied to another thing than the one named",
    "wrong_content": "what was changed does not match what was asked for",
    "wrong_quantity": "the number of things does not match what was asked for",
    "wrong_position": "the change is not in the place that was asked for",
    "wrong_degree": "the change is much weaker or stronger than asked for",
    "unintended_change": "something was changed that was not asked for",
    "identity_loss": "the subject no longer looks like the one in the source",
    "global_drift": "the whole image has drifted from the source",
    "other": "something looks wrong",
}
"""What is said for each flaw type."""

_SEVERITY_PARTS: dict[Severity, str] = {
    "minor": "It is a minor flaw",
    "moderate": "It is a moderate flaw",
    "severe": "It is a severe flaw",
}
_WHOLE_SHARE = 0.55
_LONGEST_QUOTE = 120


def write_finding_rationale(
    kind: Kind, flaw_type: str, severity: Severity, box: Box, height: int, width: int, instruction: str
) -> str:
    """Write the rationale of one finding.

    Parameters
    ----------
    kind : {"artifact", "failure"}
    flaw_type : str
        One of `FLAW_PARTS`.
    severity : {"minor", "moderate", "severe"}
    box : Box
        In pixels of an image of `height` and `width`.
    instruction : str
        It is quoted for a failure, shortened, as the user wrote it.

    Examples
    --------
    >>> write_finding_rationale("artifact", "blur_noise", "minor", Box(0, 0, 9, 9), 90, 90, "")
    'In the upper left, detail is lost in blur, noise or blocks. It is a minor flaw of the image itself.'
    """
    where = describe_box_place(box, height, width)
    sentence = f"{where}, {FLAW_PARTS[flaw_type]}."
    if kind == "artifact":
        return f"{sentence} {_SEVERITY_PARTS[severity]} of the image itself."
    quoted = _quote_instruction(instruction)
    against = f" against the instruction {quoted}" if quoted else " of the edit"
    return f"{sentence} {_SEVERITY_PARTS[severity]}{against}."


def describe_box_place(box: Box, height: int, width: int) -> str:
    """Where a box is: one of nine parts of the image, or all of it.

    >>> describe_box_place(Box(70, 40, 90, 60), 90, 90), describe_box_place(Box(0, 0, 90, 80), 90, 90)
    ('In the middle right', 'Over the whole image')
    """
    if box.area > _WHOLE_SHARE * height * width:
        return "Over the whole image"
    column = ("left", "", "right")[min(max(int(1.5 * (box.x0 + box.x1) / width), 0), 2)]
    row = ("upper", "middle", "lower")[min(max(int(1.5 * (box.y0 + box.y1) / height), 0), 2)]
    if not column:
        return {"upper": "In the upper part", "middle": "In the centre", "lower": "In the lower part"}[row]
    return f"In the {row} {column}"


def _quote_instruction(instruction: str) -> str:
    """The instruction in quotation marks on one line, shortened; "" if it has no word."""
    if not list_instruction_words(instruction):
        return ""
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in instruction).split())
    if len(text) > _LONGEST_QUOTE:
        text = text[: _LONGEST_QUOTE - 1].rstrip() + "…"
    return f"“{text}”"
