"""Load a pipeline: from a folder without any network, or from a repository that the user names; safetensors only."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from editfhf.editors.diffusers_editors.pipelines import PipelineFamily
from mos.errors import UserError, require_choice
from mos.words import escape_to_one_line

Offload = Literal["none", "model", "sequential"]
"""`model`: one part of the pipeline on the accelerator at a time. `sequential`: layer by layer, slow, least memory."""

DTYPES = ("auto", "float32", "float16", "bfloat16")

MAX_REASON = 300


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """Where and how a pipeline is run.

    Parameters
    ----------
    model : str
        Folder with `model_index.json`, or a repository of the Hugging Face Hub.
    revision : str, optional
        Commit, tag or branch of the repository.
    device : str
        "auto" (cuda, else mps, else cpu), or a device of torch such as "cuda:1".
    dtype : str
        One of `DTYPES`; "auto" is bfloat16 on cuda and float32 elsewhere.
    offload : {"none", "model", "sequential"}
        Where weights are that are not used at the moment; needs an accelerator.

    Raises
    ------
    UserError
        A value is not one of those that are known.
    """

    model: str
    revision: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    offload: Offload = "none"

    def __post_init__(self) -> None:
        require_choice("dtype", self.dtype, DTYPES)
        require_choice("offload", self.offload, get_args(Offload))


@dataclass(frozen=True, slots=True)
class LoadedPipeline:
    """A pipeline that is ready; weights_bytes: size of its weights on the disk; digest: of its files, see `loading`."""

    pipeline: Any
    device: str
    dtype: str
    digest: str
    weights_bytes: int


def load_pipeline(family: PipelineFamily, options: LoadOptions) -> LoadedPipeline:
    """Load the pipeline of a family.

    Raises
    ------
    UserError
        A package is missing, the folder has no such pipeline or no safetensors, the repository cannot be downloaded,
        the device does not exist, or the memory is too small.
    """
    diffusers, torch = _import_packages()
    device = _choose_device(torch, options.device)
    dtype = options.dtype if options.dtype != "auto" else "bfloat16" if device.startswith("cuda") else "float32"
    folder = _find_folder(getattr(diffusers, family.pipeline), options)
    size = sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
    try:
        pipeline = getattr(diffusers, family.pipeline).from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
        )
        prepare_pipeline(pipeline, device, options.offload)
    except Exception as error:
        if is_out_of_memory(error):
            raise UserError(describe_memory(options.model, size, device)) from None
        reason = escape_to_one_line(str(error))[:MAX_REASON]
        raise UserError(
            f"{options.model} cannot be loaded as {family.pipeline} ({type(error).__name__}: {reason}). Only folders "
            "in the format of diffusers with safetensors are read."
        ) from None
    return LoadedPipeline(pipeline, device, dtype, _digest_folder(folder), size)


def prepare_pipeline(pipeline: Any, device: str, offload: Offload) -> None:
    """Put a pipeline where it runs; without progress bars."""
    pipeline.set_progress_bar_config(disable=True)
    if offload == "none":
        pipeline.to(device)
    elif device == "cpu":
        raise UserError(f"offload={offload} needs an accelerator, and there is only the CPU. Use offload=none.")
    elif offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    else:
        pipeline.enable_sequential_cpu_offload(device=device)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception of torch says that an allocation failed, on an accelerator or the CPU."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)
    )


def describe_memory(model: str, weights_bytes: int, device: str) -> str:
    """One sentence for an allocation that failed."""
    return (
        f"{device} has too little memory for {model}, whose weights take {weights_bytes / 1e9:.1f} GB on the disk. Use "
        "--offload model (or sequential), a smaller dtype, a smaller side, or a smaller model."
    )


def _import_packages() -> tuple[Any, Any]:
    try:
        import diffusers
        import torch
    except ImportError as error:
        raise UserError(
            f"The package {error.name or 'diffusers'} is missing: install it with pip install 'editfhf[diffusers]'."
        ) from None
    return diffusers, torch


def _choose_device(torch: Any, device: str) -> str:
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise UserError(f"The device {device[:40]!r} is not one of torch: expected e.g. cpu, cuda or cuda:1.") from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise UserError(f"The device is {device}, but this torch finds no CUDA. Use --device cpu, or install another.")
    return device


def _find_folder(pipeline_class: Any, options: LoadOptions) -> Path:
    """The folder of the model; a repository is downloaded first, without pickles and without code."""
    folder = Path(options.model).expanduser()
    if folder.is_dir():
        if not (folder / "model_index.json").is_file():
            raise UserError(f"{options.model} has no model_index.json: expected a folder in the format of diffusers.")
        return folder
    parts = options.model.split("/")
    if len(parts) != 2 or not all(parts) or options.model.startswith((".", "~")):
        raise UserError(f"There is no folder {options.model}: expected a folder, or a repository OWNER/NAME.")
    try:
        found = pipeline_class.download(
            options.model, revision=options.revision, use_safetensors=True, trust_remote_code=False
        )
    except Exception as error:
        reason = escape_to_one_line(str(error))[:MAX_REASON]
        raise UserError(
            f"The repository {options.model} cannot be downloaded ({type(error).__name__}: {reason})."
        ) from None
    return Path(found)


def _digest_folder(folder: Path) -> str:
    """SHA-256 over names and sizes of all weights, and the content of all other JSON files; not of the weights."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".safetensors", ".json") and path.is_file():
            digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
            if path.suffix == ".json":
                digest.update(path.read_bytes())
    return digest.hexdigest()
