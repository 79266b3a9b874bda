"""The one console command. It imports no command: each is found through the entry-point group `editfhf.commands`."""

from __future__ import annotations

import difflib
import errno
import os
import sys
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.core import TyperGroup

from mos.errors import UserError

COMMANDS = "editfhf.commands"
FAILED, USAGE, INTERRUPTED = 1, 2, 130
STOPPED = "Interrupted. Run the same command again; what a command keeps of its work, it does not do twice."

ROOMS = ("mos", "annotation", "editfhf", "training", "refiner")
EXTRAS = {
    "distributed": "cluster",
    "dask": "cluster",
    "skimage": "simulate",
    "sklearn": "simulate",
    "torch": "training",
    "transformers": "training",
    "peft": "training",
    "trl": "training",
    "diffusers": "refiner",
    "gradio": "app",
    "matplotlib": "plots",
    "tenacity": "campaign",
    "mlcroissant": "test",
}


def _found() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in sorted(entry_points(group=COMMANDS), key=lambda entry: entry.name)}


class _Commands(TyperGroup):
    """Sub-commands by entry point, each imported only when it is asked for or listed."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(_found())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        entry = _found().get(cmd_name)
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
            ctx.fail(f"Unknown command {args[0]!r}.{suggestion(args[0], known)} Available: {', '.join(known)}.")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Fine-grained human feedback on edited images: campaign -> dataset -> agents -> better images.",
)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and leave.")) -> None:
    if version:
        from editfhf import __version__

        typer.echo(f"editfhf {__version__}")
        raise typer.Exit


def suggestion(word: str, known: list[str]) -> str:
    """`" Did you mean 'x'?"` for the nearest known word, or nothing."""
    near = difflib.get_close_matches(word, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _missing(error: ModuleNotFoundError) -> str:
    module = (error.name or "").partition(".")[0]
    extra = EXTRAS.get(module)
    wanted = f"'editfhf[{extra}]'" if extra else module
    return f"This command needs the package {module!r}, which is not installed. Run: pip install {wanted}"


def _environment(error: OSError) -> str | None:
    """One sentence for the failures of a disk or a permission; None for an error that is ours."""
    where = error.filename or "the output"
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return f"No space left on the disk while writing {where}. Free some and run the same command again."
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return f"No permission for {where}: expected to be able to use it. Choose another path or change its mode."
        case errno.EIO | errno.EFBIG | errno.EMFILE | errno.ENFILE | errno.ENAMETOOLONG | errno.ELOOP | errno.ESTALE:
            return f"{where} cannot be used ({error.strerror}). Choose another path, or look after the disk."
        case _:
            return None


def main() -> None:
    """Run the command line: exit 0 done, 1 the user's data or environment, 2 usage, 130 interrupted and resumable."""
    try:
        app()
    except UserError as error:
        _leave(str(error), FAILED)
    except KeyboardInterrupt:
        _leave(STOPPED, INTERRUPTED)
    except SystemExit as leaving:
        if leaving.code == INTERRUPTED:  # which is what typer makes of a Ctrl-C in a command
            _leave(STOPPED, INTERRUPTED)
        raise
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ROOMS:
            raise
        _leave(_missing(error), FAILED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except OSError as error:
        sentence = _environment(error)
        if sentence is None:
            raise
        _leave(sentence, FAILED)


def _leave(sentence: str, status: int) -> None:
    typer.echo(f"editfhf: {sentence}", err=True)
    sys.exit(status)


if __name__ == "__main__":
    main()
