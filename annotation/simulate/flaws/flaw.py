"""One injected flaw: its place, type, severity and rationale.

Rationales come from templates per flaw type and have 15 to 40 words once they are filled in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotation.records import DISK_RADIUS_PER_HEIGHT, Box, Disk, Kind, Severity

SEVERITY_STRENGTH: dict[Severity, float] = {"minor": 0.3, "moderate": 0.65, "severe": 1.0}


@dataclass(frozen=True, slots=True)
class InjectedFlaw:
    kind: Kind
    flaw_type: str
    severity: Severity
    box: Box
    disks: tuple[Disk, ...]
    rationale: str


def sample_disks(pixels: NDArray[np.bool_], box: Box, rng: np.random.Generator) -> tuple[Disk, ...]:
    """One to four points on the flawed pixels inside the box, about a disk's diameter or more apart."""
    x0, y0, x1, y1 = (int(v) for v in box)
    rows, columns = np.nonzero(pixels[y0:y1, x0:x1])
    if not rows.size:
        return (Disk((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2),)
    radius = DISK_RADIUS_PER_HEIGHT * pixels.shape[0]
    wanted = int(np.clip(box.area / (np.pi * (2 * radius) ** 2), 1, 4))
    chosen: list[Disk] = []
    for at in rng.integers(rows.size, size=24):
        disk = Disk(float(columns[at] + x0 + 0.5), float(rows[at] + y0 + 0.5))
        if all(np.hypot(disk.x - other.x, disk.y - other.y) >= 2 * radius for other in chosen):
            chosen.append(disk)
        if len(chosen) == wanted:
            break
    return tuple(chosen)


SEVERITY_ADVERBS: dict[Severity, str] = {"minor": "slightly", "moderate": "clearly", "severe": "badly"}


# {at}: place in the image, {how}: adverb of severity, {seen}: what the painter drew there.
ARTIFACT_TEXTS: dict[str, tuple[str, ...]] = {
    "hand_foot": (
        "The raised hand in {at} is {how} malformed: extra fingers of uneven length fan out in impossible "
        "directions, so it no longer looks like a hand with five fingers.",
        "Too many fingers grow from the hand in {at}; several point backwards and overlap, which is {how} wrong for "
        "any real or toy hand.",
    ),
    "face": (
        "The face in {at} is {how} distorted: eyes and mouth have slid out of place and no longer line up, "
        "so the features look melted and asymmetric.",
        "Facial features in {at} are {how} deformed, with one side sagging and swollen against the other, which no "
        "natural face would show.",
    ),
    "body": (
        "The body in {at} is {how} twisted: an arm breaks off at a wrong joint and a leg bends sideways, so the "
        "posture is anatomically impossible.",
        "Limbs of the figure in {at} are {how} out of proportion, one arm hangs detached and one leg is folded in a "
        "direction no joint allows.",
    ),
    "object_structure": (
        "Outlines in {at} are {how} bent out of shape: {seen}, so the thing shown there looks broken and could not "
        "exist like this.",
        "The structure in {at} is {how} warped; {seen}, and straight or round edges no longer hold together as one "
        "solid object.",
    ),
    "duplication": (
        "A part of the picture in {at} appears twice: {seen}, {how} visible as a ghost copy right beside the "
        "original content.",
        "The content in {at} is {how} repeated: {seen}, although this part should occur only once in the scene.",
    ),
    "blending": (
        "In {at} a piece looks pasted on: {seen}, and its exposure is {how} off against the surroundings, so the "
        "seam stands out.",
        "There is a {how} visible cut-out edge in {at}: {seen}, where the inserted piece does not merge with the "
        "picture around it.",
    ),
    "physics_placement": (
        "In {at} {seen} without support, string or shadow, which is {how} implausible because such an object would "
        "fall to the ground.",
        "An object is placed {how} wrong in {at}: {seen}, touching nothing and tilted, as if gravity did not exist "
        "here.",
    ),
    "scale_perspective": (
        "The object in {at} does not fit the perspective: {seen}, so its proportions are {how} wrong compared with "
        "everything around it.",
        "In {at} {seen}; size and viewing angle contradict the rest of the scene {how}, so it looks like a flat "
        "sticker.",
    ),
    "light_shadow": (
        "The light in {at} contradicts the scene: {seen}, {how} visible although nothing in the picture could "
        "explain it.",
        "In {at} {seen}, which is {how} inconsistent with the direction and strength of the light on everything else.",
    ),
    "texture": (
        "The surface in {at} looks {how} unnatural: {seen}, and the fine structure of the original material has been "
        "lost.",
        "In {at} {seen}, so the material is {how} wrong and does not match the surfaces directly around it.",
    ),
    "color": (
        "The colours in {at} are {how} wrong: {seen}, which belongs neither to the object nor to the light of the "
        "scene.",
        "In {at} {seen}, {how} different from its surroundings, as if the colour had bled across the picture.",
    ),
    "blur_noise": (
        "The patch in {at} has {how} lower image quality: {seen}, while everything around it stays sharp and clean.",
        "In {at} {seen}, so that details are {how} lost compared with the neighbouring parts of the picture.",
    ),
    "garbled_text": (
        "The lettering in {at} cannot be read: letters are {how} malformed, mirrored and overlapping, so the label "
        "shows no real word.",
        "In {at} a label carries {how} broken symbols instead of letters; strokes are cut, flipped and merged into "
        "nonsense.",
    ),
    "foreign_mark": (
        "In {at} {seen}, a {how} disturbing foreign mark that belongs neither to the photographed scene nor to the "
        "requested edit.",
        "A stray mark disturbs the picture in {at}: {seen}, {how} visible on top of the actual content.",
    ),
}


# {found}: what is seen, {asked}: what the instruction wanted.
FAILURE_TEXTS: dict[str, tuple[str, ...]] = {
    "not_executed": (
        "The instruction was not carried out: {at} shows exactly the content of the source, and nothing of {asked} "
        "can be found there.",
        "Nothing has changed in {at} compared with the source, so {asked}, which the instruction requested, is "
        "completely missing.",
    ),
    "partial": (
        "Only part of the request was done: {asked} is incomplete in {at}, where {found}, so the edit stops half way.",
        "The edit is unfinished in {at}: {found}, although {asked} should have been carried out completely.",
    ),
    "wrong_target": (
        "The change was applied to the wrong thing: {found} in {at} is affected, while the instruction named {asked} "
        "instead.",
        "Instead of {asked}, which the instruction named, the edit shows {found} in {at}, so the target was confused.",
    ),
    "wrong_content": (
        "The edit in {at} has the wrong content: it shows {found}, whereas the instruction explicitly asked for "
        "{asked}.",
        "Something was changed in {at}, but into {found}; the instruction wanted {asked}, so the result does not "
        "match it.",
    ),
    "wrong_quantity": (
        "The number is wrong: in {at} there is evidence of {found}, but the instruction asked for {asked}.",
        "The count does not match the instruction, which wanted {asked}; the picture shows {found} in {at}.",
    ),
    "wrong_position": (
        "The edit put {found} in {at}, but the instruction asked for it in {asked}, so the position is wrong.",
        "Right thing, wrong place: {found} appears in {at} instead of {asked}, where the instruction wanted it.",
    ),
    "wrong_degree": (
        "The strength of the edit is wrong in {at}: {asked} is {found}, so the request is not met as it was meant.",
        "In {at} the edit misses the intended degree; {asked} is {found}, which does not follow the instruction.",
    ),
    "unintended_change": (
        "In {at} {found}, {how} different from the source, although the instruction did not ask for any change there.",
        "The edit altered something it should have kept: in {at} {found}, which is {how} unlike the source picture.",
    ),
    "identity_loss": (
        "{Asked} in {at} looks {how} unlike the one in the source: {found}, so it can no longer pass for the same "
        "subject.",
        "The identity of {asked} is lost in {at}: {found}, which is {how} different from the subject of the source.",
    ),
    "global_drift": (
        "The whole picture drifted although only {asked} was requested: {found}, {how} visible when compared with "
        "the source.",
        "Beyond {asked}, the entire frame has changed: {found}, which is {how} noticeable against the source picture.",
    ),
}


def write_rationale(
    kind: Kind, flaw_type: str, severity: Severity, rng: np.random.Generator, at: str, found: str, asked: str = ""
) -> str:
    """A rationale for one flaw from one of the templates of its type, chosen at random."""
    texts = (ARTIFACT_TEXTS if kind == "artifact" else FAILURE_TEXTS)[flaw_type]
    text = texts[int(rng.integers(len(texts)))]
    words = {"at": at, "how": SEVERITY_ADVERBS[severity], "seen": found, "found": found, "asked": asked}
    return text.format(Asked=asked[:1].upper() + asked[1:], **words)
