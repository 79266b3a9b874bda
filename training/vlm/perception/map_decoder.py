"""From features on the grid of tokens to the logits of both maps, for an image of any size."""

from __future__ import annotations

from torch import Tensor, nn

from annotation.records import KINDS

UPSAMPLINGS = 3
"""Times that the decoder doubles the grid of the tokens."""

_GROUPS = 8
_CLEAN_LOGIT = -3.0  # maps are almost empty, and so are the first ones


class MapDecoder(nn.Module):
    """Decode feature grids.

    Parameters
    ----------
    sources : int
        Kinds of features of each token: merged, deepstack, and final hidden state.
    channels : int
        Length of each.
    width : int
        Channels on the grid of the tokens; half as many after each doubling.

    Notes
    -----
    Each source is normalised and projected, and the projections are added, which is one linear layer of their
    concatenation. Groups are normalised within an image, so that no image depends on others of its batch.
    """

    def __init__(self, sources: int, channels: int, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(sources))
        self.projections = nn.ModuleList(nn.Linear(channels, width) for _ in range(sources))
        blocks: list[nn.Module] = [_make_block(width, width)]
        for _ in range(UPSAMPLINGS):
            narrow = max(width // 2, 2 * _GROUPS)
            blocks += [nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), _make_block(width, narrow)]
            width = narrow
        self.blocks = nn.Sequential(*blocks)
        self.last = nn.Conv2d(width, len(KINDS), 1)
        nn.init.constant_(self.last.bias, _CLEAN_LOGIT)

    def forward(self, features: Tensor) -> Tensor:
        """Decode one image.

        Parameters
        ----------
        features : Tensor
            float32 [h, w, S, D].

        Returns
        -------
        Tensor
            [2, 8 h, 8 w]: logits of the maps, in the order of `annotation.records.KINDS`.
        """
        parts = zip(features.unbind(2), self.norms, self.projections, strict=True)
        joined = sum(project(norm(values)) for values, norm, project in parts)
        logits: Tensor = self.last(self.blocks(joined.permute(2, 0, 1)[None]))[0]
        return logits


def _make_block(before: int, after: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.GroupNorm(_GROUPS, after), nn.GELU())
