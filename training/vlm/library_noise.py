"""What libraries say on the terminal: only errors, since commands have a progress bar and sentences of their own."""

from __future__ import annotations

import warnings


def silence_libraries() -> None:
    """Turn off the progress bars, notices and warnings about themselves of transformers, peft and trl."""
    from transformers.utils.logging import disable_progress_bar, set_verbosity_error

    disable_progress_bar()
    set_verbosity_error()
    for name in ("transformers", "peft", "trl", "accelerate", "torch"):
        for category in (FutureWarning, UserWarning, DeprecationWarning):
            warnings.filterwarnings("ignore", category=category, module=rf"{name}(\.|$)")
