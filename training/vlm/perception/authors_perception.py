"""The perception agent that the paper's authors publish: one adapter and decoder for each kind of flaw."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from annotation.images import RgbImage
from annotation.records import KINDS, Kind
from mos.errors import UserError
from mos.files import read_regular_file
from training.agents.results import AgentIdentity, PerceivedMaps
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
from training.vlm.conversation import encode_conversations, move_batch
from training.vlm.image_features import find_core, find_token_grids
from training.vlm.image_processor import load_image_processor

HEAD_PICKLE = "sal_head.pth"

FEATURE_LAYER = 26
"""The hidden states that their decoder reads at the tokens of the edited image."""

_HEADS = 8

_QUESTIONS: Mapping[Kind, str] = {
    "artifact": (
        "Task: identify and localize visual distortions in the Target image with respect to the Source image under the "
        "given editing instruction. Editing instruction: '{}'. Source is the original reference image and Target is "
        "the edited result image. Analyze the Target image and detect regions where visual quality is degraded, "
        "including artifacts, unnatural textures, color inconsistency, or structural errors introduced by editing. "
        "Focus on highlighting distortion regions while ignoring well-preserved areas. Output a dense distortion "
        "saliency map aligned with the Target image, where higher values indicate more severe distortions. Distortion "
        "Saliency Map:"
    ),
    "failure": (
        "Task: find where misalign the editing instruction occur in the Target image compared to the Source image. "
        "Editing instruction: '{}'. The Source image is the original reference and the Target image is the edited "
        "result. Identify regions in the Target image that not properly executed or regions incorrectly modified "
        "despite not requiring edits. Only focus on regions with distortions."
    ),
}


class AuthorsMapDecoder(nn.Module):
    """Their decoder, with their names of its tensors; `attn_norm` and `ffn` are there and not used.

    Parameters
    ----------
    tensors : dict of Tensor
        Of `sal_head.pth`; their shapes decide the sizes.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        width, channels = tensors["img_proj.weight"].shape[:2]
        levels = [tensors[f"dec{number}.net.0.weight"].shape[0] for number in (1, 2, 3)]
        self.img_proj = nn.Conv2d(channels, width, 1)
        self.global_proj = nn.Linear(tensors["global_proj.weight"].shape[1], width)
        self.attn = nn.MultiheadAttention(width, _HEADS, batch_first=True)
        self.attn_norm = nn.LayerNorm(width)
        self.ffn = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dec1, self.dec2, self.dec3 = (_make_block(*each) for each in zip([width, *levels], levels, strict=False))
        self.refine = _make_block(levels[2], levels[2])
        self.saliency_head = nn.Conv2d(levels[2], 1, 1)

    def forward(self, grid: Tensor, states: Tensor, size: tuple[int, int]) -> Tensor:
        """Decode one image.

        Parameters
        ----------
        grid : Tensor
            float32 [h, w, D]: hidden states at the tokens of the edited image. Their code guesses h and w from the
            shape of the image; here they are those of the processor.
        states : Tensor
            float32 [L, D]: final hidden states of all tokens.
        size : (int, int)
            Height and width of the map.

        Returns
        -------
        Tensor
            [H, W], from 0 to 1.
        """
        tokens = self.img_proj(grid.permute(2, 0, 1)[None]).flatten(2).transpose(1, 2)
        fused = torch.cat([tokens, self.global_proj(states)[None]], 1)
        seen = self.attn(fused, fused, fused)[0][:, : tokens.shape[1]]
        values = self.dec1(seen.transpose(1, 2).unflatten(2, grid.shape[:2]))
        values = self.dec2(functional.interpolate(values, scale_factor=2.0, mode="bilinear"))
        values = self.dec3(functional.interpolate(values, scale_factor=4.0, mode="bilinear"))
        values = self.refine(functional.interpolate(values, scale_factor=4.0, mode="bilinear"))
        saliency = torch.sigmoid(self.saliency_head(values))
        return functional.interpolate(saliency, size=size, mode="bilinear")[0, 0]


class _Block(nn.Module):
    def __init__(self, net: nn.Sequential) -> None:
        super().__init__()
        self.net = net

    def forward(self, values: Tensor) -> Tensor:
        found: Tensor = self.net(values)
        return found


def _make_block(before: int, after: int) -> _Block:
    first, second = nn.Conv2d(before, after, 3, padding=1), nn.Conv2d(after, after, 3, padding=1)
    return _Block(nn.Sequential(first, nn.BatchNorm2d(after), nn.GELU(), nn.Identity(), second, nn.BatchNorm2d(after)))


class AuthorsPerception:
    """Two saliency maps by the authors' checkpoints.

    Parameters
    ----------
    checkpoint : str or Path, optional
        Folder with their folders `artifact` and `failure`; by default that of EDITFHF_VLM_PERCEPTION.
    backbone : str
        The model that they trained on: a folder, or a name on the Hub.
    plain_positions : bool
        As of `AuthorsEvaluation`.
    layer : int
        Layer whose hidden states the decoder reads.

    Notes
    -----
    The map is what the decoder gives. Their inference shows the model one image, keeps half of its tokens, and
    stretches each map to its own maximum, so that a flaw is always found; none of it is done here.
    """

    def __init__(
        self,
        checkpoint: str | Path | None = None,
        backbone: str = DEFAULT_BACKBONE,
        plain_positions: bool = True,
        layer: int = FEATURE_LAYER,
    ) -> None:
        folder = find_checkpoint("perception", checkpoint)
        lora = read_authors_config(folder / KINDS[0] / "adapter_config.json", AuthorsAdapterConfig)
        where = find_backbone_folder(backbone)
        device = choose_device()
        precision = torch.bfloat16 if device == "cuda" else torch.float32
        self._backbone = add_adapter(load_backbone(str(where), precision, device), lora.r, lora.lora_alpha).eval()
        self._adapters = {kind: read_authors_adapter(folder / kind) for kind in KINDS}
        self._decoders = {kind: _load_decoder(folder / kind / HEAD_PICKLE).to(device).eval() for kind in KINDS}
        self._folder = folder
        self._processor = load_image_processor(where, LEAST_PIXELS, MOST_PIXELS)
        self._plain_positions = plain_positions
        self._layer = layer
        digest = hashlib.sha256()
        for kind in KINDS:
            for name in (ADAPTER_FILE, HEAD_PICKLE):
                digest.update(read_regular_file(folder / kind / name))
        prompt = "authors, 1-D positions" if plain_positions else "authors, 3-D positions"
        self.identity = AgentIdentity("authors", folder.name, "1", digest.hexdigest(), prompt)

    def perceive(self, source: RgbImage, current: RgbImage, instruction: str) -> PerceivedMaps:
        """Compute the maps at the size of the current image."""
        maps = {kind: self._draw_map(kind, source, current, instruction) for kind in KINDS}
        return PerceivedMaps(maps["artifact"], maps["failure"], self.identity)

    def _draw_map(self, kind: Kind, source: RgbImage, current: RgbImage, instruction: str) -> NDArray[np.float32]:
        apply_adapter(self._backbone, self._adapters[kind], self._folder / kind / ADAPTER_FILE)
        question = ask_authors_question(source, current, _QUESTIONS[kind], instruction)
        batch = move_batch(encode_conversations(self._processor, [question]), choose_device())
        batch = number_plainly(batch) if self._plain_positions else batch
        core = find_core(self._backbone)
        with torch.inference_mode():
            output = core(**batch, output_hidden_states=True, use_cache=False)
            rows, columns = find_token_grids(batch["image_grid_thw"], core.config.vision_config.spatial_merge_size)[1]
            at_images = output.hidden_states[self._layer][batch["input_ids"] == core.config.image_token_id]
            grid = at_images[-rows * columns :].float().unflatten(0, (rows, columns))
            states = output.last_hidden_state[0].float()
            saliency = self._decoders[kind](grid, states, (current.shape[0], current.shape[1]))
        return np.ascontiguousarray(saliency.float().cpu().numpy())


def _load_decoder(path: Path) -> AuthorsMapDecoder:
    tensors = {name: value.float() for name, value in read_pickled_tensors(path).items()}
    try:
        decoder = AuthorsMapDecoder(tensors)
        decoder.load_state_dict(tensors)
    except (KeyError, IndexError, RuntimeError, ValueError, AssertionError) as error:
        raise UserError(f"{path} holds no saliency decoder in the authors' layout.") from error
    return decoder
