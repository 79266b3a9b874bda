"""The evaluation agent that the paper's authors publish: their layout, their prompt, their positions; never a pickle.

Their folder holds a LoRA adapter of `Qwen3VLModel`, `score_head.pth` and `regression_config.json`.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from annotation.images import RgbImage
from annotation.records import DIMENSIONS
from mos.errors import UserError
from mos.files import read_regular_file
from training.agents.results import AgentIdentity, Score
from training.vlm.agent_folder import choose_device
from training.vlm.agent_network import ADAPTER_FILE, apply_adapter, read_tensors
from training.vlm.agent_options import find_checkpoint
from training.vlm.backbone import add_adapter, find_backbone_folder, load_backbone
from training.vlm.conversation import Conversation, encode_conversations, find_last_tokens, move_batch
from training.vlm.image_features import find_core
from training.vlm.image_processor import load_image_processor

HEAD_PICKLE = "score_head.pth"

MOST_PIXELS = 1_048_576
"""Largest area of an image in their training."""

_LEAST_PIXELS = 65_536
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


class _AdapterConfig(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    r: int = Field(ge=1)
    lora_alpha: float = Field(gt=0)


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
        backbone: str = "Qwen/Qwen3-VL-8B-Instruct",
        plain_positions: bool = True,
    ) -> None:
        folder = find_checkpoint("evaluation", checkpoint)
        sizes = _read_config(folder / "regression_config.json", _HeadConfig)
        lora = _read_config(folder / "adapter_config.json", _AdapterConfig)
        where = find_backbone_folder(backbone)
        device = choose_device()
        precision = torch.bfloat16 if device == "cuda" else torch.float32
        self._backbone = add_adapter(load_backbone(str(where), precision, device), lora.r, lora.lora_alpha).eval()
        tensors = read_tensors(folder / ADAPTER_FILE)
        # They adapted the model without its language head, whose names have one step less.
        inner = "base_model.model."
        apply_adapter(
            self._backbone,
            {f"{inner}model.{name.removeprefix(inner)}": value for name, value in tensors.items()},
            folder / ADAPTER_FILE,
        )
        head = AuthorsScoreHead(sizes.hidden_size, sizes.head_hidden_size, sizes.head_hidden_size2)
        data = read_regular_file(folder / HEAD_PICKLE)
        _load_head(head, data, folder / HEAD_PICKLE)
        self._head = head.to(device).eval()
        self._processor = load_image_processor(where, _LEAST_PIXELS, MOST_PIXELS)
        self._plain_positions = plain_positions
        digest = hashlib.sha256(data + read_regular_file(folder / ADAPTER_FILE)).hexdigest()
        prompt = "authors, 1-D positions" if plain_positions else "authors, 3-D positions"
        self.identity = AgentIdentity("authors", folder.name, "1", digest, prompt)

    def evaluate(self, source: RgbImage, current: RgbImage, instruction: str) -> list[Score]:
        """Score the current image; this agent gives no deviations."""
        batch = encode_conversations(self._processor, [ask_authors_question(source, current, instruction)])
        batch = move_batch(batch, choose_device())
        if self._plain_positions:
            places = batch["attention_mask"].cumsum(1).sub(1).clamp_min(0)
            batch["position_ids"] = places.expand(3, -1, -1)
        with torch.inference_mode():
            hidden = find_core(self._backbone)(**batch, use_cache=False).last_hidden_state
            last = find_last_tokens(batch["attention_mask"])
            values = self._head(hidden[torch.arange(len(hidden)), last])[0].double().cpu().tolist()
        return [Score(name, value, None, "ok", self.identity) for name, value in zip(DIMENSIONS, values, strict=True)]


def ask_authors_question(source: RgbImage, current: RgbImage, instruction: str) -> Conversation:
    """Their question: both images, then the text; tokens of a template in the instruction are broken up."""
    safe = instruction.strip().replace("<|", "< |")
    content: list[dict[str, str]] = [{"type": "image"}, {"type": "image"}]
    content.append({"type": "text", "text": _QUESTION.format(safe)})
    return Conversation([{"role": "user", "content": content}], [Image.fromarray(each) for each in (source, current)])


def _read_config(path: Path, kind: type[Any]) -> Any:
    try:
        return kind.model_validate_json(read_regular_file(path))
    except OSError as error:
        raise UserError(f"{path} cannot be read: choose a folder of the authors' evaluation agent.") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from error


def _load_head(head: AuthorsScoreHead, data: bytes, path: Path) -> None:
    try:
        head.load_state_dict(torch.load(io.BytesIO(data), map_location="cpu", weights_only=True))
    except pickle.UnpicklingError as error:
        raise UserError(f"{path} holds more than tensors, so it is not read: it could run any program.") from error
    except (RuntimeError, AttributeError, TypeError, EOFError) as error:
        raise UserError(f"{path} holds no score head of the sizes in regression_config.json.") from error
