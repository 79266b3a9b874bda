"""The editor: a request to one call of a pipeline, and its answer to a result."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np

from annotation.images import RgbImage
from editfhf.editors.diffusers_editors.arguments import build_arguments
from editfhf.editors.diffusers_editors.loading import (
    LoadedPipeline,
    LoadOptions,
    Offload,
    describe_memory,
    is_out_of_memory,
    load_pipeline,
)
from editfhf.editors.diffusers_editors.pipelines import find_family
from editfhf.editors.edit_attempts import EditDeclined, EditedImage, attempt_edit
from editfhf.editors.protocol import EditRequest, EditResult
from editfhf.editors.registry import find_editor_entry
from mos.errors import UserError
from mos.words import escape_to_one_line

MAX_SEED = 2**63
"""Seeds are taken modulo this, the range of a generator of torch."""


class DiffusersEditor:
    """Edits by a pipeline of `diffusers`, which is loaded at the first edit and then kept.

    Parameters
    ----------
    name : str
        One of `PIPELINE_FAMILIES`, such as "flux-kontext-inpaint".
    model : str
        Folder in the format of diffusers, which is read without any network, or a repository of the Hugging Face Hub.
        There is no default: nothing is downloaded that the user did not name.
    revision, device, dtype, offload : str
        As in `LoadOptions`.
    **parameters
        Parameters of the editor, as in its entry in `editors.yaml`. A request may set them too.

    Raises
    ------
    UserError
        An option is unknown or out of its range, or no model is given.
    """

    def __init__(
        self,
        name: str,
        *,
        model: str = "",
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        offload: Offload = "none",
        **parameters: Any,
    ) -> None:
        self._family = find_family(name)
        if not model:
            raise UserError(f"{name} needs --model: a folder, or a repository such as {self._family.usual_model}.")
        self._options = LoadOptions(model, revision, device, dtype, offload)
        self._entry = find_editor_entry(name)
        self._given = self._entry.merge_parameters(parameters)
        self._lock = threading.Lock()
        self._loaded: LoadedPipeline | None = None

    @property
    def name(self) -> str:
        return self._family.name

    def estimate_cost(self, request: EditRequest) -> float:
        """US dollars of an edit: 0, since it runs on this machine."""
        return 0.0

    def edit(self, request: EditRequest) -> EditResult:
        """Run the pipeline once; `UserError` where it cannot be loaded or a parameter is wrong."""
        parameters = self._entry.merge_parameters(self._given, request.parameters)
        with self._lock:
            loaded = self.load_once()
            recorded = {
                **parameters,
                "model": self._options.model,
                "model_digest": loaded.digest,
                "device": loaded.device,
                "dtype": loaded.dtype,
                "offload": self._options.offload,
            }
            return attempt_edit(
                self.name,
                f"{self._family.pipeline} of diffusers {version('diffusers')}",
                request.seed,
                recorded,
                lambda: EditedImage(self._run_pipeline(loaded, request, parameters)),
            )

    def load_once(self) -> LoadedPipeline:
        """Load the pipeline if it is not loaded; `UserError` where that is impossible."""
        if self._loaded is None:
            self._loaded = load_pipeline(self._family, self._options)
        return self._loaded

    def _run_pipeline(self, loaded: LoadedPipeline, request: EditRequest, parameters: Mapping[str, Any]) -> RgbImage:
        import torch

        arguments = build_arguments(self._family, request, parameters)
        # On the CPU, so that a seed means the same noise on every device.
        generator = torch.Generator("cpu").manual_seed(request.seed % MAX_SEED)
        try:
            answer = loaded.pipeline(**arguments, generator=generator)
        except Exception as error:
            if is_out_of_memory(error):
                sentence = describe_memory(self._options.model, loaded.weights_bytes, loaded.device)
                raise EditDeclined("error", sentence) from None
            reason = escape_to_one_line(str(error))
            raise EditDeclined("error", f"The pipeline failed ({type(error).__name__}: {reason})") from None
        if any(getattr(answer, "nsfw_content_detected", None) or ()):
            raise EditDeclined("refused", "The safety checker of the pipeline blocked the image.")
        return np.array(answer.images[0].convert("RGB"), np.uint8)
