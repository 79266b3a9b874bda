"""The table of pipelines: which argument of a pipeline takes which of our images, and its mask.

Signatures are those of diffusers 0.42. A pipeline that takes a mask repaints where it is white, as ours allows. The
defaults of the other arguments, and the licences of the weights, are in `editors.yaml`. There `strength` is 1: a
smaller one keeps what is under the mask in part, and a flaw shall go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mos.errors import require_choice

QWEN_PICTURES = (
    "{instruction}\n"
    "Picture 1 is the image to edit. Picture 2 is the image before any edit: nothing else may differ from it more than "
    "it does in picture 1. Picture 3 is a mask: change picture 1 only where picture 3 is white."
)
"""Prompt of a pipeline that sees several pictures and has no argument for a mask."""


@dataclass(frozen=True, slots=True)
class PipelineFamily:
    """One pipeline of `diffusers`, and how a request becomes the arguments of its call.

    Attributes
    ----------
    name : str
        Name of the editor.
    pipeline : str
        Class in `diffusers`.
    usual_model : str
        Repository on the Hugging Face Hub with weights for it.
    images : tuple of str
        What the argument `image` gets: one image, or a list where there are several names of `current`, `source` and
        `mask`.
    mask_argument, reference_argument : str
        Arguments that get the mask and the source; "" where there is none.
    prompt : str
        Prompt, with `{instruction}`.
    multiple : int
        Width and height are multiples of this.
    has_size : bool
        Whether the call takes `height` and `width`.
    side_argument : str
        Argument that gets `side`; "" where there is none.
    fixed : mapping
        Arguments that are always passed.
    """

    name: str
    pipeline: str
    usual_model: str
    images: tuple[str, ...] = ("current",)
    mask_argument: str = ""
    reference_argument: str = ""
    prompt: str = "{instruction}"
    multiple: int = 16
    has_size: bool = True
    side_argument: str = ""
    fixed: Mapping[str, Any] = field(default_factory=dict)


_THREE = ("current", "source", "mask")

PIPELINE_FAMILIES: tuple[PipelineFamily, ...] = (
    PipelineFamily("qwen-image-edit", "QwenImageEditPipeline", "Qwen/Qwen-Image-Edit", multiple=32),
    PipelineFamily(
        "qwen-image-edit-plus",
        "QwenImageEditPlusPipeline",
        "Qwen/Qwen-Image-Edit-2511",
        images=_THREE,
        prompt=QWEN_PICTURES,
        multiple=32,
    ),
    PipelineFamily(
        "qwen-image-2.1",
        "QwenImage21Pipeline",
        "Qwen/Qwen-Image-2.1",
        images=_THREE,
        prompt=QWEN_PICTURES,
        multiple=32,
        side_argument="output_resolution",
    ),
    PipelineFamily(
        "qwen-image-edit-inpaint",
        "QwenImageEditInpaintPipeline",
        "Qwen/Qwen-Image-Edit",
        mask_argument="mask_image",
        multiple=32,
    ),
    PipelineFamily(
        "qwen-image-inpaint",
        "QwenImageInpaintPipeline",
        "Qwen/Qwen-Image",
        mask_argument="mask_image",
        multiple=32,
    ),
    PipelineFamily(
        "flux-kontext",
        "FluxKontextPipeline",
        "black-forest-labs/FLUX.1-Kontext-dev",
        fixed={"_auto_resize": False},
    ),
    PipelineFamily(
        "flux-kontext-inpaint",
        "FluxKontextInpaintPipeline",
        "black-forest-labs/FLUX.1-Kontext-dev",
        mask_argument="mask_image",
        reference_argument="image_reference",
        fixed={"_auto_resize": False},
    ),
    PipelineFamily(
        "flux2-klein-inpaint",
        "Flux2KleinInpaintPipeline",
        "black-forest-labs/FLUX.2-klein-4B",
        mask_argument="mask_image",
        reference_argument="image_reference",
    ),
    PipelineFamily(
        "longcat-image-edit",
        "LongCatImageEditPipeline",
        "meituan-longcat/LongCat-Image-Edit",
        has_size=False,
    ),
    PipelineFamily(
        "instruct-pix2pix",
        "StableDiffusionInstructPix2PixPipeline",
        "timbrooks/instruct-pix2pix",
        multiple=8,
        has_size=False,
    ),
    PipelineFamily(
        "sd-inpaint",
        "StableDiffusionInpaintPipeline",
        "stable-diffusion-v1-5/stable-diffusion-inpainting",
        mask_argument="mask_image",
        multiple=8,
    ),
    PipelineFamily(
        "sdxl-inpaint",
        "StableDiffusionXLInpaintPipeline",
        "diffusers/stable-diffusion-xl-1.0-inpainting-0.1",
        mask_argument="mask_image",
        multiple=8,
    ),
)
"""All pipelines that `DiffusersEditor` knows."""


def find_family(name: str) -> PipelineFamily:
    """The pipeline of an editor's name; `UserError` for an unknown one."""
    families = {family.name: family for family in PIPELINE_FAMILIES}
    require_choice("The name of a diffusers editor", name, tuple(families))
    return families[name]
