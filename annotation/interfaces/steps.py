"""What the annotators of each stage are told to do, line by line; `{low}` and `{high}` are the ends of the scale."""

from __future__ import annotations

MARK = (
    "Look for what is wrong in the edited picture. An artifact is a visible defect, whatever was asked for. A failure "
    "is where the result departs from the instruction.",
    "Once, in each browser: press the button with the two sliders at the foot of the page and switch on 'Keep label "
    "selected after creating a region'. One key then serves for any number of disks; without it, press it before each.",
    "For each flaw: press 1 (artifact) or 2 (failure) and click on its middle; on a long flaw click on more places. "
    "Then press 3 (artifact) or 4 (failure) and draw a box around the flawed thing and its disks. Disks first: a "
    "click inside of a box selects that box.",
    "Then click into the box, press the key of its flaw type, then 5, 6 or 7 for minor, moderate or severe, then "
    "Escape, which lets go of the box: the next flaw begins.",
    "To set a disk inside of a box, or a box inside of a box, hold Ctrl down. Backspace removes what is selected, "
    "Ctrl+Z takes the last step back.",
    "A disk belongs to the smallest box of its kind around it: no relation is needed. If two boxes overlap and it "
    "should be the other one, select the disk, press Alt+R and click on the box.",
    "No flaw at all: press 0. Ctrl+Enter submits.",
)
SCORE = (
    "Click on each line where your score is, from {low} (bad) to {high} (excellent), anywhere between the marks. "
    "Nothing is set until you click, and all three are needed. The arrow keys move the one that you set last.",
)
BUTTON = "Then press the button Submit: after a click on a line every key belongs to that line, Ctrl+Enter too."
READ = (
    "Click on each box, or on its line in the list on the right, to see what is written about it.",
    "To change a text, click on the pencil beside it, write, and press Shift+Enter or click on the tick.",
)

STEPS: dict[str, tuple[str, ...]] = {
    "qualification": (*MARK[:-1], "No flaw at all: press 0.", *SCORE, BUTTON),
    "regional": MARK,
    "expert": (
        "You see what the annotators agree on, as a proposal. Move, remove or add boxes and disks until all is right: "
        "what you submit is what counts.",
        *MARK[1:],
    ),
    "textual": (
        *READ,
        "If every text says rightly and fully what is wrong and why, leave all as it is and press 8. If you changed "
        "one, press 9. Check the flaw type and the severity too. Ctrl+Enter submits.",
    ),
    "expert_text": (*READ, "The reviewers did not agree: what you leave here is final. Ctrl+Enter submits."),
    "scoring": (
        "Compare the two pictures. The boxes show what others found; their texts are below the scores.",
        *SCORE,
        "Tick a flaw that you find unreasonable.",
        BUTTON,
    ),
    "prompt_check": (
        "8: the instruction can be carried out on this picture as it is. 9: it can if it is rewritten; write it below. "
        "P: it cannot, or should not. Then press the button Submit.",
    ),
}
