"""Ask a judge about the results of an editor; only what has no answer yet is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

from annotation.images import ImageError, RgbImage, decode_image, read_image_bytes
from editfhf.chat import ModelAnswer
from mos.console import NullProgress, Progress
from refiner.benchmark.questions import build_question, describe_prompt, describe_transform
from refiner.benchmark.samples import BenchmarkSample, find_result
from refiner.benchmark.suites import Question, Suite, list_questions
from refiner.benchmark.verdicts import Verdict, append_verdicts, read_judged_run, start_run_folder
from training.served.server import ModelServer, find_outcome_status

_Slot = tuple[BenchmarkSample, Question, int]


class ResultJudge:
    """Judges the results of one editor in one benchmark.

    Parameters
    ----------
    suite : Suite
    folder : Path
        Of the benchmark.
    results : Path
        Of the results.
    server : ModelServer
    """

    def __init__(self, suite: Suite, folder: Path, results: Path, server: ModelServer) -> None:
        self._suite, self._folder, self._results, self._server = suite, folder, results, server
        self._transform = describe_transform(server.options)

    def describe_question(self, question: Question) -> tuple[str, str]:
        """Prompt and transform as in the verdicts of a question."""
        return describe_prompt(self._suite, question), self._transform

    def ask(self, slot: _Slot) -> Verdict:
        """The verdict of one question; a failure is a status and never a score."""
        sample, question, repeat = slot
        prompt, transform = self.describe_question(question)
        facts: dict[str, Any] = {
            "sample_id": sample.judged.sample_id, "question": question.name, "judge": self._server.options.model,
            "repeat": repeat, "prompt": prompt, "transform": transform,
        }  # fmt: skip
        name = find_result(self._results, sample)
        try:
            source, facts["source_digest"] = _read_image(self._folder, sample.source)
            if name is None:
                return Verdict(**facts, status="missing", detail="There is no result.")
            edited, facts["result_digest"] = _read_image(self._results, name)
        except ImageError as error:
            return Verdict(**facts, status="missing", detail=str(error))
        images = {"source": source, "edited": edited}
        request = build_question(self._suite, question, self._server.options, images, sample.instruction, repeat)
        outcome = self._server.ask(request)
        facts["request"] = request.key
        if isinstance(outcome, ModelAnswer):
            scores = {criterion: float(getattr(outcome.value, criterion)) for criterion in question.criteria}
            return Verdict(**facts, status="ok", scores=scores)
        status, detail = find_outcome_status(outcome)
        return Verdict(**facts, status=status, detail=detail)

    def digest_files(self, sample: BenchmarkSample) -> tuple[str, str]:
        """Digests of source and result as they are now; "" for what cannot be read."""
        name = find_result(self._results, sample)
        return _digest(self._folder, sample.source), "" if name is None else _digest(self._results, name)


def judge_results(
    suite: Suite,
    samples: Sequence[BenchmarkSample],
    folder: Path,
    results: Path,
    server: ModelServer,
    out: Path,
    *,
    editor: str,
    receipt: dict[str, Any] | None = None,
    repeats: int = 1,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Judge the results of an editor and keep every verdict in a folder.

    Parameters
    ----------
    suite : Suite
    samples : sequence of BenchmarkSample
    folder, results : Path
        Of the benchmark and of the results.
    server : ModelServer
        The judge, with its cache, ledger and budget.
    out : Path
        Folder of the verdicts. A question is asked again if it has no score yet, or if a file, the prompt or the
        transform has changed.
    editor : str
        Whose results these are.
    receipt : dict, optional
        What else the receipt says.
    repeats : int
        How often each question is asked.
    progress : Progress, optional

    Returns
    -------
    dict from str to int
        Number of new verdicts by status.

    Raises
    ------
    UserError
        The folder is of another benchmark or editor; a limit of the budget; an error that every request would get.
    """
    facts = {"benchmark": suite.name, "editor": editor, **(receipt or {})}
    start_run_folder(out, facts, (sample.judged for sample in samples))
    judge = ResultJudge(suite, folder, results, server)
    slots = list(_list_open_slots(judge, suite, samples, server.options.model, out, repeats))
    progress = progress or NullProgress()
    progress.begin("Judging", len(slots))
    counts: dict[str, int] = {}
    waiting = iter(slots)
    with ThreadPoolExecutor(server.options.concurrency) as pool:
        # In portions, so that an interruption loses no verdict of those before.
        while portion := list(islice(waiting, server.options.concurrency)):
            verdicts = list(pool.map(judge.ask, portion))
            append_verdicts(out, verdicts)
            for verdict in verdicts:
                counts[verdict.status] = counts.get(verdict.status, 0) + 1
                progress.advance()
    return counts


def _list_open_slots(
    judge: ResultJudge, suite: Suite, samples: Sequence[BenchmarkSample], model: str, out: Path, repeats: int
) -> Iterator[_Slot]:
    known = {verdict.slot: verdict for verdict in read_judged_run(out).verdicts}
    for sample in samples:
        digests = judge.digest_files(sample)
        for question in list_questions(suite, sample.judged.group):
            for repeat in range(repeats):
                found = known.get((sample.judged.sample_id, question.name, model, repeat))
                wanted = (*digests, *judge.describe_question(question))
                if found is None or found.status in ("error", "missing") or wanted != (
                    found.source_digest, found.result_digest, found.prompt, found.transform
                ):  # fmt: skip
                    yield sample, question, repeat


def _read_image(root: Path, name: str) -> tuple[RgbImage, str]:
    data = read_image_bytes(root, name)
    return decode_image(data), hashlib.sha256(data).hexdigest()


def _digest(root: Path, name: str) -> str:
    try:
        return hashlib.sha256(read_image_bytes(root, name)).hexdigest()
    except ImageError:
        return ""
