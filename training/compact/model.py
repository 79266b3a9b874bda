"""The trained part of the compact network: it compares frozen features of a pair under its instruction.

features of both, cues, text --> comparison at three scales --> context --> two maps, presence, three scores
                                                                  |
                                          boxes --> pooled context --> flaw type, severity
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from annotation.records import DIMENSIONS, KINDS, SEVERITIES
from annotation.taxonomy import list_flaw_types
from training.compact.backbone import FEATURE_CHANNELS
from training.compact.flaw_classes import BOX_GEOMETRY, FLAW_CLASSES
from training.compact.pair_inputs import CUE_COUNT, WHOLE_COUNT
from training.compact.words import TEXT_SIZE

FINE_CHANNELS = FEATURE_CHANNELS[0] + FEATURE_CHANNELS[1]
MIDDLE_CHANNELS, COARSE_CHANNELS = FEATURE_CHANNELS[2:]

_MATCH_HEADS = 4


@dataclass(frozen=True, slots=True)
class NetworkSize:
    """Widths of the trained part.

    Attributes
    ----------
    fine, middle, coarse : int
        Channels at strides 8, 16 and 32.
    text : int
        Length of the embedded instruction.
    hidden : int
        Width of the heads of scores and flaws.
    """

    fine: int = 32
    middle: int = 64
    coarse: int = 64
    text: int = 48
    hidden: int = 128


class PairOutput(NamedTuple):
    """What the network says of a batch of pairs.

    Attributes
    ----------
    shape_logits : Tensor
        [N, 2, 80, 96] logits of the maps, of images that have a flaw of the kind.
    presence_logits : Tensor
        [N, 2] logits that the image has a flaw of the kind.
    scores, log_sd : Tensor
        [N, 3] mean opinion scores as shares of 100, and the logarithm of their standard deviation.
    context : Tensor
        [N, C, 40, 48] what the flaw head pools.
    text : Tensor
        [N, text] embedded instruction.
    """

    shape_logits: Tensor
    presence_logits: Tensor
    scores: Tensor
    log_sd: Tensor
    context: Tensor
    text: Tensor


def make_convolution(entry: int, leaving: int, kernel: int = 3, dilation: int = 1) -> nn.Sequential:
    """A convolution with group normalisation, which is the same for training and inference."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(entry, leaving, kernel, padding=padding, dilation=dilation, bias=False),
        nn.GroupNorm(8, leaving),
        nn.ReLU(),
    )


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.first = make_convolution(channels, channels, 3, dilation)
        self.second = nn.Conv2d(channels, channels, 1)

    def forward(self, values: Tensor) -> Tensor:
        out: Tensor = self.second(self.first(values))
        return out + values


class LocalComparison(nn.Module):
    """Project both feature maps, look up each place of the current image around it in the source, and compare.

    Registration brings the source into place but for local warps. With a reach above 0 the source's features are
    averaged over a window of cells, with weights by likeness, before they are subtracted.
    """

    def __init__(self, entry: int, leaving: int, reach: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(entry, leaving, 1)
        self.reach = reach
        self.sharpness = nn.Parameter(torch.tensor(2.3))
        self.leaving = 3 * leaving + 1

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        first, second = self.project(before), self.project(after)
        first_unit, second_unit = (functional.normalize(each, dim=1, eps=1e-4) for each in (first, second))
        if not self.reach:
            likeness = (first_unit * second_unit).sum(1, keepdim=True)
            return torch.cat([second, (second - first).abs(), first, likeness], 1)
        reach, (height, width) = self.reach, first.shape[-2:]
        framed, framed_unit = (functional.pad(each, [reach] * 4, mode="replicate") for each in (first, first_unit))
        places = [(y, x) for y in range(2 * reach + 1) for x in range(2 * reach + 1)]
        likenesses = torch.stack(
            [(framed_unit[..., y : y + height, x : x + width] * second_unit).sum(1) for y, x in places], 1
        )
        weights = torch.softmax(likenesses * torch.exp(self.sharpness), 1)
        matched = torch.zeros_like(second)
        for index, (y, x) in enumerate(places):
            matched = matched + weights[:, index, None] * framed[..., y : y + height, x : x + width]
        return torch.cat([second, (second - matched).abs(), matched, likenesses.amax(1, keepdim=True)], 1)


class Conditioning(nn.Module):
    """Scale and shift channels by the instruction."""

    def __init__(self, text: int, channels: int) -> None:
        super().__init__()
        self.project = nn.Linear(text, 2 * channels)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, values: Tensor, text: Tensor) -> Tensor:
        gain, offset = self.project(text)[..., None, None].chunk(2, 1)
        return values * (1 + gain) + offset


class CompactModel(nn.Module):
    """From features, cues and text of a batch of pairs to a `PairOutput`; and from boxes to their flaws.

    Parameters
    ----------
    size : NetworkSize
    """

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        self.size = size
        for name, length in (
            ("fine", FINE_CHANNELS),
            ("middle", MIDDLE_CHANNELS),
            ("coarse", COARSE_CHANNELS),
            ("cue", CUE_COUNT),
        ):
            self.register_buffer(f"{name}_mean", torch.zeros(length, 1, 1))
            self.register_buffer(f"{name}_scale", torch.ones(length, 1, 1))
        self.register_buffer("map_shift", torch.zeros(len(KINDS)))
        self.register_buffer("sd_shift", torch.zeros(len(DIMENSIONS)))
        self.text = nn.Sequential(nn.Linear(TEXT_SIZE, size.text), nn.ReLU(), nn.Linear(size.text, size.text))
        self.compare_fine = LocalComparison(FINE_CHANNELS, size.fine, 0)
        self.compare_middle = LocalComparison(MIDDLE_CHANNELS, size.middle // 2, 1)
        self.compare_coarse = LocalComparison(COARSE_CHANNELS, size.coarse // 2, 0)
        self.mix_coarse = make_convolution(self.compare_coarse.leaving, size.coarse, 1)
        self.tell_coarse = Conditioning(size.text, size.coarse)
        self.mix_middle = make_convolution(self.compare_middle.leaving + size.coarse + _MATCH_HEADS, size.middle, 1)
        self.tell_middle = Conditioning(size.text, size.middle)
        self.middle = ResidualBlock(size.middle, 1)
        self.mix_fine = make_convolution(self.compare_fine.leaving + size.middle + CUE_COUNT, size.fine, 1)
        self.tell_fine = Conditioning(size.text, size.fine)
        self.fine = nn.Sequential(*(ResidualBlock(size.fine, dilation) for dilation in (1, 3)))
        self.named = nn.Linear(size.text, _MATCH_HEADS * (size.middle // 2))
        self.map_head = nn.Conv2d(size.fine, 4 * len(KINDS), 3, padding=1)
        pooled = 2 * size.fine + size.coarse + len(KINDS) * size.fine + size.text + WHOLE_COUNT
        self.image_head = nn.Sequential(nn.Linear(pooled, size.hidden), nn.ReLU(), nn.Dropout(0.1))
        self.presence_head = nn.Linear(size.hidden, len(KINDS))
        self.score_head = nn.Linear(size.hidden, 2 * len(DIMENSIONS))
        self.context_channels = 3 * size.fine + CUE_COUNT
        box_entry = 2 * self.context_channels + size.text + BOX_GEOMETRY + len(KINDS)
        self.flaw_head = nn.Sequential(
            nn.LayerNorm(box_entry),
            nn.Dropout(0.2),
            nn.Linear(box_entry, size.hidden),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(size.hidden, len(FLAW_CLASSES) + len(SEVERITIES)),
        )

    def forward(
        self,
        before: tuple[Tensor, Tensor, Tensor],
        after: tuple[Tensor, Tensor, Tensor],
        cues: Tensor,
        whole: Tensor,
        text: Tensor,
    ) -> PairOutput:
        """Compare a batch of pairs.

        Parameters
        ----------
        before, after : (Tensor, Tensor, Tensor)
            Features of source and current image: [N, 64, 40, 48], [N, 112, 20, 24], [N, 320, 10, 12].
        cues : Tensor
            [N, CUE_COUNT, 40, 48].
        whole : Tensor
            [N, WHOLE_COUNT].
        text : Tensor
            [N, TEXT_SIZE].
        """
        told = self.text(text)
        cues = (cues - self.cue_mean) * self.cue_scale
        fine, middle, coarse = (
            [(side - getattr(self, f"{name}_mean")) * getattr(self, f"{name}_scale") for side in sides]
            for name, *sides in zip(("fine", "middle", "coarse"), before, after, strict=True)
        )
        coarse_mix = self.tell_coarse(self.mix_coarse(self.compare_coarse(*coarse)), told)
        compared = self.compare_middle(*middle)
        query = self.named(told).unflatten(1, (_MATCH_HEADS, -1))
        named = torch.einsum("nqc,nchw->nqhw", query, compared[:, : query.shape[2]]) / query.shape[2] ** 0.5
        middle_mix = self.mix_middle(torch.cat([compared, _double(coarse_mix), named], 1))
        middle_mix = self.middle(self.tell_middle(middle_mix, told))
        compared_fine = self.compare_fine(*fine)
        raised = _double(middle_mix)
        fine_mix = self.fine(self.tell_fine(self.mix_fine(torch.cat([compared_fine, raised, cues], 1)), told))
        shape_logits = functional.pixel_shuffle(self.map_head(fine_mix), 2)
        image = self.image_head(_describe_image(fine_mix, coarse_mix, shape_logits, told, whole))
        presence = self.presence_head(image)
        scores, log_sd = self.score_head(image).chunk(2, 1)
        context = torch.cat([fine_mix, compared_fine[:, : 2 * self.size.fine], cues], 1)
        return PairOutput(
            shape_logits, presence, torch.sigmoid(scores), log_sd.clamp(-4.0, 0.0) + self.sd_shift, context, told
        )

    def classify_boxes(
        self, context: Tensor, text: Tensor, masks: Tensor, geometry: Tensor, kinds: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Say the flaw of each box.

        Parameters
        ----------
        context : Tensor
            [N, C, 40, 48] of a `PairOutput`.
        text : Tensor
            [N, text] of it.
        masks : Tensor
            [N, B, 40, 48] share of each cell that each box covers.
        geometry : Tensor
            [N, B, BOX_GEOMETRY], see `describe_boxes`.
        kinds : Tensor
            [N, B, 2] 1 for the box's kind.

        Returns
        -------
        (Tensor, Tensor)
            [N, B, classes] logits of flaw types, very low for those of the other kind; [N, B, 3] of severities.
        """
        flat = context.flatten(2).transpose(1, 2)
        inside = masks.flatten(2)
        inside = inside / inside.sum(2, keepdim=True).clamp_min(1e-6)
        mean = inside @ flat
        spread = (inside @ flat.square() - mean.square()).clamp_min(0).add(1e-6).sqrt()
        told = text[:, None].expand(-1, masks.shape[1], -1)
        logits = self.flaw_head(torch.cat([mean, spread, told, geometry, kinds], 2))
        flaws, severities = logits.split([len(FLAW_CLASSES), len(SEVERITIES)], 2)
        allowed = torch.cat(
            [kinds[..., [index]].expand(-1, -1, len(list_flaw_types(kind))) for index, kind in enumerate(KINDS)], 2
        )
        return flaws - 1e4 * (1 - allowed), severities


def combine_maps(shape_logits: Tensor, presence_logits: Tensor, shift: Tensor | None = None) -> Tensor:
    """The maps, [N, 2, H, W]: the shape times the probability that there is a flaw.

    People's disks lie at random places of a flaw, so this estimate of the mean map has low peaks. `shift`, [2], is
    added to the logarithm of its odds, which keeps the order of all pixels, to reach the absolute scale.
    """
    maps = torch.sigmoid(shape_logits) * torch.sigmoid(presence_logits)[..., None, None]
    if shift is None:
        return maps
    gain = torch.exp(shift)[:, None, None]
    return maps * gain / (1 + (gain - 1) * maps)


def _double(values: Tensor) -> Tensor:
    return functional.interpolate(values, scale_factor=2.0, mode="bilinear", align_corners=False)


def _describe_image(fine: Tensor, coarse: Tensor, logits: Tensor, told: Tensor, whole: Tensor) -> Tensor:
    """Means and peaks of the context, and its sums where each map is high, so that more flaws give larger numbers."""
    maps = functional.avg_pool2d(torch.sigmoid(logits), 2).flatten(2)
    flawed = maps @ fine.flatten(2).transpose(1, 2) / (0.02 * maps.shape[2])
    return torch.cat([fine.mean((2, 3)), fine.amax((2, 3)), coarse.mean((2, 3)), flawed.flatten(1), told, whole], 1)
