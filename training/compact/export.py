"""Write the network as ONNX graphs and safetensors, with weights as float16 and arithmetic in float32."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np
import orjson
import torch
from torch import Tensor, nn

from mos.files import replace_file
from training.compact.backbone import Backbone
from training.compact.flaw_classes import BOX_GEOMETRY
from training.compact.model import (
    COARSE_CHANNELS,
    FINE_CHANNELS,
    MIDDLE_CHANNELS,
    CompactModel,
    combine_maps,
)
from training.compact.network import BACKBONE_FILE, BOX_FILE, PAIR_FILE
from training.compact.pair_inputs import COLUMNS, CUE_COUNT, HEIGHT, ROWS, WHOLE_COUNT, WIDTH
from training.compact.words import TEXT_SIZE

WEIGHT_FILE = "compact.safetensors"

_OPSET = 18
_LEAST_VALUES = 64  # smaller constants stay as they are


class PairGraph(nn.Module):
    """What is exported for a pair: from features, cues and text to maps and scores on their scales."""

    def __init__(self, model: CompactModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        before_fine: Tensor,
        before_middle: Tensor,
        before_coarse: Tensor,
        after_fine: Tensor,
        after_middle: Tensor,
        after_coarse: Tensor,
        cues: Tensor,
        whole: Tensor,
        instruction: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        found = self.model(
            (before_fine, before_middle, before_coarse),
            (after_fine, after_middle, after_coarse),
            cues,
            whole,
            instruction,
        )
        maps = combine_maps(found.shape_logits, found.presence_logits, self.model.map_shift)
        return maps, 100 * found.scores, 100 * found.log_sd.exp(), found.context, found.text


class BoxGraph(nn.Module):
    """What is exported for boxes: from context and boxes to probabilities."""

    def __init__(self, model: CompactModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, context: Tensor, text: Tensor, masks: Tensor, geometry: Tensor, kinds: Tensor
    ) -> tuple[Tensor, Tensor]:
        flaws, severities = self.model.classify_boxes(context, text, masks, geometry, kinds)
        return torch.softmax(flaws, 2), torch.softmax(severities, 2)


def round_weights(model: nn.Module) -> None:
    """Round all weights to what float16 can say, so that the files and torch hold the same numbers."""
    with torch.no_grad():
        for values in (*model.parameters(), *model.buffers()):
            values.copy_(values.half().float())


def export_backbone(backbone: Backbone) -> bytes:
    """The backbone as an ONNX graph of one image."""
    images = torch.zeros(1, HEIGHT, WIDTH, 3, dtype=torch.uint8)
    return _export_graph(backbone, {"images": images}, ("fine", "middle", "coarse"))


def export_pair_graph(model: CompactModel) -> bytes:
    """Everything after the backbone as an ONNX graph of one pair."""
    features = {
        "fine": (FINE_CHANNELS, ROWS, COLUMNS),
        "middle": (MIDDLE_CHANNELS, ROWS // 2, COLUMNS // 2),
        "coarse": (COARSE_CHANNELS, ROWS // 4, COLUMNS // 4),
    }
    inputs = {
        f"{side}_{name}": torch.zeros(1, *shape) for side in ("before", "after") for name, shape in features.items()
    }
    inputs |= {
        "cues": torch.zeros(1, CUE_COUNT, ROWS, COLUMNS),
        "whole": torch.zeros(1, WHOLE_COUNT),
        "instruction": torch.zeros(1, TEXT_SIZE),
    }
    return _export_graph(PairGraph(model), inputs, ("maps", "scores", "sds", "context", "text"))


def export_box_graph(model: CompactModel) -> bytes:
    """The flaw head as an ONNX graph of any number of boxes."""
    inputs = {
        "context": torch.zeros(1, model.context_channels, ROWS, COLUMNS),
        "text": torch.zeros(1, model.size.text),
        "masks": torch.ones(1, 3, ROWS, COLUMNS),
        "geometry": torch.zeros(1, 3, BOX_GEOMETRY),
        "kinds": torch.ones(1, 3, 2),
    }
    dynamic = {name: {1: "boxes"} for name in ("masks", "geometry", "kinds", "flaws", "severities")}
    return _export_graph(BoxGraph(model), inputs, ("flaws", "severities"), dynamic)


def write_weights(folder: Path, backbone: Backbone, model: CompactModel, metadata: Mapping[str, str]) -> None:
    """Write the three graphs and the safetensors of a network into a folder.

    Parameters
    ----------
    folder : Path
    backbone : Backbone
    model : CompactModel
        Its weights are rounded to float16.
    metadata : mapping from str to str
        What the safetensors file says about itself.
    """
    from safetensors.torch import save

    round_weights(model)
    model.eval()
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / BACKBONE_FILE, export_backbone(backbone))
    replace_file(folder / PAIR_FILE, export_pair_graph(model))
    replace_file(folder / BOX_FILE, export_box_graph(model))
    tensors = {f"backbone.{name}": value.half().contiguous() for name, value in backbone.state_dict().items()}
    tensors |= {f"heads.{name}": value.half().contiguous() for name, value in model.state_dict().items()}
    # One key: safetensors writes several in an order of their own each time.
    about = {"training": orjson.dumps(dict(metadata), option=orjson.OPT_SORT_KEYS).decode()}
    replace_file(folder / WEIGHT_FILE, save(tensors, about))


def _export_graph(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: tuple[str, ...],
    dynamic: Mapping[str, dict[int, str]] | None = None,
) -> bytes:
    module.eval()
    stream = io.BytesIO()
    with _silence_exporter():
        # The exporter by tracing: the newer one takes a hundred times as long for the same graph.
        torch.onnx.export(
            module,
            tuple(inputs.values()),
            stream,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=dict(dynamic or {}),
            opset_version=_OPSET,
            dynamo=False,
        )
    return _store_as_half(stream.getvalue())


def _store_as_half(content: bytes) -> bytes:
    """The graph with its large constants as float16 and a cast after each; onnxruntime casts once, when it loads."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = onnx.load_from_string(content)
    kept, casts = [], []
    for constant in graph.graph.initializer:
        values = numpy_helper.to_array(constant)
        if constant.data_type != TensorProto.FLOAT or values.size < _LEAST_VALUES:
            kept.append(constant)
            continue
        half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):  # such as a constant that the exporter folded
            kept.append(constant)
            continue
        kept.append(numpy_helper.from_array(half, f"{constant.name}_half"))
        casts.append(helper.make_node("Cast", [f"{constant.name}_half"], [constant.name], to=TensorProto.FLOAT))
    del graph.graph.initializer[:]
    graph.graph.initializer.extend(kept)
    nodes = [*casts, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    onnx.checker.check_model(graph)
    stored: bytes = graph.SerializeToString(deterministic=True)
    return stored


@contextmanager
def _silence_exporter() -> Iterator[None]:
    """The exporter prints its steps and warns of its own libraries; its errors are exceptions all the same."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
