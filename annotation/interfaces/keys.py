"""Hot keys, the one table of them, in which a key means the same in every stage; and the colours of the kinds."""

from __future__ import annotations

KEYS: dict[str, dict[str, str]] = {
    "disk": {"artifact": "1", "failure": "2"},
    "box": {"artifact": "3", "failure": "4"},
    "severity": {"minor": "5", "moderate": "6", "severe": "7"},
    "verdict": {"agree": "8", "revise": "9", "drop": "p"},
    "no_flaw": {"no_flaw": "0"},
    # Letters beside the left hand; r, k, v and h belong to Label Studio's own tools, u lets go of a region.
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
"""Key by control and by label or choice."""

COLOURS: dict[str, str] = {"artifact": "#d1495b", "failure": "#2e6fba"}
RINGS: dict[str, str] = {kind: f"{colour}a6" for kind, colour in COLOURS.items()}
"""Colours of disks, which Label Studio draws as rings: the picture is seen through them."""
