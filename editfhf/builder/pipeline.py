"""Build a dataset: scan the corpus, prepare, make shards, write tables and report, publish; or preview all this.

Everything is written into the workspace as it will be in the dataset, read back by the functions that read a finished
dataset, and published at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from annotation.campaign.corpus_rules import CorpusRules, read_corpus_rules
from annotation.corpus import Corpus
from annotation.records import Rejection
from editfhf import executors, report
from editfhf.builder import outputs, parquet
from editfhf.builder.context import BuildContext, BuildRunOptions, BuildSummary
from editfhf.builder.corpus_state import CorpusState, read_corpus_state, refuse_changed_corpus, watch_corpus
from editfhf.builder.options import BuildOptions
from editfhf.builder.prepare import PreparedBuild, prepare_build, scan_corpus
from editfhf.builder.ratings import iterate_ratings_table
from editfhf.builder.rejections import (
    REJECTED_FILE,
    NoUsablePairError,
    RejectionSink,
    is_unexpected_rejection,
    read_unexpected_rejections,
    summarise_rejections,
)
from editfhf.builder.rules import resolve_options
from editfhf.builder.shards import FinishedShards, link_or_copy, make_shards, preview_shards, write_shard_specs
from editfhf.builder.steps import REPORT_PHASE, count_steps, tabulate_steps
from editfhf.builder.workspace import BuildWorkspace, claim_workspace, read_built_manifest
from editfhf.card.metadata import render_croissant
from editfhf.card.page import render_card
from editfhf.manifest import (
    Manifest,
    ManifestOutput,
    describe_open_texts,
    open_texts_of,
)
from editfhf.report import compute_statistics
from editfhf.report.figures import write_figures
from editfhf.report.gallery import GalleryPair, read_gallery
from mos.console import NullProgress, Progress
from mos.errors import UserError
from mos.files import open_scratch_folder

COMPARED_KEY_NAMES = {
    "options": "the options",
    "versions": "the software",
    "inputs": "the corpus",
    "images": "the images",
}
"""Keys of the manifest that say whether a dataset is up to date, and their names in an error."""


@dataclass(frozen=True)
class BuildPreview:
    """What a build would do, and everything that it would reject.

    Attributes
    ----------
    stages : list of dict
        One row per step, as in `BuildSummary`.
    splits : dict
        Number of pairs by split.
    shards, bytes : int
        Number of shards, and bytes of the images in them.
    rejections : list of Rejection
    warnings : list of str
    problem : str or None
        Why the build would write nothing, if no pair can be used.
    """

    stages: list[dict[str, Any]]
    splits: dict[str, int]
    shards: int
    bytes: int
    rejections: list[Rejection]
    warnings: list[str]
    problem: str | None = None

    @property
    def faults(self) -> int:
        """Number of unexpected rejections, as --max-rejected counts them."""
        return sum(is_unexpected_rejection(rejection.reason, rejection.repaired) for rejection in self.rejections)


@dataclass(frozen=True)
class BuildResults:
    """What the steps before the report left: enough to write everything but the shards."""

    current: Manifest
    prepared: PreparedBuild
    shards: FinishedShards


def build_dataset(
    corpus_root: Path,
    dataset: Path,
    options: BuildOptions | None = None,
    running: BuildRunOptions | None = None,
    progress: Progress | None = None,
) -> BuildSummary:
    """Build the dataset of a corpus; after an interruption the same call resumes.

    Parameters
    ----------
    corpus_root, dataset
        Folders of the corpus and of the dataset.
    options
        What decides the bytes of the dataset. Options that are not stated follow the rules of the corpus.
    running
        How the build is run.
    progress
        Reports progress; nothing is reported when None.

    Raises
    ------
    UserError
        The corpus cannot be used, an option contradicts its rules, the dataset folder must not be changed, no pair is
        usable, or there are more rejections than `running.max_rejected`.
    """
    corpus, running = Corpus.open(corpus_root), running or BuildRunOptions()
    with claim_workspace(dataset, corpus_root) as space, watch_corpus(corpus) as state:
        rules = read_corpus_rules(corpus)
        options = resolve_options(options or BuildOptions(), rules)
        before = read_built_manifest(dataset)
        current = Manifest(
            corpus=corpus.meta.model_dump(mode="json"),
            options=options.as_dict(),
            versions=outputs.collect_versions(),
            inputs=state.inputs,
        )
        if before and not running.update:
            _refuse_change(dataset, before, current)
        is_only_check = before is not None and not running.update and not space.shards.exists()
        try:
            space.prepare()
            with closing(RejectionSink(space.area / "rejections.sqlite", running.strict)) as reject:
                context = BuildContext(corpus, space, options, running, progress or NullProgress(), reject)
                try:
                    results = _run_steps(context, before, current)
                except NoUsablePairError as error:
                    path = space.area / REJECTED_FILE
                    reject.write(path, {})
                    raise UserError(f"{error} Every reason is in {path}.") from None
                if results is not None:
                    return _with_source(finish_build(context, results, state), rules)
            return _with_source(_summarise_unchanged(space, before or current, running), rules)
        except BaseException:
            if is_only_check:
                space.discard()
            raise


def preview_build(
    corpus_root: Path,
    options: BuildOptions | None = None,
    running: BuildRunOptions | None = None,
    progress: Progress | None = None,
) -> BuildPreview:
    """Check everything that `build_dataset` checks, without writing a dataset; parameters as there."""
    corpus = Corpus.open(corpus_root)
    rules, running = read_corpus_rules(corpus), running or BuildRunOptions()
    options = resolve_options(options or BuildOptions(), rules)
    with open_scratch_folder() as folder:
        space = BuildWorkspace(folder)
        space.prepare()
        with (
            closing(RejectionSink(space.area / "rejections.sqlite", running.strict)) as reject,
            executors.open_worker_pool(running.executor, running.workers, running.scheduler) as pool,
        ):
            context = BuildContext(corpus, space, options, running, progress or NullProgress(), reject)
            scanned = scan_corpus(context, pool)
            try:
                prepared = prepare_build(context, scanned)
            except NoUsablePairError as error:
                warnings = rules.describe_source()
                return BuildPreview([], {}, 0, scanned.images.bytes, error.rejections, warnings, str(error))
            write_shard_specs(context, prepared.planned, prepared.pseudonyms)
            preview_shards(context, pool, prepared.planned, prepared.contents.tally)
            counts = count_steps(len(read_corpus_state(corpus).inputs), prepared.contents.tally, prepared.scored)
            steps = tabulate_steps(counts, reject.counts())
            splits = list(prepared.split.values())
            return BuildPreview(
                stages=[step.model_dump(by_alias=True) for step in steps],
                splits={name: splits.count(name) for name in sorted(set(splits))},
                shards=len(prepared.planned),
                bytes=scanned.images.bytes,
                rejections=list(reject.list_pseudonymised(prepared.pseudonyms)),
                warnings=[
                    *rules.describe_source(),
                    *describe_open_texts(steps, options.regions.reviewers),
                    *prepared.scored.result.summary["warnings"],
                ],
            )


def _run_steps(context: BuildContext, before: Manifest | None, current: Manifest) -> BuildResults | None:
    """All steps up to the finished shards; None if the dataset is up to date.

    `current` gets the digest of the images.
    """
    running = context.running
    with executors.open_worker_pool(running.executor, running.workers, running.scheduler) as pool:
        scanned = scan_corpus(context, pool)
        current.images = scanned.images
        if before:
            unchanged = all(_is_same(before, current, name) for name in COMPARED_KEY_NAMES)
            if unchanged and _has_whole_outputs(context.space.dataset, before, by_content=running.update):
                return None
            if not running.update:
                _refuse_change(context.space.dataset, before, current)
        prepared = prepare_build(context, scanned)
        write_shard_specs(context, prepared.planned, prepared.pseudonyms)
        shards = make_shards(context, pool, prepared.planned, before, prepared.contents.tally)
    return BuildResults(current, prepared, shards)


def finish_build(context: BuildContext, results: BuildResults, state: CorpusState) -> BuildSummary:
    """Write the tables, the pages and the manifest, and publish the dataset; UserError if the corpus changed."""
    context.progress.begin(REPORT_PHASE, None)
    staged, prepared = context.space.staged, results.prepared
    files = _stage_shards(staged, results.shards.files)
    context.reject.write(staged / REJECTED_FILE, prepared.pseudonyms)
    files[REJECTED_FILE] = staged / REJECTED_FILE
    _check_rejection_limit(context, staged / REJECTED_FILE)
    # Pillow works on the gallery outside of the interpreter's lock, while tables and statistics are made.
    with ThreadPoolExecutor(1) as thread:
        gallery = thread.submit(read_gallery, staged, context.options.gallery)
        manifest = _write_outputs(context, results, files, gallery)
    refuse_changed_corpus(context.corpus, state)
    context.space.publish(files, manifest.encode())
    return BuildSummary(
        dataset=context.space.dataset,
        up_to_date=False,
        stages=[step.model_dump(by_alias=True) for step in manifest.stages],
        splits={name: split.model_dump() for name, split in manifest.splits.items()},
        rejected=manifest.rejected.model_dump(),
        shards_made=results.shards.made,
        shards_kept=results.shards.kept,
        warnings=[*open_texts_of(manifest), *manifest.scores["warnings"]],
    )


def _stage_shards(staged: Path, shards: Mapping[str, Path]) -> dict[str, Path]:
    files = {}
    for name, path in shards.items():
        files[name] = staged / name
        files[name].parent.mkdir(exist_ok=True)
        link_or_copy(path, files[name])
    return files


def _check_rejection_limit(context: BuildContext, path: Path) -> None:
    allowed = context.running.max_rejected
    if allowed is None:
        return
    count = sum(1 for _ in read_unexpected_rejections(path))
    if count > allowed:
        kept = context.space.area / REJECTED_FILE
        path.replace(kept)
        raise UserError(_describe_rejection_limit(count, allowed, kept))


def _describe_rejection_limit(count: int, allowed: int, path: Path) -> str:
    return f"{count} inputs were rejected, but --max-rejected allows {allowed}. Every reason is in {path}."


def _write_outputs(
    context: BuildContext, results: BuildResults, files: dict[str, Path], gallery: Future[list[GalleryPair]]
) -> Manifest:
    """Write tables and pages, add them to `files`, and return the manifest of everything."""
    staged, prepared = context.space.staged, results.prepared
    known = dict(results.shards.outputs)
    ratings = iterate_ratings_table(prepared.scored, prepared.pseudonyms, prepared.split, outputs.CONFIG_ROW_GROUP)
    annotators = outputs.make_annotators_table(prepared.scored, prepared.contents.tally, prepared.pseudonyms)
    for config, pieces in (("ratings", ratings), ("annotators", [annotators])):
        for name, path in outputs.write_config_table(staged, config, pieces).items():
            files[name] = path
            rows = parquet.count_parquet_rows(path)
            known[name] = ManifestOutput(path=name, bytes=path.stat().st_size, rows=rows)
    manifest = _make_manifest(context, results, outputs.list_outputs(files, known))
    files |= _write_pages(staged, manifest, gallery)
    manifest.outputs = outputs.list_outputs(files, {output.path: output for output in manifest.outputs})
    return manifest


def _make_manifest(context: BuildContext, results: BuildResults, listed: list[ManifestOutput]) -> Manifest:
    rejected, prepared = context.reject.counts(), results.prepared
    counts = count_steps(len(results.current.inputs), prepared.contents.tally, prepared.scored)
    return results.current.model_copy(
        update={
            "stages": tabulate_steps(counts, rejected),
            "splits": results.shards.splits,
            "scores": {"options": prepared.scored.result.options, **prepared.scored.result.summary},
            "rejected": summarise_rejections(rejected),
            "outputs": listed,
        }
    )


def _write_pages(staged: Path, manifest: Manifest, gallery: Future[list[GalleryPair]]) -> dict[str, Path]:
    """Write the figures, the report, the card and croissant.json; the figures are added to the manifest's outputs."""
    statistics = compute_statistics(staged, manifest.as_dict())
    (staged / "figures").mkdir(exist_ok=True)
    names = [f"figures/{Path(name).name}" for name in write_figures(statistics, staged / "figures")]
    figures = {name: staged / name for name in names}
    manifest.outputs = [*manifest.outputs, *outputs.list_outputs(figures, {})]
    pages = {name: staged / name for name in ("report.html", "README.md", "croissant.json")}
    text = report.render_dataset_report(statistics, gallery.result())
    pages["report.html"].write_text(text, encoding="utf-8", newline="\n")
    pages["README.md"].write_text(render_card(manifest), encoding="utf-8")
    pages["croissant.json"].write_bytes(orjson.dumps(render_croissant(manifest), option=orjson.OPT_INDENT_2))
    return figures | pages


def _is_same(before: Manifest, current: Manifest, name: str) -> bool:
    """Whether two manifests hold the same JSON under one key."""
    earlier, later = (
        orjson.dumps(manifest.as_dict().get(name), option=orjson.OPT_SORT_KEYS) for manifest in (before, current)
    )
    return earlier == later


def _refuse_change(dataset: Path, before: Manifest, current: Manifest) -> None:
    for name, described in COMPARED_KEY_NAMES.items():
        if name in current.model_fields_set and not _is_same(before, current, name):
            raise UserError(
                f"{dataset} holds a dataset, and {described} changed since it was built. "
                "Pass --update to rebuild what changed, or choose another folder."
            )


def _has_whole_outputs(dataset: Path, before: Manifest, by_content: bool) -> bool:
    """Whether every output has the size and, if `by_content`, the digest that the manifest gives.

    Raises
    ------
    UserError
        A file is missing or has another size, and the build is not an update, which would make it again.
    """
    for output in before.outputs:
        path = dataset / output.path
        whole = path.is_file() and path.stat().st_size == output.bytes
        if by_content and not (whole and parquet.compute_file_sha256(path) == output.sha256):
            return False
        if not whole:
            raise UserError(f"{path} is missing or damaged. Pass --update to make it again.")
    return True


def _with_source(summary: BuildSummary, rules: CorpusRules) -> BuildSummary:
    return replace(summary, warnings=[*rules.describe_source(), *summary.warnings])


def _summarise_unchanged(space: BuildWorkspace, before: Manifest, running: BuildRunOptions) -> BuildSummary:
    path = space.dataset / REJECTED_FILE
    unexpected = list(read_unexpected_rejections(path))
    if running.strict and unexpected:
        first = unexpected[0]
        raise UserError(f"{first['file']}, row {first['row']}: {first['message']} (--strict)")
    if running.max_rejected is not None and len(unexpected) > running.max_rejected:
        raise UserError(_describe_rejection_limit(len(unexpected), running.max_rejected, path))
    space.discard()
    return BuildSummary(
        dataset=space.dataset,
        up_to_date=True,
        stages=[step.model_dump(by_alias=True) for step in before.stages],
        splits={name: split.model_dump() for name, split in before.splits.items()},
        rejected=before.rejected.model_dump(),
        shards_made=0,
        shards_kept=sum(split.shards for split in before.splits.values()),
        warnings=open_texts_of(before),
    )
