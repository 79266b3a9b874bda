"""Reasoning by a served model: for each box a flaw type of the closed list, a severity and a sentence."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from annotation.images import RgbImage
from annotation.records import Box, Kind
from editfhf.chat import ModelAnswer
from editfhf.drafting.pair_images import encode_image
from editfhf.drafting.reply import RegionDescription, parse_draft_reply, reply_model
from training.agents.results import Finding
from training.prompts.numbered_regions import (
    list_regions,
    number_boxes,
    outline_boxes,
    split_boxes,
)
from training.served.prompt import build_served_request, encode_shown_image, identify_served_agent, shrink_image
from training.served.server import ModelServer, find_outcome_status, find_served_options, open_model_server


class ServedReasoning:
    """A vision-language model that describes flaws, whose regions are outlined and numbered in the image.

    What its reply says about a box is validated as a draft of a campaign is; what fails is a finding with the status
    "unparsed" and the reason.
    """

    def __init__(self, server: ModelServer) -> None:
        self._server = server
        self.identity = identify_served_agent("reasoning", server.options)

    def diagnose_boxes(
        self, source: RgbImage, current: RgbImage, instruction: str, boxes: Sequence[tuple[Kind, Box]]
    ) -> list[Finding]:
        """Ask about a few boxes at a time, see `split_boxes`; every image shows the numbers of all boxes."""
        if not boxes:
            return []
        options = self._server.options
        shown = shrink_image(current, options)
        numbered = number_boxes(boxes)
        outlined = outline_boxes(shown, (current.shape[0], current.shape[1]), numbered)
        images = {
            "source": encode_shown_image(source, options),
            "edited": encode_image(shown, options.picture_format),
            "numbered": encode_image(outlined, options.picture_format),
        }
        findings: list[Finding] = []
        for part in split_boxes(numbered):
            kinds = {number: kind for number, (kind, _) in part.items()}
            reply = reply_model(kinds)
            request = build_served_request("reasoning", options, images, reply, instruction, regions=list_regions(part))
            findings += self._read_findings(self._server.ask(request), part, kinds)
        return findings

    def _read_findings(
        self, outcome: Any, part: Mapping[int, tuple[Kind, Box]], kinds: Mapping[int, Kind]
    ) -> Iterator[Finding]:
        if not isinstance(outcome, ModelAnswer):
            status, detail = find_outcome_status(outcome)
            for kind, box in part.values():
                yield Finding(kind, box, status, self.identity, detail=detail)
            return
        parsed = parse_draft_reply(outcome.value, kinds)
        for number, (kind, box) in part.items():
            found = parsed.described.get(number)
            if isinstance(found, RegionDescription):
                yield Finding(kind, box, "ok", self.identity, found.flaw_type, found.severity, found.text)
            else:
                yield Finding(kind, box, "unparsed", self.identity, detail=parsed.rejections[number].message)


def make_served_reasoning(**options: Any) -> ServedReasoning:
    """A reasoning agent with the options of `ServedOptions`; see `find_served_options`."""
    return ServedReasoning(open_model_server(find_served_options(os.environ, **options)))
