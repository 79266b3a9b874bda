"""The people of a campaign: who they are, how the server knows them, and what they may do."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from mos.errors import UserError

Role = Literal["candidate", "checker", "regional", "expert", "reviewer", "rater"]
"""A candidate has to qualify before they get work of their other roles."""

COLUMNS = ("person_id", "email", "name", "roles")

PersonId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]
Email = Annotated[str, StringConstraints(to_lower=True, pattern=r"^[^@\s]+@[^@\s]+$", max_length=200)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class Person(BaseModel):
    """One person; in records and exports the annotator is the `person_id`.

    Who leaves stays listed with `active: false`: what they finished counts, what they did not goes to others.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    person_id: PersonId
    email: Email
    name: Name
    roles: tuple[Role, ...] = Field(min_length=1)
    active: bool = True

    @field_validator("roles")
    @classmethod
    def _in_order(cls, roles: tuple[Role, ...]) -> tuple[Role, ...]:
        return tuple(sorted(set(roles)))


def read_people(path: Path) -> list[dict[str, Any]]:
    """The rows of a table `person_id,email,name,roles` (roles apart by blanks or semicolons), not yet checked.

    `UserError` when the file cannot be read or has other columns.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            names = list(reader.fieldnames or ())
            found = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read ({error.__class__.__name__}). Expected a table in UTF-8.") from None
    if sorted(names) != sorted(COLUMNS):
        came = ", ".join(names) or "nothing"
        raise UserError(f"{path}: expected the columns {', '.join(COLUMNS)}, got {came[:200]}. Correct the first line.")
    for row, line in enumerate(found, start=2):
        if None in line or None in line.values():
            raise UserError(f"{path}, line {row}: expected {len(COLUMNS)} fields. Put texts with a comma in quotes.")
    return [line | {"roles": line["roles"].replace(";", " ").split()} for line in found]
