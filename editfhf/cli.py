"""The command `editfhf`. It imports no sub-command: they are found through the entry-point group `editfhf.commands`."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from mos.console import prepare_standard_streams, print_line, print_notices
from mos.errors import UserError
from mos.files import NotRegularFileError
from mos.processes import require_address_space
from mos.words import did_you_mean, escape_unprintable

COMMAND_GROUP = "editfhf.commands"
EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130
INTERRUPTED_MESSAGE = "Interrupted. Run the same command again: finished work that is stored is not repeated."

OWN_PACKAGES = ("mos", "annotation", "editfhf", "training", "refiner")
EXTRA_OF_PACKAGE = {
    "distributed": "cluster",
    "dask": "cluster",
    "skimage": "simulate",
    "sklearn": "simulate",
    "matplotlib": "plots",
    "label_studio_sdk": "campaign",
    "httpx": "campaign",
    "mlcroissant": "test",
    "uvicorn": "serve",
    "starlette": "serve",
}


def _find_commands() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in sorted(entry_points(group=COMMAND_GROUP), key=lambda entry: entry.name)}


class _LazyCommands(TyperGroup):
    """Sub-commands by entry point; each is imported only when it is called or listed."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        with _show_escapes_in_usage_errors():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        with _show_escapes_in_usage_errors():
            return super().invoke(ctx)

    def list_commands(self, ctx: Any) -> list[str]:
        return list(_find_commands())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        entry = _find_commands().get(cmd_name)
        if entry is None:
            return None
        loaded = entry.load()
        if not isinstance(loaded, typer.Typer):
            single = typer.Typer(rich_markup_mode="rich", add_completion=False)
            single.command(name=cmd_name, no_args_is_help=True)(loaded)
            loaded = single
        command = typer.main.get_command(loaded)
        command.name = cmd_name
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in known:
            ctx.fail(f"Unknown command {args[0]!r}.{did_you_mean(args[0], known)} Available: {', '.join(known)}.")
        return super().resolve_command(ctx, args)


@contextmanager
def _show_escapes_in_usage_errors() -> Iterator[None]:
    """Typer prints the words of the command line in its own errors: control characters in them become visible."""
    try:
        yield
    except Exception as error:
        if hasattr(error, "format_message") and isinstance(getattr(error, "message", None), str):
            error.message = escape_unprintable(error.message)  # type: ignore[attr-defined]
        raise


app = typer.Typer(
    cls=_LazyCommands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Fine-grained human feedback on edited images: campaign -> dataset -> agents -> better images.",
)


@app.callback(invoke_without_command=True)
def _show_version(
    context: typer.Context, version: bool = typer.Option(False, "--version", help="Show the version and exit.")
) -> None:
    if version:
        from editfhf import __version__

        print_line(f"editfhf {__version__}")
        raise typer.Exit
    if context.invoked_subcommand:
        _check_surroundings()


def _check_surroundings() -> None:
    """UserError where no command can work: no memory, no working directory, or a path that is not UTF-8.

    Parquet and JSON hold UTF-8 only, and so do the libraries that open files by name.
    """
    require_address_space()
    try:
        folder = str(Path.cwd())
    except OSError as error:
        raise UserError(
            f"The working directory cannot be used ({error.strerror}). Change to a folder that exists."
        ) from None
    for word in (*sys.argv[1:], folder):
        if not _is_unicode(word):
            raise UserError(f"{word} is not UTF-8. Rename the file or folder, or name another one.")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _missing_package_message(error: ModuleNotFoundError) -> str:
    module = (error.name or "").partition(".")[0]
    extra = EXTRA_OF_PACKAGE.get(module)
    wanted = f"'editfhf[{extra}]'" if extra else module
    return f"This command needs the package {module!r}, which is not installed. Run: pip install {wanted}"


_NO_MEMORY_MESSAGE = (
    "There is too little memory for this command. Close other programs, raise the limit (ulimit -v), or use fewer "
    "--workers."
)

_REASONS_FOR_NO_MEMORY = ("allocate", "memory", "failed to map segment")
"""Parts of what the system says when a library cannot be loaded because memory is short."""

_NAMED_ERRORS = frozenset(
    {errno.EIO, errno.EFBIG, errno.ENAMETOOLONG, errno.ELOOP, errno.ESTALE, errno.ENOENT, errno.ENOTDIR, errno.EISDIR}
    | {errno.ENOTEMPTY, errno.EEXIST, errno.ENXIO, errno.ETXTBSY, errno.EINVAL, errno.ENODEV, errno.EBUSY}
)
"""Errors of the system that are of the user's disk or path, where they name a file."""


def _os_error_message(error: OSError) -> str | None:
    """Message for a failure of the disk, of a path or of a limit; None for any other error."""
    where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else error.filename or "the output"
    if isinstance(error, NotRegularFileError):
        return f"{where} is {error.strerror}. Choose a file."
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return f"No space left on the disk while writing {where}. Free some space and run the same command again."
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return f"No permission for {where}. Choose another path or change its mode."
        case errno.EMFILE | errno.ENFILE:
            return "Too many files are open. Raise the limit (ulimit -n), or use fewer --workers."
        case errno.ENOMEM:
            return _NO_MEMORY_MESSAGE
        case errno.EAGAIN:
            return "No further process or thread can be started. Raise the limit (ulimit -u), or use fewer --workers."
        case errno.EIO | errno.EFBIG | errno.ELOOP | errno.ENAMETOOLONG | errno.ESTALE:
            return f"{where} cannot be used ({error.strerror}). Choose another path or check the disk."
        case number if number in _NAMED_ERRORS and error.filename is not None:
            return f"{where} cannot be used ({error.strerror}). Choose another path or check the disk."
        case _:
            return None


def main() -> None:
    """Run the command line. Exit status: 0 done, 1 error in data or environment, 2 wrong usage, 130 interrupted."""
    _require_utf8_names()
    prepare_standard_streams()
    try:
        try:
            app()
        finally:
            _flush_streams()
    except UserError as error:
        _exit_with_message(str(error), EXIT_FAILED)
    except KeyboardInterrupt:
        _exit_with_message(INTERRUPTED_MESSAGE, EXIT_INTERRUPTED)
    except SystemExit as exit_request:
        if exit_request.code == EXIT_INTERRUPTED:  # typer turns a Ctrl-C in a command into this
            _exit_with_message(INTERRUPTED_MESSAGE, EXIT_INTERRUPTED)
        raise
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in OWN_PACKAGES:
            raise
        _exit_with_message(_missing_package_message(error), EXIT_FAILED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(EXIT_FAILED)
    except OSError as error:
        message = _os_error_message(error)
        if message is None:
            raise
        _exit_with_message(message, EXIT_FAILED)
    except Exception as error:
        if not _is_memory_error(error):
            raise
        _exit_with_message(_NO_MEMORY_MESSAGE, EXIT_FAILED)


def _require_utf8_names() -> None:
    """Start again in Python's UTF-8 mode where the locale gives file names another encoding, such as ASCII.

    Parquet and JSON name files in UTF-8, so a build would not find the same files under every locale.
    """
    if sys.getfilesystemencoding() != "utf-8":
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, "PYTHONUTF8": "1"})


def _flush_streams() -> None:
    """Write what is buffered: a full disk or a closed pipe is met here, not at the end of Python."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def _is_memory_error(error: Exception) -> bool:
    """Whether memory is short; libraries report it in their own ways."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    library = isinstance(error, ImportError) or type(error).__module__ == "cv2"
    return (library and any(part in text for part in _REASONS_FOR_NO_MEMORY)) or "can't start new thread" in text


def _exit_with_message(message: str, status: int) -> None:
    print_notices([f"editfhf: {message}"])
    sys.exit(status)


if __name__ == "__main__":
    main()
