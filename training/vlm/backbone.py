"""Backbones: a vision-language model of transformers, frozen, with a LoRA adapter on its language layers."""

from __future__ import annotations

import hashlib
import json
import struct
import warnings
from pathlib import Path
from typing import Any

import torch

from mos.errors import UserError
from mos.files import open_regular_file
from training.vlm.library_noise import silence_libraries

LANGUAGE_PROJECTIONS = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
"""The layers with an adapter. By name alone, LoRA would also reach the vision encoder of some families."""

FAMILIES = ("qwen3_vl",)
"""`model_type` of the backbones whose image features and image tokens are known here."""

TINY_BACKBONE = "tiny"
"""Name of the random backbone that is made where it is needed, see `tiny_backbone`."""

_SAMPLED_BYTES = 1 << 20


def load_backbone(name: str, dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu") -> Any:
    """Load a backbone with its language head, frozen.

    Parameters
    ----------
    name : str
        Folder, or name on the Hub.
    dtype, device
        Of its weights.

    Returns
    -------
    Qwen3VLForConditionalGeneration

    Raises
    ------
    UserError
        If there is no such model, it is of another family, it has no safetensors, or memory is too small.
    """
    from transformers import AutoConfig, AutoModelForImageTextToText

    silence_libraries()
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
        if config.model_type not in FAMILIES:
            raise UserError(
                f"The backbone {name} is a {config.model_type!r}, but these are known: {', '.join(FAMILIES)}."
            )
        model = AutoModelForImageTextToText.from_pretrained(
            name, dtype=dtype, use_safetensors=True, trust_remote_code=False
        )
        model.requires_grad_(False)
        return model.to(device)
    except (OSError, ValueError) as error:
        raise UserError(f"The backbone {name} cannot be loaded: {str(error).strip().splitlines()[0]}") from error
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"The backbone {name} does not fit into the memory of {device}: choose a smaller one."
        ) from error


def make_qwen3_vl_8b_config() -> Any:
    """The configuration of Qwen3-VL-8B-Instruct, without a download.

    Notes
    -----
    Numbers as in pytorch/torchtitan, `experiments/qwen3_vl`; with them a model has 8,767,123,696 parameters, the
    published 8.77 B.
    """
    from transformers import Qwen3VLConfig

    return Qwen3VLConfig(
        text_config={
            "vocab_size": 151936,
            "hidden_size": 4096,
            "intermediate_size": 12288,
            "num_hidden_layers": 36,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "max_position_embeddings": 262144,
            "rope_theta": 5e6,
            "rope_scaling": {"rope_type": "default", "mrope_section": [24, 20, 20], "mrope_interleaved": True},
            "eos_token_id": 151645,
            "pad_token_id": 151643,
        },
        vision_config={
            "depth": 27,
            "hidden_size": 1152,
            "intermediate_size": 4304,
            "num_heads": 16,
            "out_hidden_size": 4096,
            "num_position_embeddings": 2304,
            "deepstack_visual_indexes": [8, 16, 24],
        },
        image_token_id=151655,
        video_token_id=151656,
        vision_start_token_id=151652,
        vision_end_token_id=151653,
        tie_word_embeddings=False,
    )


def make_meta_model(config: Any) -> Any:
    """A model of a configuration without memory for its weights, to count and to plan."""
    from transformers import Qwen3VLForConditionalGeneration

    with torch.device("meta"):
        return Qwen3VLForConditionalGeneration(config)


def add_adapter(backbone: Any, rank: int, alpha: float, dropout: float = 0.0) -> Any:
    """Put a new LoRA adapter on the language layers of a backbone; the vision encoder stays as it is.

    Returns
    -------
    PeftModel
        It begins as the backbone itself, since one of the two factors is zero.
    """
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=LANGUAGE_PROJECTIONS, task_type="CAUSAL_LM"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of peft to transformers
        return get_peft_model(backbone, config)


def digest_backbone(folder: Path) -> str:
    """SHA-256 of a backbone: its config, and of each weight file the header and the first and last MiB of the data.

    So a checkpoint knows its own backbone at once, and not another one of the same shapes.

    Raises
    ------
    UserError
        Without weights as safetensors.
    """
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise UserError(f"{folder} holds no weights as safetensors.")
    digest = hashlib.sha256()
    config = json.loads((folder / "config.json").read_bytes())
    config.pop("transformers_version", None)
    digest.update(json.dumps(config, sort_keys=True).encode())
    for path in weights:
        with open_regular_file(path) as stream:
            length = struct.unpack("<Q", stream.read(8))[0]
            size = path.stat().st_size
            digest.update(stream.read(min(length + _SAMPLED_BYTES, size)))
            stream.seek(max(0, size - _SAMPLED_BYTES))
            digest.update(stream.read())
    return digest.hexdigest()


def find_backbone_folder(name: str) -> Path:
    """The folder of a backbone; one of the Hub is downloaded, or found in the cache.

    Raises
    ------
    UserError
        If there is neither such a folder nor such a repository.
    """
    folder = Path(name)
    if folder.is_dir():
        return folder
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.jinja", "*.txt", "*.safetensors"]))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UserError(
            f"There is no folder {name}, and the Hub does not give a model of this name: "
            f"{str(error).strip().splitlines()[0]}"
        ) from error
