"""The participants of a campaign: in `people` of campaign.yaml, or as a table."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from io import TextIOWrapper
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from mos.errors import UserError
from mos.files import open_regular_file
from mos.words import did_you_mean

ParticipantRole = Literal["candidate", "checker", "regional", "expert", "reviewer", "rater"]
"""A candidate must qualify before they get tasks of their other roles."""


PEOPLE_COLUMNS = ("person_id", "email", "name", "roles")


ParticipantId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]


EmailAddress = Annotated[str, StringConstraints(to_lower=True, pattern=r"^[^@\s]+@[^@\s]+$", max_length=200)]


ParticipantName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


_ROLE_SEPARATORS = re.compile(r"[\s;,]+")

PERSON_RULES: dict[str, str] = {
    "person_id": "an id of at most 40 letters, digits, '.', '_' and '-' that begins with a letter or a digit",
    "email": "an e-mail address",
    "name": "a name of 1 to 100 characters",
    "roles": f"one or more roles of {', '.join(get_args(ParticipantRole))}",
    "active": "true or false",
}
"""What is expected in each key of a participant, in words."""


class Participant(BaseModel):
    """One participant; records and exports name them by `person_id`.

    A participant who leaves stays listed with `active: false`: their finished tasks count, the others are reassigned.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    person_id: ParticipantId
    email: EmailAddress
    name: ParticipantName
    roles: tuple[ParticipantRole, ...] = Field(min_length=1)
    active: bool = True

    @field_validator("roles", mode="before")
    @classmethod
    def _split_roles(cls, roles: Any) -> Any:
        """Several roles in one text, as a table has them."""
        return _ROLE_SEPARATORS.split(roles.strip()) if isinstance(roles, str) else roles

    @field_validator("roles")
    @classmethod
    def _sort_roles(cls, roles: tuple[ParticipantRole, ...]) -> tuple[ParticipantRole, ...]:
        return tuple(sorted(set(roles)))


def read_people_table(path: Path) -> list[dict[str, Any]]:
    """Read a CSV table of participants.

    Parameters
    ----------
    path
        UTF-8 file with the columns `person_id,email,name,roles`; roles are separated by blanks, semicolons or commas.
        Rows without any text are skipped.

    Returns
    -------
    list of dict
        One row per participant, each as `parse_campaign_options` takes it.

    Raises
    ------
    UserError
        The file cannot be read, has other columns, or a row has too few or too many fields, a wrong value, or an id or
        address of an earlier row.
    """
    rows: list[tuple[int, dict[str, str]]] = []
    begins = 1
    try:
        with TextIOWrapper(open_regular_file(path), encoding="utf-8-sig", newline="") as stream:
            lines = stream.readlines()
        reader = csv.DictReader(lines, strict=True)
        names = list(reader.fieldnames or ())
        begins = reader.line_num + 1
        for row in reader:
            if any(row.values()):
                rows.append((reader.line_num, row))
            begins = reader.line_num + 1
    except csv.Error as error:
        begins += sum(1 for _ in takewhile(lambda line: not line.strip(), lines[begins - 1 :]))
        raise UserError(
            f"{path}, row {begins}: this row is not comma-separated values ({error}). Close every quotation mark that "
            "is opened, and write one within a field twice."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error.__class__.__name__}). Expected a table in UTF-8.") from None
    if sorted(names) != sorted(PEOPLE_COLUMNS):
        came = ", ".join(names) or "nothing"
        raise UserError(
            f"{path}: expected the columns {', '.join(PEOPLE_COLUMNS)}, got {came[:200]}. Correct the first line."
        )
    first_rows: dict[tuple[str, str], int] = {}
    for number, row in rows:
        if None in row or None in row.values():
            raise UserError(
                f"{path}, row {number}: expected {len(PEOPLE_COLUMNS)} fields. Put texts with a comma in quotes."
            )
        try:
            person = Participant.model_validate(row)
        except ValidationError as error:
            raise UserError(f"{path}, row {number}: {describe_person_error(error.errors()[0])}") from None
        for column, value in (("person_id", person.person_id), ("email", person.email)):
            earlier = first_rows.setdefault((column, value), number)
            if earlier != number:
                raise UserError(
                    f"{path}, row {number}: {column} {value!r} is in row {earlier} too: give each their own."
                )
    return [row for _, row in rows]


def describe_person_error(fault: Mapping[str, Any], prefix: int = 0) -> str:
    """What is wrong with a participant, in words; `prefix`: parts of the location that lead to the participant."""
    key = str(fault["loc"][prefix]) if len(fault["loc"]) > prefix else ""
    came = repr(fault["input"])[:80]
    if fault["type"] == "extra_forbidden":
        return f"unknown key {key[:80]!r}.{did_you_mean(key, PERSON_RULES)} Available: {', '.join(PERSON_RULES)}."
    if fault["type"] == "missing":
        return f"expected {PERSON_RULES[key]} in {key}, got nothing."
    if key == "roles" and isinstance(fault["input"], str):
        hint = did_you_mean(fault["input"].lower(), get_args(ParticipantRole))
        return f"expected {PERSON_RULES[key]}, got {came}.{hint}"
    rule = PERSON_RULES.get(key, f"a participant with {', '.join(PEOPLE_COLUMNS)}")
    return f"expected {rule}, got {came}."
