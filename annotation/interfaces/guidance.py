"""Hot keys, colours, guidance and drawings that the labelling interfaces show to annotators.

Each hot key means the same in every stage.  The drawings (`guidelines/FLAW_TYPE.png`) are our own;
`tests/docs/guideline_images.py` makes them.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from importlib import resources

HOT_KEYS: dict[str, dict[str, str]] = {
    "disk": {"artifact": "1", "failure": "2"},
    "box": {"artifact": "3", "failure": "4"},
    "severity": {"minor": "5", "moderate": "6", "severe": "7"},
    "verdict": {"agree": "8", "revise": "9", "drop": "p"},
    "no_flaw": {"no_flaw": "0"},
    "text_read": {"read": "n"},
    # Letters that the left hand reaches; Label Studio itself uses r, k, v, h (tools) and u (deselects a region).
    "flaw_type": {
        "hand_foot": "q",
        "face": "w",
        "body": "e",
        "object_structure": "t",
        "duplication": "y",
        "blending": "a",
        "physics_placement": "s",
        "scale_perspective": "d",
        "light_shadow": "f",
        "texture": "g",
        "color": "z",
        "blur_noise": "x",
        "garbled_text": "c",
        "foreign_mark": "b",
        "not_executed": "shift+q",
        "partial": "shift+w",
        "wrong_target": "shift+e",
        "wrong_content": "shift+t",
        "wrong_quantity": "shift+y",
        "wrong_position": "shift+a",
        "wrong_degree": "shift+s",
        "unintended_change": "shift+d",
        "identity_loss": "shift+f",
        "global_drift": "shift+g",
        "other": "o",
    },
}
"""Hot key by control, and by label or choice."""


KIND_COLOURS: dict[str, str] = {"artifact": "#d1495b", "failure": "#2e6fba"}


DISK_COLOURS: dict[str, str] = {kind: f"{colour}a6" for kind, colour in KIND_COLOURS.items()}
"""Colours of disks by kind: partly transparent, so that the image stays visible."""


POSTPONE_LINE = (
    "The button > at the foot puts a task off: it comes again later. If you cannot judge a pair at all (an image does "
    "not load, the instruction makes no sense), tick 'I cannot judge this pair', say why in the note, and submit: the "
    "manager reads it, and somebody else gets the pair."
)


MARKING_LINES = (
    "Look for flaws in the edited image. For each, ask: could it be there although everything that was asked for had "
    "been done, and nothing else had changed? Yes: an artifact, a defect of the image. No: a failure of the edit, such "
    "as a part of the old content that remains, or a change that nobody asked for. Mark each flaw once.",
    "Once, in each browser: press the button with the two sliders at the foot of the page and switch on 'Keep label "
    "selected after creating a region'. One key then serves for any number of disks; without it, press it before each.",
    "For each flaw: press 1 (artifact) or 2 (failure) and set its disks: one on a small flaw; on a larger one side by "
    "side, not on one another, until it is covered, but never more than 9: if they do not cover it, spread 9 evenly "
    "over it. Then press 3 (artifact) or 4 (failure), the same kind, and draw a box around the flawed thing and its "
    "disks. Disks first: a click inside of a box selects that box.",
    "What is missing: mark the place where it should be; what was not changed: the thing that should have changed. A "
    "wrong number of things: one box around all of them. A flaw of the whole image: a box around the whole image, and "
    "9 disks in three rows.",
    "Then click into the box, press the key of its flaw type, then 5, 6 or 7 for minor, moderate or severe, then "
    "Escape, which deselects the box. Then continue with the next flaw.",
    "To set a disk inside of a box, or a box inside of a box, hold Ctrl down. Backspace removes what is selected, "
    "Ctrl+Z undoes the last action.",
    "A disk belongs to the smallest box of its kind around it: no relation is needed. If two boxes overlap and it "
    "should be the other one, select the disk, press Alt+R and click on the box.",
    "Before you submit: every box has a disk of its own colour in it, and every disk a box. No flaw at all: press 0; "
    "an answer without any mark and without it does not count, and the task comes again. Ctrl+Enter submits.",
    POSTPONE_LINE,
)


SCORING_LINES = (
    "Click on each line where your score is, from {low} (bad) to {high} (excellent), anywhere between the marks. "
    "Nothing is selected until you click, and all three are required. The arrow keys move the score that you set last.",
)


SUBMIT_LINE = "Then press the button Submit: after a click on a line every key belongs to that line, Ctrl+Enter too."


REVIEWING_LINES = (
    "Click on each box, or on its line in the list on the right, and read what is written about it.",
    "To change a text, click on the pencil beside it, write, and press Shift+Enter or click on the tick.",
)


STAGE_GUIDANCE: dict[str, tuple[str, ...]] = {
    "qualification": (*MARKING_LINES[:-2], "No flaw at all: press 0.", *SCORING_LINES, SUBMIT_LINE),
    "regional": MARKING_LINES,
    "expert": (
        "You see what the annotators agree on, as a proposal: each box has the disks of all of them. Move, remove or "
        "add boxes and disks until all is right. What you submit is what counts, and nothing else: a disk that you "
        "remove is gone, and what you leave stays exactly as it is. If you leave no box, press 0.",
        *MARKING_LINES[1:],
    ),
    "textual": (
        *REVIEWING_LINES,
        "Press N for each text that you have read.",
        "If every text says correctly and completely what is wrong and why, leave all as it is and press 8. If you "
        "changed one, press 9. Check the flaw type and the severity too. Ctrl+Enter submits.",
    ),
    "expert_text": (*REVIEWING_LINES, "The reviewers did not agree: what you leave here is final. Ctrl+Enter submits."),
    "scoring": (
        "Compare the two images. The boxes show flaws that others found; their texts are below the scores, with the "
        "numbers of the list on the right: a click on a line of that list shows its box.",
        *SCORING_LINES,
        "Tick a flaw that you find unreasonable.",
        SUBMIT_LINE,
        POSTPONE_LINE,
    ),
    "prompt_check": (
        "8: the instruction can be carried out on this image as it is. 9: it can if it is rewritten; write it below. "
        "P: it cannot, or should not. Then press the button Submit.",
    ),
}


DRAWING_INSTRUCTIONS: dict[str, str] = {
    "not_executed": "Make the mug blue.",
    "partial": "Remove the gift and the mug.",
    "wrong_target": "Make the mug blue.",
    "wrong_content": "Replace the mug with a plant.",
    "wrong_quantity": "Add one balloon.",
    "wrong_position": "Put a mug on the left.",
    "wrong_degree": "Make the mug a little larger.",
    "unintended_change": "Make the mug blue.",
    "identity_loss": "Make the shirt blue.",
    "global_drift": "Make the mug blue.",
}
"""Instruction of the edit in the drawing of each type of failure."""


@cache
def encode_flaw_drawing(flaw_type: str) -> str | None:
    """Encode the drawing of a flaw type for a labelling configuration.

    Parameters
    ----------
    flaw_type
        Id of the flaw type.

    Returns
    -------
    str or None
        A `data:` URL of a PNG of 324 x 120 pixels; None for a type without a drawing.
    """
    file = resources.files("annotation.interfaces").joinpath("guidelines", f"{flaw_type}.png")
    if not file.is_file():
        return None
    return "data:image/png;base64," + b64encode(file.read_bytes()).decode("ascii")
