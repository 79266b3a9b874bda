"""`editfhf benchmark`: restoration, with known clean targets; run, judge, report and diff, with a judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

benchmark_app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="Benchmarks of editors and of the loop.",
)


@benchmark_app.callback()
def describe_benchmark() -> None:
    """Benchmarks of editors and of the loop."""


@benchmark_app.command("restoration")
def run_restoration_command(
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for results and tables; a later run adds what is new.")
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(
            "--photos", help="Folder of photos; choose some on which no agent was trained. Default: packaged."
        ),
    ] = None,
    pairs: Annotated[int, typer.Option("--pairs", min=1, help="Simulated images, half of them rendered.")] = 200,
    height: Annotated[int, typer.Option("--size", min=64, help="Height of the images in pixels.")] = 384,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same images and results.")] = 0,
    methods: Annotated[
        str,
        typer.Option("--methods", metavar="A,B,C", help="Names with commas between; default: all."),
    ] = "",
    perception: Annotated[str, typer.Option("--perception", help="Perception agent of the loops.")] = "auto",
    reasoning: Annotated[str, typer.Option("--reasoning", help="Reasoning agent, or none.")] = "auto",
    evaluation: Annotated[str, typer.Option("--evaluation", help="Evaluation agent.")] = "auto",
    turns: Annotated[int, typer.Option("--turns", min=1, help="Most turns.")] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="Print the tables as JSON on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Repair simulated images and compare with their hidden clean targets.

    Real photos get a known edit and injected flaws; half of them, and their targets, are then rendered as a generative
    editor renders: shifted, zoomed, softened, recoloured. No method but refine-oracle sees the targets.

    Methods: refine, refine-oracle, copy-source, authors-rules, stale-maps, stretched-maps, mean-score, whole-answer,
    keep-last.

    Examples:

        editfhf benchmark restoration --pairs 20 --methods refine,copy-source

        editfhf benchmark restoration --photos ~/photos --out restoration
    """
    from mos.console import print_json, show_progress
    from refiner.options import RefineOptions
    from refiner.restoration.methods import METHOD_MEANINGS
    from refiner.restoration.run_restoration import RestorationOptions, run_restoration
    from training.commands.evaluate import split_names
    from training.commands.evaluate_output import conclude_table

    names = split_names(methods, "--methods") or list(METHOD_MEANINGS)
    agents = {"perception": perception, "reasoning": reasoning, "evaluation": evaluation}
    with show_progress(quiet) as progress:
        tables = run_restoration(
            RestorationOptions(pairs, height, seed, photos),
            names,
            options=RefineOptions(turns=turns),
            agents=agents,
            out=out,
            progress=progress,
        )
    if as_json:
        print_json([table.as_record() for table in tables])
        return
    for table in tables:
        conclude_table(table, out, as_json=False)


BenchmarkFolder = Annotated[Path, typer.Argument(metavar="BENCHMARK", help="Folder of the benchmark.")]
SuiteOption = Annotated[str, typer.Option("--suite", help="gedit, kris, imgedit or editfhf.")]
LanguageOption = Annotated[str, typer.Option("--language", help="GEdit: en or cn.")]
IntersectionOption = Annotated[bool, typer.Option("--intersection", help="GEdit: only the intersection subset.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
PolicyOption = Annotated[
    str, typer.Option("--policy", help="Samples without a score: exclude, zero, fail, official or lmms-eval.")
]
AggregationOption = Annotated[str, typer.Option("--aggregation", help="official, columns or samples.")]


@benchmark_app.command("run", no_args_is_help=True)
def run_editor_command(
    folder: BenchmarkFolder,
    out: Annotated[Path, typer.Option("--out", help="Folder for the results; a later run adds what is missing.")],
    suite: SuiteOption = "gedit",
    editor: Annotated[str, typer.Option("--editor", help="Name of an editor, see editfhf editors list.")] = "restore",
    refined: Annotated[bool, typer.Option("--refine", help="Repair what the editor gave by the refiner.")] = False,
    turns: Annotated[int, typer.Option("--turns", min=1, help="Most turns of the refiner.")] = 4,
    perception: Annotated[str, typer.Option("--perception", help="Perception agent of the refiner.")] = "auto",
    reasoning: Annotated[str, typer.Option("--reasoning", help="Reasoning agent, or none.")] = "auto",
    evaluation: Annotated[str, typer.Option("--evaluation", help="Evaluation agent of the refiner.")] = "auto",
    language: LanguageOption = "en",
    intersection: IntersectionOption = False,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    quiet: QuietOption = False,
) -> None:
    """Edit the samples of a benchmark, in its own layout of results.

    Examples:

        editfhf benchmark run KRIS_Bench --suite kris --editor restore --out results/restore

        editfhf benchmark run KRIS_Bench --suite kris --editor restore --refine --turns 2 --out results/refined
    """
    from editfhf.editors.registry import load_editor
    from mos.console import print_line, show_progress
    from refiner.benchmark.make_results import make_results
    from refiner.benchmark.samples import read_samples
    from refiner.benchmark.suites import find_suite

    samples = read_samples(
        find_suite(suite), folder, language=_choose(language, ("en", "cn"), "--language"), intersection=intersection
    )
    repair = _make_repair(turns, perception, reasoning, evaluation) if refined else None
    with show_progress(quiet) as progress:
        counts = make_results(samples, folder, load_editor(editor), out, repair=repair, seed=seed, progress=progress)
    print_line(f"{len(samples)} samples, new: {_count(counts)}.")


@benchmark_app.command("judge", no_args_is_help=True)
def judge_command(
    folder: BenchmarkFolder,
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="Folder of results.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the verdicts; a later run judges what is new.")],
    model: Annotated[str, typer.Option("--model", help="Name of the judge on the server.")],
    suite: SuiteOption = "gedit",
    editor: Annotated[str, typer.Option("--editor", help="Whose results these are; default: name of RESULTS.")] = "",
    base_url: Annotated[
        str | None, typer.Option("--base-url", help="OpenAI-compatible server; default: OPENAI_BASE_URL.")
    ] = None,
    chat_folder: Annotated[
        Path | None, typer.Option("--chat", help="Folder of answers and ledger; default: OUT/chat.")
    ] = None,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="How often each question is asked.")] = 1,
    max_side: Annotated[int, typer.Option("--max-side", min=32, help="Longer side of the sent images.")] = 1024,
    max_money: Annotated[str | None, typer.Option("--max-money", help="Budget in US dollars.")] = None,
    max_requests: Annotated[int | None, typer.Option("--max-requests", min=0, help="Budget in requests.")] = None,
    language: LanguageOption = "en",
    intersection: IntersectionOption = False,
    quiet: QuietOption = False,
) -> None:
    """Ask a judge about the results of an editor. A failure is a status and never a score.

    Examples:

        editfhf benchmark judge KRIS_Bench results/restore --suite kris --model gpt-4o --out verdicts/restore
    """
    from datetime import UTC, datetime

    from editfhf.commands.server_options import parse_dollars
    from mos.console import print_line, show_progress
    from refiner.benchmark.judge_results import judge_results
    from refiner.benchmark.samples import read_samples
    from refiner.benchmark.suites import find_suite
    from training.served.server import ModelServer, ServedOptions

    rules = find_suite(suite)
    samples = read_samples(
        rules, folder, language=_choose(language, ("en", "cn"), "--language"), intersection=intersection
    )
    options = ServedOptions(
        model, chat_folder or out / "chat", base_url, max_money=parse_dollars(max_money), max_requests=max_requests,
        max_side=max_side,
    )  # fmt: skip
    receipt = {"judged": datetime.now(UTC).date().isoformat(), "language": language, "intersection": intersection}
    server = ModelServer(options)
    try:
        with show_progress(quiet) as progress:
            counts = judge_results(
                rules, samples, folder, results, server, out,
                editor=editor or results.resolve().name, receipt=receipt, repeats=repeats, progress=progress,
            )  # fmt: skip
    finally:
        server.close()
    print_line(f"{len(samples)} samples, new verdicts: {_count(counts)}.")


@benchmark_app.command("report", no_args_is_help=True)
def report_command(
    runs: Annotated[list[Path], typer.Argument(metavar="VERDICTS...", help="Folders of verdicts of one benchmark.")],
    policy: PolicyOption = "exclude",
    aggregation: AggregationOption = "official",
    out: Annotated[Path | None, typer.Option("--out", help="Folder for Markdown, LaTeX, CSV, JSON and a page.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print means with intervals and coverage, under every policy.

    Examples:

        editfhf benchmark report verdicts/restore verdicts/refined --out leaderboard
    """
    from refiner.benchmark.means import Aggregation
    from refiner.benchmark.policies import POLICIES
    from refiner.benchmark.result_tables import make_leaderboard
    from refiner.benchmark.verdicts import read_judged_run
    from training.commands.evaluate_output import conclude_table

    table = make_leaderboard(
        [read_judged_run(run) for run in runs],
        _choose(policy, POLICIES, "--policy"),
        _choose(aggregation, get_args(Aggregation), "--aggregation"),
    )
    conclude_table(table, out, as_json)


@benchmark_app.command("diff", no_args_is_help=True)
def diff_command(
    first: Annotated[Path, typer.Argument(metavar="A", help="Folder of verdicts.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Folder of verdicts of the same benchmark.")],
    policy: PolicyOption = "exclude",
    second_policy: Annotated[str, typer.Option("--second-policy", help="Policy of B; default: that of A.")] = "",
    aggregation: AggregationOption = "official",
    as_json: JsonOption = False,
) -> None:
    """Say why the means of two runs differ. The parts sum to the gap.

    Examples:

        editfhf benchmark diff verdicts/mine verdicts/theirs --policy exclude --second-policy lmms-eval
    """
    from mos.console import print_json, print_line
    from refiner.benchmark.difference import split_gap
    from refiner.benchmark.means import Aggregation
    from refiner.benchmark.policies import POLICIES
    from refiner.benchmark.verdicts import read_judged_run

    policies = (
        _choose(policy, POLICIES, "--policy"),
        _choose(second_policy or policy, POLICIES, "--second-policy"),
    )
    kind = _choose(aggregation, get_args(Aggregation), "--aggregation")
    split = split_gap(read_judged_run(first), read_judged_run(second), policies, kind)
    if as_json:
        print_json({"gap": split.gap, **asdict(split)})
        return
    print_line(f"A {split.first:.3f}, B {split.second:.3f}, gap {split.gap:+.3f}")
    for part in split.parts:
        print_line(f"{part.amount:+9.3f}  {part.name} ({part.samples} samples)")
    print_line(f"95 % interval of the gap on common samples: [{split.paired_low:+.3f}, {split.paired_high:+.3f}]")


def _choose(value: str, known: Sequence[Any], option: str) -> Any:
    from mos.errors import UserError

    if value not in known:
        raise UserError(f"{option}: expected one of {', '.join(known)}, but got {value!r}.")
    return value


def _count(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "none"


def _make_repair(turns: int, perception: str, reasoning: str, evaluation: str) -> Any:
    """A call that repairs an image by the refiner; the agents are loaded once."""
    from refiner.choose_team import choose_team
    from refiner.options import RefineOptions
    from refiner.refinement import refine

    team = choose_team(perception=perception, reasoning=reasoning, evaluation=evaluation)
    options = RefineOptions(turns=turns)
    return lambda source, edited, instruction: refine(source, edited, instruction, team=team, options=options).image
