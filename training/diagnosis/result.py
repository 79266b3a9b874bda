"""The result of a diagnosis: maps, regions, findings and scores, and how they are shown and saved."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from annotation.images import RgbImage
from annotation.records import KINDS, Kind
from mos.errors import UserError
from mos.files import replace_file
from mos.words import format_identifier
from training.agents.absent import NO_AGENT_FAMILY
from training.agents.map_regions import LEAST_REGION_AREA, REGION_THRESHOLD, MapRegion
from training.agents.results import AgentIdentity, Finding, PerceivedMaps, Score, combine_scores

if TYPE_CHECKING:
    from PIL import Image

    from training.agents.registry import AgentRole

DIAGNOSIS_FILE = "diagnosis.json"
OVERLAY_FILE = "overlay.png"
MAP_FILES: Mapping[Kind, str] = {kind: f"{kind}.png" for kind in KINDS}

DIAGNOSIS_FILES = (*MAP_FILES.values(), OVERLAY_FILE, DIAGNOSIS_FILE)
"""Files of a diagnosis in the order in which they are written: with the last one it is complete."""

_OVERLAY_COMPRESSION = 4


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What the agents found in one edited image. A notebook shows it by itself; `save` writes its files.

    Attributes
    ----------
    edited : ndarray
        uint8 [H, W, 3], the image that was diagnosed.
    instruction : str
        What the editor was asked to do.
    maps : PerceivedMaps
        Two saliency maps, float32 [H, W] in [0, 1].
    regions : dict
        For each kind the regions of its map, from top to bottom.
    findings : tuple of Finding
        One for each region: first those of the artifacts, then those of the failures, in the order of `regions`.
    scores : tuple of Score
        One for each dimension.
    agents : dict
        Which agent had each role: perception, reasoning and evaluation.
    inputs : str
        SHA-256 of everything that decides the result: both images, the instruction, the agents and the settings.

    Examples
    --------
    >>> found = training.diagnose("source.png", "edited.png", "Remove the hat.")       # doctest: +SKIP
    >>> [(label, finding.flaw_type) for label, finding in found.labelled_findings()]   # doctest: +SKIP
    [('A1', 'hand_foot')]
    >>> found.save("out")                                                              # doctest: +SKIP
    """

    edited: RgbImage
    instruction: str
    maps: PerceivedMaps
    regions: Mapping[Kind, tuple[MapRegion, ...]]
    findings: tuple[Finding, ...]
    scores: tuple[Score, ...]
    agents: Mapping[AgentRole, AgentIdentity]
    inputs: str

    @property
    def overall(self) -> float | None:
        """The overall score, 0 to 100; None where a dimension has no value."""
        return combine_scores(self.scores)

    @property
    def is_clean(self) -> bool:
        """Whether neither map has a region."""
        return not self.findings

    @property
    def is_complete(self) -> bool:
        """Whether every agent that was asked could be asked; what failed may be asked again."""
        results: list[Finding | Score] = [*self.findings, *self.scores]
        return not any(each.status == "error" and each.agent.family != NO_AGENT_FAMILY for each in results)

    def labelled_findings(self) -> Iterator[tuple[str, Finding]]:
        """Each finding with its label in the picture: A1, A2, ... for artifacts, F1, F2, ... for failures."""
        for (label, _), finding in zip(self.labelled_regions(), self.findings, strict=True):
            yield label, finding

    def labelled_regions(self) -> Iterator[tuple[str, MapRegion]]:
        """Each region with its label, in the order of the findings."""
        for kind in KINDS:
            for number, region in enumerate(self.regions[kind], start=1):
                yield f"{kind[0].upper()}{number}", region

    def as_dict(self) -> dict[str, Any]:
        """The content of `diagnosis.json`: JSON values only, the same for the same inputs."""
        from editfhf import __version__

        height, width = self.edited.shape[:2]
        regions = [region for _, region in self.labelled_regions()]
        return {
            "editfhf": __version__,
            "inputs": self.inputs,
            "complete": self.is_complete,
            "instruction": self.instruction,
            "width": width,
            "height": height,
            "clean": self.is_clean,
            "overall": None if self.overall is None else round(self.overall, 4),
            "scores": [_score_as_dict(score) for score in self.scores],
            "findings": [
                _finding_as_dict(label, finding, region)
                for (label, finding), region in zip(self.labelled_findings(), regions, strict=True)
            ],
            "agents": {role: _identity_as_dict(agent) for role, agent in self.agents.items()},
            "settings": {"threshold": REGION_THRESHOLD, "least_area": LEAST_REGION_AREA},
        }

    def render_overlay(self) -> Image.Image:
        """The edited image with both maps, numbered boxes and a legend."""
        from training.diagnosis.overlay import draw_overlay

        labels = [(label, finding.kind, finding.box) for label, finding in self.labelled_findings()]
        return draw_overlay(self.edited, self.maps, labels)

    def save(self, folder: str | Path) -> Path:
        """Write `artifact.png`, `failure.png`, `overlay.png` and `diagnosis.json`; the same diagnosis, the same bytes.

        Parameters
        ----------
        folder : str or Path
            Made when it is missing. Files of these names are replaced.

        Returns
        -------
        Path
            The folder.
        """
        from editfhf.saliency import encode_saliency, quantise_saliency

        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise UserError(f"{folder} is no folder, or lies in a file: name a folder for the diagnosis.") from None
        (folder / DIAGNOSIS_FILE).unlink(missing_ok=True)  # an older one must not vouch for the new maps
        for kind, name in MAP_FILES.items():
            replace_file(folder / name, encode_saliency(quantise_saliency(self.maps.by_kind(kind))), sync=False)
        replace_file(folder / OVERLAY_FILE, self._overlay_png, sync=False)
        content = orjson.dumps(self.as_dict(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        replace_file(folder / DIAGNOSIS_FILE, content, sync=False)
        return folder

    @cached_property
    def _overlay_png(self) -> bytes:
        stream = io.BytesIO()
        self.render_overlay().save(stream, "PNG", compress_level=_OVERLAY_COMPRESSION)
        return stream.getvalue()

    def __repr__(self) -> str:
        height, width = self.edited.shape[:2]
        counts = ", ".join(f"{len(self.regions[kind])} {kind}" for kind in KINDS)
        overall = "no overall score" if self.overall is None else f"overall {self.overall:.1f}"
        return f"Diagnosis({width} x {height}: {counts} regions, {overall})"

    def _repr_png_(self) -> bytes:
        return self._overlay_png

    def _repr_html_(self) -> str:
        from editfhf.display import format_html_table

        scores = [(format_identifier(score.dimension), format_score(score)) for score in self.scores]
        scores.append(("overall", "none" if self.overall is None else f"{self.overall:.1f}"))
        findings = [
            (label, format_identifier(finding.flaw_type or ""), finding.severity or "", describe_finding(finding))
            for label, finding in self.labelled_findings()
        ]
        about = format_html_table(("agent", "which"), [(role, str(agent)) for role, agent in self.agents.items()])
        picture = base64.b64encode(self._overlay_png).decode("ascii")
        return (
            f"<div>{format_html_table(('instruction',), [(self.instruction,)])}"
            f'<img alt="edited image with numbered flaws" style="max-width:100%" '
            f'src="data:image/png;base64,{picture}">'
            f"{format_html_table(('score', '0 to 100'), scores)}"
            f"{format_html_table(('region', 'flaw type', 'severity', 'what is wrong'), findings) if findings else ''}"
            f"{about}</div>"
        )


def format_score(score: Score) -> str:
    """The value of a score with its standard deviation, or its status and why.

    >>> agent = AgentIdentity("test", "one", "1")
    >>> format_score(Score("perceptual_quality", 61.23, 4.0, "ok", agent))
    '61.2 ± 4.0'
    >>> format_score(Score("perceptual_quality", None, None, "refused", agent, "The model declined."))
    'refused: The model declined.'
    """
    if score.value is None:
        return f"{score.status}: {score.detail}".removesuffix(": ")
    return f"{score.value:.1f}" if score.sd is None else f"{score.value:.1f} ± {score.sd:.1f}"


def describe_finding(finding: Finding) -> str:
    """The rationale of a finding, or its status and why there is none."""
    if finding.status == "ok":
        return finding.rationale
    return f"{finding.status}: {finding.detail}".removesuffix(": ")


def _score_as_dict(score: Score) -> dict[str, Any]:
    return {
        "dimension": score.dimension,
        "value": None if score.value is None else round(score.value, 4),
        "sd": None if score.sd is None else round(score.sd, 4),
        "status": score.status,
        "detail": score.detail,
    }


def _finding_as_dict(label: str, finding: Finding, region: MapRegion) -> dict[str, Any]:
    return {
        "label": label,
        "kind": finding.kind,
        "box": list(finding.box),
        "area": region.area,
        "peak": round(region.peak, 4),
        "flaw_type": finding.flaw_type,
        "severity": finding.severity,
        "rationale": finding.rationale,
        "confidence": None if finding.confidence is None else round(finding.confidence, 4),
        "status": finding.status,
        "detail": finding.detail,
    }


def _identity_as_dict(agent: AgentIdentity) -> dict[str, str]:
    return {name: getattr(agent, name) for name in ("family", "name", "version", "digest", "prompt_version")}
