"""The exported network on onnxruntime: no torch. One thread by default, and the same numbers each time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.records import SEVERITIES, Box, Kind
from mos.errors import UserError
from mos.files import read_regular_file
from training.compact.flaw_classes import FLAW_CLASSES, encode_boxes
from training.compact.pair_inputs import PairInputs

BACKBONE_FILE, PAIR_FILE, BOX_FILE = "backbone.onnx", "pair.onnx", "boxes.onnx"
GRAPH_FILES = (BACKBONE_FILE, PAIR_FILE, BOX_FILE)


@dataclass(frozen=True, slots=True, eq=False)
class PairAnswer:
    """What the network says of one pair.

    Attributes
    ----------
    maps : ndarray
        float32 [2, 80, 96] artifact and failure map in [0, 1].
    scores, sds : ndarray
        float32 [3] in points from 0 to 100, and their standard deviations.
    context, text : ndarray
        What `CompactNetwork.classify_boxes` reads.
    """

    maps: NDArray[np.float32]
    scores: NDArray[np.float32]
    sds: NDArray[np.float32]
    context: NDArray[np.float32]
    text: NDArray[np.float32]


class BackboneSession:
    """The frozen backbone.

    Parameters
    ----------
    content : bytes
        The graph as an ONNX file has it.
    threads : int
    """

    def __init__(self, content: bytes, threads: int = 1) -> None:
        self.digest = hashlib.sha256(content).hexdigest()
        self._session = open_session(content, threads)

    def compute_features(self, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Features of images uint8 [N, 320, 384, 3]: float32 [N, 64, 40, 48], [N, 112, 20, 24], [N, 320, 10, 12]."""
        found = [self._session.run(None, {"images": image[None]}) for image in images]
        return [np.concatenate(level) for level in zip(*found, strict=True)]


class CompactNetwork:
    """The whole network.

    Parameters
    ----------
    folder : Path, optional
        Folder with the graphs that `editfhf train compact` wrote; the shipped ones by default.
    threads : int
        Threads of one computation.

    Raises
    ------
    UserError
        If the folder lacks a graph, a graph cannot be used, or onnxruntime is not installed.
    """

    def __init__(self, folder: Path | None = None, threads: int = 1) -> None:
        contents = {name: read_weight_file(folder, name) for name in GRAPH_FILES}
        self.digest = digest_graphs(contents)
        self._backbone = BackboneSession(contents[BACKBONE_FILE], threads)
        self._pair = open_session(contents[PAIR_FILE], threads)
        self._boxes = open_session(contents[BOX_FILE], threads)

    def describe_pair(self, inputs: PairInputs) -> PairAnswer:
        """Compute maps, scores and context of a pair."""
        levels = self._backbone.compute_features(inputs.images)
        names = ("fine", "middle", "coarse")
        feeds = {f"before_{name}": level[:1] for name, level in zip(names, levels, strict=True)}
        feeds |= {f"after_{name}": level[1:] for name, level in zip(names, levels, strict=True)}
        feeds |= {"cues": inputs.cues[None], "whole": inputs.whole[None], "instruction": inputs.text[None]}
        maps, scores, sds, context, text = self._pair.run(None, feeds)
        return PairAnswer(maps[0], scores[0], sds[0], context, text)

    def classify_boxes(
        self, answer: PairAnswer, boxes: Sequence[tuple[Kind, Box]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities of `FLAW_CLASSES` [B, classes] and of severities [B, 3] for boxes in pixels of the network."""
        if not boxes:
            return np.zeros((0, len(FLAW_CLASSES)), np.float32), np.zeros((0, len(SEVERITIES)), np.float32)
        arrays = {name: values[None] for name, values in encode_boxes(boxes).items()}
        flaws, severities = self._boxes.run(None, {"context": answer.context, "text": answer.text, **arrays})
        return flaws[0], severities[0]


def digest_graphs(contents: dict[str, bytes]) -> str:
    """SHA-256 over the digests of the graphs, in the order of `GRAPH_FILES`."""
    return hashlib.sha256(
        "".join(hashlib.sha256(contents[name]).hexdigest() for name in GRAPH_FILES).encode()
    ).hexdigest()


def read_weight_file(folder: Path | None, name: str) -> bytes:
    """The bytes of a file of weights: of a folder, or of those that are shipped."""
    if folder is None:
        return (resources.files(__package__) / "weights" / name).read_bytes()
    try:
        return read_regular_file(folder / name)
    except OSError as error:
        raise UserError(
            f"Expected the weights {', '.join(GRAPH_FILES)} in {folder}, but {name} cannot be read "
            f"({error.strerror or error}): give the folder that `editfhf train compact --out` wrote."
        ) from error


def open_session(content: bytes, threads: int) -> Any:
    """A session of onnxruntime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.use_deterministic_compute = True
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common base but this
        raise UserError(f"The weights are no usable ONNX graph: {str(error)[:200]}") from error
