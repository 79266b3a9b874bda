"""The evaluation agent that the paper's authors publish: their layout, their prompt, their positions; never a pickle.

Their folder holds a LoRA adapter of `Qwen3VLModel`, `score_head.pth` and `regression_config.json`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from annotation.images import RgbImage
from annotation.records import DIMENSIONS
from mos.errors import UserError
from mos.files import read_regular_file
from training.agents.results import AgentIdentity, Score
from training.vlm.agent_folder import choose_device
from training.vlm.agent_network import ADAPTER_FILE, apply_adapter
from training.vlm.agent_options import find_checkpoint
from training.vlm.authors_files import (
    DEFAULT_BACKBONE,
    LEAST_PIXELS,
    MOST_PIXELS,
    AuthorsAdapterConfig,
    ask_authors_question,
    number_plainly,
    read_authors_adapter,
    read_authors_config,
    read_pickled_tensors,
)
from training.vlm.backbone import add_adapter, find_backbone_folder, load_backbone
from training.vlm.conversation import encode_conversations, find_last_tokens, move_batch
from training.vlm.image_features import find_core
from training.vlm.image_processor import load_image_processor

HEAD_PICKLE = "score_head.pth"

_QUESTION = (
    "You are scoring an image editing result. The first image is the source image and the second image is the edited "
    "image. Editing instruction: {}. Evaluate the edited image from perceptual quality, instruction following and "
    "visual consistency. Return the three internal assessment score."
)


class _HeadConfig(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    hidden_size: int = Field(ge=1)
    head_hidden_size: int = Field(ge=1)
    head_hidden_size2: int = Field(ge=1)


class AuthorsScoreHead(nn.Module):
    """Their head: the three scores of pooled states [N, D], as `mlp.0`, `mlp.3` and `mlp.6`."""

    def __init__(self, hidden_size: int, first: int, second: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(hidden_size, first),
            nn.SiLU(),
            nn.Identity(),
            nn.Linear(first, second),
            nn.SiLU(),
            nn.Identity(),
            nn.Linear(second, len(DIMENSIONS)),
        )

    def forward(self, pooled: Tensor) -> Tensor:
        """Scores in MOS points, [N, 3], in the order of `DIMENSIONS`, which is also theirs."""
        scores: Tensor = 100 * torch.sigmoid(self.mlp(pooled.float()))
        return scores


class AuthorsEvaluation:
    """Three scores by the authors' checkpoint.

    Parameters
    ----------
    checkpoint : str or Path, optional
        Their folder; by default that of EDITFHF_VLM_EVALUATION.
    backbone : str
        The model that they trained on: a folder, or a name on the Hub.
    plain_positions : bool
        Whether tokens are numbered one by one, as transformers 5.3.0, which their README pins, does without
        `mm_token_type_ids`; else in rows and columns of images. Which one they trained with is not known.

    Raises
    ------
    UserError
        For a folder without such a checkpoint, one that is a pickle of more than tensors, or another backbone.
    """

    def __init__(
        self,
        checkpoint: str | Path | None = None,
        backbone: str = DEFAULT_BACKBONE,
        plain_positions: bool = True,
    ) -> None:
        folder = find_checkpoint("evaluation", checkpoint)
        sizes = read_authors_config(folder / "regression_config.json", _HeadConfig)
        lora = read_authors_config(folder / "adapter_config.json", AuthorsAdapterConfig)
        where = find_backbone_folder(backbone)
        device = choose_device()
        precision = torch.bfloat16 if device == "cuda" else torch.float32
        self._backbone = add_adapter(load_backbone(str(where), precision, device), lora.r, lora.lora_alpha).eval()
        apply_adapter(self._backbone, read_authors_adapter(folder), folder / ADAPTER_FILE)
        head = AuthorsScoreHead(sizes.hidden_size, sizes.head_hidden_size, sizes.head_hidden_size2)
        try:
            head.load_state_dict(read_pickled_tensors(folder / HEAD_PICKLE))
        except RuntimeError as error:
            raise UserError(
                f"{folder / HEAD_PICKLE} holds no score head of the sizes in regression_config.json."
            ) from error
        self._head = head.to(device).eval()
        self._processor = load_image_processor(where, LEAST_PIXELS, MOST_PIXELS)
        self._plain_positions = plain_positions
        data = read_regular_file(folder / HEAD_PICKLE)
        digest = hashlib.sha256(data + read_regular_file(folder / ADAPTER_FILE)).hexdigest()
        prompt = "authors, 1-D positions" if plain_positions else "authors, 3-D positions"
        self.identity = AgentIdentity("authors", folder.name, "1", digest, prompt)

    def evaluate(self, source: RgbImage, current: RgbImage, instruction: str) -> list[Score]:
        """Score the current image; this agent gives no deviations."""
        question = ask_authors_question(source, current, _QUESTION, instruction)
        batch = move_batch(encode_conversations(self._processor, [question]), choose_device())
        batch = number_plainly(batch) if self._plain_positions else batch
        with torch.inference_mode():
            hidden = find_core(self._backbone)(**batch, use_cache=False).last_hidden_state
            last = find_last_tokens(batch["attention_mask"])
            values = self._head(hidden[torch.arange(len(hidden)), last])[0].double().cpu().tolist()
        return [Score(name, value, None, "ok", self.identity) for name, value in zip(DIMENSIONS, values, strict=True)]
