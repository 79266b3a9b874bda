"""`editfhf mos methods`."""

from __future__ import annotations

from typing import Annotated

import typer

from mos.cli.choosing import Json


def methods(
    name: Annotated[str | None, typer.Argument(metavar="[METHOD]", help="Show the options of this one.")] = None,
    json: Json = False,
) -> None:
    """List the methods, or the options of one with their defaults.

    Examples:

        editfhf mos methods

        editfhf mos methods paper
    """
    import pyarrow as pa

    from mos.cli.showing import print_json, show
    from mos.methods import METHODS, method

    if name is None:
        rows = [{"method": each, "what it does": what} for each, what in METHODS.items()]
        title = "Methods; `editfhf mos methods METHOD` lists the options of one"
    else:
        options = method(name).options
        defaults = options.checked({}).as_dict()
        described = options.model_json_schema()["properties"]
        rows = [
            {
                "option": option,
                "default": str(default).lower() if isinstance(default, bool) else str(default),
                "values": _values(described[option]),
                "what it does": described[option].get("description", ""),
            }
            for option, default in defaults.items()
            if option != "method"
        ]
        title = f"Options of {name}, for --set NAME=VALUE"
    if json:
        print_json(rows)
    else:
        show(pa.table({key: [row[key] for row in rows] for key in rows[0]}), title, len(rows), longest=300)


def _values(described: dict[str, object]) -> str:
    if "enum" in described:
        return " | ".join(map(str, described["enum"]))  # type: ignore[call-overload]
    if "anyOf" in described or described.get("type") in ("number", "integer"):
        return "number"
    return "true | false" if described.get("type") == "boolean" else str(described.get("type", ""))
