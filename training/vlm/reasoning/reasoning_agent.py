"""Reasoning from a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from annotation.images import RgbImage
from annotation.records import Box, Kind
from training.agents.results import Finding
from training.prompts.numbered_regions import NumberedBoxes, number_boxes, split_boxes
from training.vlm.agent_folder import identify_agent, open_agent_backbone, read_agent_record
from training.vlm.agent_network import load_adapter
from training.vlm.agent_options import find_checkpoint
from training.vlm.reasoning.box_questions import ask_about_boxes, generate_replies
from training.vlm.reasoning.reply_text import read_reply


class VlmReasoning:
    """A flaw type, a severity and a sentence for each box by a vision-language model.

    Parameters
    ----------
    checkpoint : str or Path, optional
        Folder that `editfhf train reasoning --out` wrote; by default that of EDITFHF_VLM_REASONING.

    Raises
    ------
    UserError
        For a folder without such an agent, or another backbone than that of its training.
    """

    def __init__(self, checkpoint: str | Path | None = None) -> None:
        folder = find_checkpoint("reasoning", checkpoint)
        record = read_agent_record(folder, "reasoning")
        opened = open_agent_backbone(folder, record)
        load_adapter(opened.model, folder)
        self._backbone = opened.model.eval()
        self._processor = opened.processor
        self._most_new_tokens = record.head["most_new_tokens"]
        self._most_pixels = record.most_pixels
        self.identity = identify_agent(folder, record)

    def diagnose_boxes(
        self, source: RgbImage, current: RgbImage, instruction: str, boxes: Sequence[tuple[Kind, Box]]
    ) -> list[Finding]:
        """Ask about a few boxes at a time; every image shows the numbers of all boxes."""
        numbered = number_boxes(boxes)
        findings: list[Finding] = []
        for part in split_boxes(numbered):
            question = ask_about_boxes(source, current, instruction, numbered, part, self._most_pixels)
            (reply,) = generate_replies(self._backbone, self._processor, [question], self._most_new_tokens)
            findings += self._read_findings(reply, part)
        return findings

    def _read_findings(self, reply: str, part: NumberedBoxes) -> list[Finding]:
        parsed = read_reply(reply, {number: kind for number, (kind, _) in part.items()})
        findings = []
        for number, (kind, box) in part.items():
            found = None if parsed is None else parsed.described.get(number)
            if found is not None:
                content = {"flaw_type": found.flaw_type, "severity": found.severity, "rationale": found.text}
                findings.append(Finding(kind, box, "ok", self.identity, **content))  # type: ignore[arg-type]
            else:
                why = "The reply is not the JSON object that was asked for."
                detail = why if parsed is None else parsed.rejections[number].message
                findings.append(Finding(kind, box, "unparsed", self.identity, detail=detail))
        return findings
