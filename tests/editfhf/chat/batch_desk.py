"""Files and batches of the fault server: validated, worked off poll by poll, and damaged as planned."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.editfhf.chat import faulty_replies, request_rules
from tests.editfhf.chat.fault_plan import Plan
from tests.editfhf.chat.request_rules import Refusal
from tests.editfhf.chat.server_bill import Bill

ENDPOINT = "/v1/chat/completions"
STATES = ("validating", "in_progress", "finalizing")


@dataclass
class Batch:
    """One batch; `polls` counts how often somebody looked, which is the clock of its life."""

    number: int
    about: dict[str, Any]
    lines: list[dict[str, Any]]
    faults: Sequence[str]
    status: str = "validating"
    polls: int = 0
    files: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=lambda: {"total": 0, "completed": 0, "failed": 0})
    errors: list[dict[str, Any]] = field(default_factory=list)

    def shown(self) -> dict[str, Any]:
        return {
            "id": f"batch_{self.number}", "object": "batch", "endpoint": ENDPOINT, "completion_window": "24h",
            "created_at": 1_770_000_000 + self.number, "status": self.status, "request_counts": self.counts,
            "input_file_id": self.about["input_file_id"], "metadata": self.about.get("metadata"),
            "output_file_id": self.files.get("output"), "error_file_id": self.files.get("error"),
            "errors": {"object": "list", "data": self.errors} if self.errors else None,
        }  # fmt: skip


class Desk:
    """Files and batches by id. A batch is billed line by line when it ends, at the counts of the plain requests."""

    def __init__(self, bill: Bill, counter: request_rules.Counter, plan: Plan, models: set[str]) -> None:
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, Batch] = {}
        self.most_lines, self.most_bytes = 50_000, 200_000_000
        self._bill, self._counter, self._plan, self._models = bill, counter, plan, models

    def store(self, content: bytes) -> str:
        """Keep a file and give its id."""
        name = f"file-{len(self.files) + 1}"
        self.files[name] = content
        return name

    def submit(self, about: dict[str, Any]) -> Batch:
        """Open a batch over a file that was sent."""
        if about.get("endpoint") != ENDPOINT or about.get("completion_window") != "24h":
            raise Refusal(400, "Invalid 'endpoint' or 'completion_window'.")
        if about.get("input_file_id") not in self.files:
            raise Refusal(404, "No such File object.")
        batch = Batch(len(self.batches) + 1, about, [], self._plan.next_batch())
        self.batches[f"batch_{batch.number}"] = batch
        return batch

    def look(self, batch: Batch) -> Batch:
        """One poll: the batch takes one step of its life."""
        if batch.status == "cancelling":
            self._finish(batch, "cancelled")
        elif batch.status in STATES:
            batch.polls += 1
            if batch.status == "validating":
                self._validate(batch)
            elif batch.status == "in_progress" and batch.polls > 2:
                batch.status = "finalizing"
            elif batch.status == "finalizing":
                expired = any(fault.startswith("expired") for fault in batch.faults)
                self._finish(batch, "expired" if expired else "completed")
        return batch

    def _validate(self, batch: Batch) -> None:
        content = self.files[batch.about["input_file_id"]]
        rows = content.splitlines()
        if "failed" in batch.faults or len(rows) > self.most_lines or len(content) > self.most_bytes:
            batch.status = "failed"
            batch.errors = [
                {"code": "invalid_batch", "line": None, "message": "The file was not taken.", "param": None}
            ]
            return
        names: set[str] = set()
        for number, row in enumerate(rows, 1):
            try:
                line = json.loads(row)
                if line["custom_id"] in names or line["method"] != "POST" or line["url"] != ENDPOINT:
                    raise Refusal(400, "duplicate custom_id or wrong url")
                names.add(line["custom_id"])
                request_rules.check(line["body"], self._models)
                batch.lines.append(line)
            except (Refusal, ValueError, KeyError, TypeError) as error:
                batch.errors.append({"code": "invalid_line", "line": number, "message": str(error), "param": None})
        batch.status = "failed" if batch.errors else "in_progress"
        batch.counts["total"] = len(batch.lines)

    def _finish(self, batch: Batch, status: str) -> None:
        """Answer, bill and damage; a tenth named by `expired:0.1` is answered, the rest is expired."""
        share = next(
            (float(fault.partition(":")[2] or 0.5) for fault in batch.faults if fault.startswith("expired")), 1
        )
        share = 0.5 if status == "cancelled" else share
        done = batch.lines[: round(share * len(batch.lines))]
        output, errors = [], []
        for line in done:
            made = self._answer(batch, line)
            (output if made["response"]["status_code"] == 200 else errors).append(made)
        for line in batch.lines[len(done) :]:
            gone = {"code": f"batch_{status}", "message": f"This request could not be executed: {status}."}
            errors.append({"id": "", "custom_id": line["custom_id"], "response": None, "error": gone})
        batch.counts |= {"completed": len(output), "failed": len(errors)}
        for name, rows in (("output", damaged(output, batch)), ("error", [json.dumps(row) for row in errors])):
            if rows:
                batch.files[name] = self.store("".join(f"{row}\n" for row in rows).encode())
        batch.status = status

    def _answer(self, batch: Batch, line: dict[str, Any]) -> dict[str, Any]:
        body = line["body"]
        digest = request_rules.digest(body)
        fault = self._plan.next(digest, request_rules.text(body))
        row = {"id": f"batch_req_{batch.number}_{digest[:12]}", "custom_id": line["custom_id"], "error": None}
        if fault[:3].isdigit():
            error = {"error": {"message": "The server had an error.", "type": "server_error", "code": None}}
            return row | {"response": {"status_code": int(fault[:3]), "request_id": digest[:12], "body": error}}
        used = self._counter.input(body)
        made = faulty_replies.envelope(body, digest, fault, used)
        self._bill.charge("batch", line["custom_id"], digest, body["model"], used, fault)
        return row | {"response": {"status_code": 200, "request_id": digest[:12], "body": made}}


def damaged(output: list[dict[str, Any]], batch: Batch) -> list[str]:
    """The lines of the output file: never in the order sent, and doubled, missing, foreign or broken as planned."""
    rows = [json.dumps(row) for row in output]
    random.Random(batch.number).shuffle(rows)
    if "doubled" in batch.faults:
        rows += rows[: len(rows) // 2 + 1]
    if "missing" in batch.faults:
        rows = rows[: -(len(rows) // 3 + 1)]
    if "foreign" in batch.faults and output:
        rows.insert(0, json.dumps(output[0] | {"custom_id": "../../somebody-elses"}))
    if "broken_line" in batch.faults:
        rows.insert(1, '{"id": "batch_req_0", "custom_id"')
    return rows
