"""An editor that is a program of the user: files in, a file out.

The program is started without a shell, from a list of arguments. No text of a request becomes an argument: the
instruction is in a file, and all paths are in a folder of ours. What it writes is untrusted and goes through the safe
image reader.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from annotation.images import ImageError, RgbImage, decode_image, read_image_bytes
from editfhf.drafting.pair_images import encode_image
from editfhf.editors.edit_attempts import EditDeclined, EditedImage, attempt_edit
from editfhf.editors.protocol import EditRequest, EditResult
from editfhf.png import encode_grey_png
from mos.errors import UserError, require_number
from mos.files import open_scratch_folder
from mos.words import did_you_mean, escape_to_one_line

PLACEHOLDERS = ("source", "current", "mask", "instruction_file", "out", "seed")
"""What `{name}` may stand for in a command: paths of files, and the seed as a number."""

MAX_TAIL_BYTES = 4096
"""Bytes of the program's last messages that are kept."""

MAX_TAIL_SHOWN = 300

READ_BYTES = 1 << 16

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD", re.IGNORECASE)


class CommandEditor:
    """Runs a program for each edit.

    Parameters
    ----------
    command : str
        Program and arguments, split as a POSIX shell splits words, e.g.
        ``"python my_editor.py --image {current} --mask {mask} --prompt-file {instruction_file} --save {out}"``.
        ``{source}``, ``{current}`` and ``{mask}`` are PNG files of one size (mask: 255 where the image may change),
        ``{instruction_file}`` is a UTF-8 text file, ``{seed}`` a number. ``{out}`` is where the program writes its PNG,
        JPEG or WebP, of any size. The command must have ``{out}``, and ``{current}`` or ``{source}``.
    timeout : float
        Seconds that one edit may take; then the program and what it started are killed.
    name : str
        Name in records.

    Raises
    ------
    UserError
        The command cannot be split, lacks a placeholder or has an unknown one, or there is no such program.
    """

    def __init__(self, command: str, *, timeout: float = 600.0, name: str = "command") -> None:
        self._name = name
        self._arguments = split_command(command)
        require_number("The time limit of the editor command", timeout)
        if not timeout > 0:
            raise UserError(f"The time limit of the editor command is {timeout:g} s: expected more than 0.")
        self._timeout = float(timeout)
        self._has_seed = any("{seed}" in argument for argument in self._arguments)
        self._version = hashlib.sha256("\0".join(self._arguments).encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        return self._name

    def edit(self, request: EditRequest) -> EditResult:
        """Run the program once; parameters of the request are not passed on."""
        # The command itself is not recorded: an argument may be a password.
        parameters = {"program": Path(self._arguments[0]).name, "timeout": self._timeout}
        seed = request.seed if self._has_seed else None
        return attempt_edit(self._name, self._version, seed, parameters, lambda: self._run_program(request))

    def _run_program(self, request: EditRequest) -> EditedImage:
        with open_scratch_folder() as folder:
            values = _write_inputs(folder, request)
            arguments = [_PLACEHOLDER.sub(lambda match: values[match[1]], part) for part in self._arguments]
            status, tail = _run_bounded(arguments, self._timeout)
            if status is None:
                raise EditDeclined("error", f"The editor command did not end within {self._timeout:g} s.{tail}")
            if status:
                how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
                raise EditDeclined("error", f"The editor command {how}.{tail}")
            return EditedImage(_read_output(folder))


def split_command(command: str) -> list[str]:
    """Program and arguments of a command, checked; raises what `CommandEditor` raises."""
    try:
        arguments = shlex.split(command)
    except ValueError as error:
        raise UserError(f"The editor command cannot be split into arguments ({error}): check its quotes.") from None
    if not arguments:
        raise UserError("The editor command is empty: expected a program and its arguments.")
    found = {match[1] for argument in arguments for match in _PLACEHOLDER.finditer(argument)}
    for word in sorted(found - set(PLACEHOLDERS)):
        known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        raise UserError(
            f"The editor command has {{{word}}}, which is not known.{did_you_mean(word, PLACEHOLDERS)} Known: {known}."
        )
    if "out" not in found or not found & {"current", "source"}:
        raise UserError("The editor command must have {out}, and {current} or {source}.")
    if shutil.which(arguments[0]) is None:
        raise UserError(f"The editor command starts with {arguments[0][:80]!r}, and there is no such program.")
    return arguments


def _write_inputs(folder: Path, request: EditRequest) -> Mapping[str, str]:
    """Write the files of a request; returns what the placeholders stand for."""
    images = {
        "source": encode_image(request.source, "png").data,
        "current": encode_image(request.current, "png").data,
        "mask": encode_grey_png(request.mask),
    }
    for name, data in images.items():
        (folder / f"{name}.png").write_bytes(data)
    (folder / "instruction.txt").write_text(request.instruction, encoding="utf-8", errors="replace")
    values = {name: str(folder / f"{name}.png") for name in (*images, "out")}
    return values | {"instruction_file": str(folder / "instruction.txt"), "seed": str(request.seed)}


def _read_output(folder: Path) -> RgbImage:
    try:
        return decode_image(read_image_bytes(folder, "out.png"))
    except ImageError as error:
        if error.reason == "missing_file":
            raise EditDeclined("error", "The editor command ended without writing {out}.") from None
        raise EditDeclined("error", f"What the editor command wrote cannot be used. {error}") from None


def _run_bounded(arguments: list[str], timeout: float) -> tuple[int | None, str]:
    """Exit status (None: it was killed for its time) and the end of what the program wrote to stderr, as a sentence."""
    try:
        # A session of its own, so that all that it starts can be ended with it.
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise EditDeclined("error", f"The editor command cannot be started ({error.strerror}).") from None
    tail = bytearray()
    assert process.stderr is not None
    reader = threading.Thread(target=_keep_tail, args=(process.stderr, tail), daemon=True)
    reader.start()
    try:
        status: int | None = process.wait(timeout)
    except subprocess.TimeoutExpired:
        status = None
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        # Something that left the session may keep the pipe open for ever.
        reader.join(timeout=1.0)
        if not reader.is_alive():
            process.stderr.close()
    return status, _describe_tail(bytes(tail))


def _keep_tail(stream: IO[bytes], tail: bytearray) -> None:
    while block := os.read(stream.fileno(), READ_BYTES):
        tail += block
        del tail[:-MAX_TAIL_BYTES]


def _describe_tail(tail: bytes) -> str:
    text = tail.decode("utf-8", "replace").strip()
    for name, value in os.environ.items():
        if len(value) >= 8 and _SECRET_NAME.search(name):
            text = text.replace(value, "[hidden]")
    text = escape_to_one_line(text[-MAX_TAIL_SHOWN:])
    return f" It wrote: {text}" if text else ""
