"""`mos:` in build.yaml: a scoring method with its options, and the scale on which people rated."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, Discriminator, Tag, model_validator

from mos.methods.bt500 import Bt500Options
from mos.methods.correlation import CorrelationOptions
from mos.methods.mos import MosOptions
from mos.methods.p910 import P910Options
from mos.methods.p913 import P913Options
from mos.methods.paper import PaperOptions
from mos.methods.zscore import ZscoreOptions
from mos.scoring.options import Options

DEFAULT = "paper"
CONFIDENCE = 0.95


class OnScale(BaseModel):
    """The lowest and the highest rating that people could give."""

    scale: tuple[float, float] = (1.0, 5.0)

    @model_validator(mode="before")
    @classmethod
    def _null_is_a_word(cls, section: Any) -> Any:
        """YAML reads `on_too_few: null` as nothing."""
        unquoted = isinstance(section, dict) and section.get("on_too_few", "") is None
        return {**section, "on_too_few": "null"} if unquoted else section

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.scale[0] >= self.scale[1]:
            raise ValueError(f"scale must be [low, high] with low < high, but got {list(self.scale)}")
        if getattr(self, "confidence", CONFIDENCE) != CONFIDENCE:
            raise ValueError(f"confidence must be {CONFIDENCE}: the columns of a dataset are called ci95")
        return self


class Paper(PaperOptions, OnScale):
    """The paper's method; the default."""


class Plain(MosOptions, OnScale):
    """Plain means."""


class Zscore(ZscoreOptions, OnScale):
    """z-scores without screening."""


class Bt500(Bt500Options, OnScale):
    """BT.500's screening and plain means."""


class Correlation(CorrelationOptions, OnScale):
    """Screening by correlation and plain means."""


class P913(P913Options, OnScale):
    """Means without the raters' biases."""


class P910(P910Options, OnScale):
    """Means weighted by the raters' consistency."""


SCORING: dict[str, type[Options]] = {
    "paper": Paper,
    "mos": Plain,
    "zscore": Zscore,
    "bt500": Bt500,
    "correlation": Correlation,
    "p913": P913,
    "p910": P910,
}


def _method(section: Any) -> str:
    return (
        str(section.get("method", DEFAULT)) if isinstance(section, dict) else str(getattr(section, "method", DEFAULT))
    )


Scoring = Annotated[
    Annotated[Paper, Tag("paper")]
    | Annotated[Plain, Tag("mos")]
    | Annotated[Zscore, Tag("zscore")]
    | Annotated[Bt500, Tag("bt500")]
    | Annotated[Correlation, Tag("correlation")]
    | Annotated[P913, Tag("p913")]
    | Annotated[P910, Tag("p910")],
    Discriminator(_method),
]
