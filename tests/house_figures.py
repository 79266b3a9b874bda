"""Figures of the house: how large it is, how things are called, and how many rooms a datum passes.

    python tests/house_figures.py [REPOSITORY] [--passes]

prints one JSON object. It works on any commit of this project; `docs/house.md` gives the figures before and after the
rooms were set right. `--passes` also builds three tiny corpora, which takes about a minute.
"""

from __future__ import annotations

import ast
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PACKAGES = ("mos", "annotation", "editfhf", "training", "refiner")
CAMPAIGN = "annotation.campaign"

TRACE = """
import atexit, json, sys, threading
packages, out = {packages!r}, {out!r}
seen = set()
def profile(frame, event, argument):
    name = frame.f_globals.get("__name__", "")
    if event == "call" and name.partition(".")[0] in packages and not frame.f_code.co_name.startswith("<"):
        seen.add((name, frame.f_code.co_qualname))
def save():
    with open(out + str(__import__("os").getpid()), "w") as stream:
        json.dump(sorted(seen), stream)
atexit.register(save)
import multiprocessing.util
multiprocessing.util.Finalize(None, save, exitpriority=0)
threading.setprofile(profile)
sys.setprofile(profile)
"""


def parse_packages(root: Path) -> dict[str, ast.Module]:
    """The syntax tree of every module of the packages, by its dotted name."""
    trees = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            trees[name] = ast.parse(path.read_text(encoding="utf-8"))
    return trees


def measure_size(root: Path) -> dict[str, Any]:
    """Files, lines, and lines of code (without blank lines, comments and docstrings) of every package."""
    sizes: dict[str, Any] = {}
    for package in PACKAGES:
        texts = [path.read_text(encoding="utf-8") for path in (root / package).rglob("*.py")]
        lengths = [len(text.splitlines()) for text in texts]
        sizes[package] = {
            "files": len(texts),
            "lines": sum(lengths),
            "code": sum(map(count_code_lines, texts)),
            "median": statistics.median(lengths),
        }
    return sizes


def count_code_lines(text: str) -> int:
    """Lines on which a token of code stands; a string that is a statement of its own is a docstring."""
    lines: set[int] = set()
    quiet = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    before = tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in quiet:
            before = token.type if token.type not in (tokenize.COMMENT, tokenize.NL) else before
            continue
        starts_statement = before in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
        if not (token.type == tokenize.STRING and starts_statement):
            lines.update(range(token.start[0], token.end[0] + 1))
        before = token.type
    return len(lines)


def measure_names(trees: dict[str, ast.Module]) -> dict[str, Any]:
    """Shares of one-word function names and of shared public names, and the imports that rename our own names."""
    functions = one_word = renamed = 0
    owners: dict[str, set[str]] = {}
    for module, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("__"):
                functions += 1
                one_word += "_" not in node.name.strip("_")
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in PACKAGES:
                renamed += sum(alias.asname not in (None, alias.name) for alias in node.names)
        for node in tree.body:
            public = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            if public and not node.name.startswith("_"):
                owners.setdefault(node.name, set()).add(module)
    shared = sorted(name for name, modules in owners.items() if len(modules) > 1)
    return {
        "functions": functions,
        "one_word_share": round(one_word / functions, 3),
        "shared_public_share": round(len(shared) / len(owners), 3),
        "shared_public_names": shared,
        "renaming_imports": renamed,
    }


def imported_modules(tree: ast.Module, known: Counter[str]) -> Iterator[str]:
    """Our own modules that a module imports, at any level and for types only too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in known or node.module in known:
                    yield inner if inner in known else node.module


def count_upward_arrows(trees: dict[str, ast.Module], package: str = CAMPAIGN) -> int:
    """Arrows to cut before the folders of a package, and the files beside them, know each other in one direction.

    Folders (and files that lie in no folder) are ordered greedily so that few arrows point back; what still points
    back is counted, an arrow for every module that imports another.
    """
    known = Counter(trees)

    def room(module: str) -> str:
        return module.removeprefix(f"{package}.").partition(".")[0]

    arrows: Counter[tuple[str, str]] = Counter()
    for module, tree in trees.items():
        if module.startswith(f"{package}."):
            for target in set(imported_modules(tree, known)):
                if target.startswith(f"{package}.") and room(target) != room(module):
                    arrows[room(module), room(target)] += 1
    rooms = {end for arrow in arrows for end in arrow}
    upward = 0
    while rooms:

        def weight(candidate: str, rest: frozenset[str] = frozenset(rooms)) -> int:
            return sum(count for (start, end), count in arrows.items() if start == candidate and end in rest)

        lowest = min(sorted(rooms), key=weight)
        upward += weight(lowest)
        rooms.discard(lowest)
    return upward


def write_tiny_corpus(root: Path, folder: Path, kinds: set[str]) -> None:
    """One pair of `examples/real` with the annotations of the given kinds: regions, rationales, ratings."""
    example = root / "examples" / "real"
    pairs = [json.loads(line) for line in (example / "pairs.jsonl").read_text(encoding="utf-8").splitlines()]
    texts = json.loads((example / "annotations" / "rationales.json").read_text(encoding="utf-8"))
    described = {task["data"]["pair_id"] for task in texts}
    pair = next(pair for pair in pairs if pair["pair_id"] in described)
    (folder / "annotations").mkdir(parents=True)
    (folder / "images").mkdir()
    shutil.copy(example / "corpus.yaml", folder)
    (folder / "pairs.jsonl").write_text(json.dumps(pair) + "\n", encoding="utf-8")
    for name in ("source", "edited"):
        shutil.copy(example / pair[name], folder / "images")
    for path in (example / "annotations").glob("*.json"):
        if path.stem.partition("-")[0] in kinds:
            tasks = json.loads(path.read_text(encoding="utf-8"))
            kept = [task for task in tasks if task["data"]["pair_id"] == pair["pair_id"]]
            (folder / "annotations" / path.name).write_text(json.dumps(kept), encoding="utf-8")


def trace_build(root: Path, corpus: Path, out: Path) -> set[tuple[str, str]]:
    """Every function of ours that a build of the corpus enters, in all its processes."""
    (out / "trace").mkdir(parents=True)
    code = TRACE.format(packages=PACKAGES, out=f"{out}/trace/")
    (out / "sitecustomize.py").write_text(code, encoding="utf-8")
    places = os.pathsep.join([str(out), str(root)])
    command = [sys.executable, "-m", "editfhf.cli", "build", str(corpus), str(out / "dataset"), "--workers", "1"]
    subprocess.run(command, check=True, capture_output=True, cwd=out, env={**os.environ, "PYTHONPATH": places})
    found = [json.loads(path.read_text(encoding="utf-8")) for path in (out / "trace").iterdir()]
    return {(module, function) for part in found for module, function in part}


def count_passes(root: Path) -> dict[str, dict[str, int]]:
    """How many files and functions a build enters because of a rating, a disk or a text.

    What a build of one pair enters with it and not without it: a rating in an otherwise empty corpus, a marked region
    in an otherwise empty corpus, and a text in a corpus with regions.
    """
    cases: dict[str, set[str]] = {"none": set(), "rating": {"ratings"}, "disk": {"regions"}}
    cases["draft"] = {"regions", "rationales"}
    entered = {}
    with tempfile.TemporaryDirectory() as folder:
        for case, kinds in cases.items():
            corpus = Path(folder, case, "corpus")
            write_tiny_corpus(root, corpus, kinds)
            entered[case] = trace_build(root, corpus, Path(folder, case, "out"))
    less = {"rating": "none", "disk": "none", "draft": "disk"}
    own = {case: entered[case] - entered[without] for case, without in less.items()}
    return {
        case: {"files": len({module for module, _ in found}), "functions": len(found)} for case, found in own.items()
    }


def measure_house(root: Path, passes: bool = False) -> dict[str, Any]:
    """Every figure of the house in a repository."""
    trees = parse_packages(root)
    figures = {
        "packages": measure_size(root),
        "names": measure_names(trees),
        "upward_arrows_in_campaign": count_upward_arrows(trees),
    }
    return figures | ({"passes": count_passes(root)} if passes else {})


if __name__ == "__main__":
    given = [word for word in sys.argv[1:] if not word.startswith("--")]
    repository = Path(given[0] if given else Path(__file__).parents[1]).resolve()
    print(json.dumps(measure_house(repository, "--passes" in sys.argv), indent=2))  # noqa: T201
