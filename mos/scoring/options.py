"""The options that all scoring methods share, their validation, and their JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from mos.errors import UserError

# A number that counts as the decimal that was written: 0.05 is one twentieth, not the nearest binary fraction.
ExactDecimal = Annotated[
    Decimal,
    BeforeValidator(lambda value: str(value) if isinstance(value, float) else value),
    PlainSerializer(lambda value: int(value) if value == int(value) else float(value), when_used="json"),
]


class ScoringOptions(BaseModel):
    """Options that all methods share; each method has its own subclass.

    The constructor raises pydantic's ValidationError, a ValueError; `from_mapping` raises UserError instead.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    method: str
    min_ratings: int = Field(2, ge=1, description="An item with fewer remaining ratings has no score.")
    on_too_few: Literal["null", "raise", "fallback"] = Field(
        "null",
        description="What such an item gets: no score, an error, or the mean of all its ratings, screened out or not.",
    )
    interval: Literal["t", "normal", "bootstrap"] = Field(
        "t",
        description="Student's t with n - 1 degrees of freedom; the normal quantile (1.96) of older tools; "
        "or the percentiles of the whole method, screening included, repeated on resampled raters.",
    )
    clip: bool = Field(False, description="Cut scores to the range of their unit; they are counted either way.")
    confidence: float = Field(0.95, gt=0, lt=1, description="Level of the intervals.")
    resamples: int = Field(1000, ge=100, le=100_000, description="Repetitions of the bootstrap.")
    seed: int = Field(0, ge=0, description="Seed of the bootstrap.")

    def as_dict(self) -> dict[str, Any]:
        """The options as JSON values, as results store them."""
        return self.model_dump(mode="json")

    def in_resamples(self) -> Self:
        """The options for the resamples of a bootstrap, in which too few ratings of an item are no error."""
        return self.model_copy(update={"on_too_few": "null"}) if self.on_too_few == "raise" else self

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> Self:
        """Make the options from names and values.

        Parameters
        ----------
        given : mapping from str
            Options by name; the others get their defaults.

        Returns
        -------
        ScoringOptions

        Raises
        ------
        UserError
            For an unknown option or an invalid value.
        """
        try:
            return cls.model_validate(dict(given))
        except ValidationError as error:
            raise UserError("; ".join(_option_error(cls, dict(found)) for found in error.errors()) + ".") from None


def _option_error(options: type[ScoringOptions], error: dict[str, Any]) -> str:
    name = ".".join(map(str, error["loc"])) or "options"
    if error["type"] == "extra_forbidden":
        known = ", ".join(field for field in options.model_fields if field != "method")
        return (
            f"unknown option '{name}' of the method {options.model_fields['method'].default}; expected one of {known}"
        )
    message = str(error["msg"])
    return f"{name}: {message[0].lower()}{message[1:]}; got {str(error['input'])[:60]!r}"
