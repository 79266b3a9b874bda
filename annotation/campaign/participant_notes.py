"""What participants wrote to the manager, and where they could not judge a pair; read from the archive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from annotation.campaign.archive import AnnotationVersion, AnswerArchive, open_archive_copy
from annotation.campaign.model import TaskKey
from annotation.campaign.options import CampaignOptions, read_campaign_options
from annotation.labelstudio.submissions import ControlNames, is_declined
from annotation.text import MAX_TEXT_LENGTH, is_unicode, normalize_text


@dataclass(frozen=True, slots=True)
class ParticipantNote:
    """A note of a participant to the manager, or that they cannot judge a pair.

    Parameters
    ----------
    at
        ISO time of the submission; "" when unknown.
    stage, pair_id
        The stage and the pair of the task.
    person_id
        Who wrote it; the owner of the task if the server does not name the author.
    text
        The note; "" where nothing was written.
    cannot_judge
        Whether the participant said that they cannot judge the pair.
    link
        Address of the task in Label Studio; None when its project is unknown.
    """

    at: str
    stage: str
    pair_id: str
    person_id: str
    text: str
    cannot_judge: bool
    link: str | None

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return asdict(self)


def read_campaign_notes(corpus: Path) -> list[ParticipantNote]:
    """Read the notes in the campaign of a corpus as the last sync left it, also while one is running.

    Parameters
    ----------
    corpus
        Folder of the corpus.

    Returns
    -------
    list of ParticipantNote
        In the order of time.

    Raises
    ------
    UserError
        There is no campaign in the corpus, or its campaign.yaml is wrong.
    """
    options = read_campaign_options(corpus)
    with open_archive_copy(corpus) as archive:
        return list_participant_notes(archive, options)


def list_participant_notes(archive: AnswerArchive, options: CampaignOptions) -> list[ParticipantNote]:
    """List the notes of every submission, also of one that does not count, in the order of time.

    Of the versions of a submission the latest counts.  The notes of checkers are part of their verdict and are left
    out: `campaign/prompt_check.jsonl` has them.
    """
    people = {person.email: person.person_id for person in options.people}
    notes = [
        note
        for text in archive.known_keys()
        if (key := TaskKey.parse(text)) is not None and key.stage != "prompt_check"
        for history in archive.versions(text).values()
        for note in _iterate_notes(key, history[-1][1], people, options.url)
    ]
    return sorted(notes, key=lambda note: (note.at, note.stage, note.pair_id, note.person_id, note.text))


def _iterate_notes(
    key: TaskKey, version: AnnotationVersion, people: Mapping[str, str], url: str
) -> Iterator[ParticipantNote]:
    annotation = version.annotation
    if annotation is None:
        return
    declined = is_declined(annotation)
    at = annotation.get("updated_at") or annotation.get("created_at")
    project = annotation.get("project")
    link = f"{url.rstrip('/')}/projects/{project}/data?task={version.task_id}" if isinstance(project, int) else None
    person_id = people.get(version.author or "", key.person_id)
    for text in _read_notes(annotation) or ([""] if declined else []):
        yield ParticipantNote(
            at if isinstance(at, str) else "", key.stage, key.pair_id, person_id, text, declined, link
        )


def _read_notes(annotation: Mapping[str, Any]) -> list[str]:
    """What the author wrote into the note, without empty texts; the annotation may be damaged."""
    control, result = ControlNames().note, annotation.get("result")
    found = []
    for item in result if isinstance(result, list) else ():
        value = item.get("value") if isinstance(item, dict) and item.get("from_name") == control else None
        text = value.get("text") if isinstance(value, dict) else None
        lines = [text] if isinstance(text, str) else text if isinstance(text, list) else []
        joined = "\n".join(line for line in lines if isinstance(line, str))
        if is_unicode(joined) and (note := normalize_text(joined[:MAX_TEXT_LENGTH])):
            found.append(note)
    return found
