"""The client against a server that we did not write: `transformers serve`, with a tiny model that sees two pictures."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import httpx2
import pytest
from PIL import Image
from pydantic import BaseModel, ConfigDict

from editfhf.chat import EncodedImage, FailedRequest, InvalidReply, Limits, ModelAnswer, ModelRequest, TruncatedReply
from tests.editfhf.chat.asking import ask_all
from tests.editfhf.chat.fault_server import ROOT

KEY = "sk-local-recognisable"


class Colours(BaseModel):
    model_config = ConfigDict(extra="forbid")

    source: Literal["red", "blue"]
    edited: Literal["red", "blue"]


class Verdict(BaseModel):
    better: bool


def painted(colour: str) -> EncodedImage:
    file = io.BytesIO()
    Image.new("RGB", (60, 40), colour).save(file, "PNG")
    return EncodedImage(file.getvalue(), "image/png")


def question(model: str, source: str, edited: str, reply: type[BaseModel] = Colours) -> ModelRequest:
    parts = ("Source:", painted(source), "Edited:", painted(edited))
    return ModelRequest(f"{source}-{edited}", model, "Name the colours, in JSON.", parts, reply, "1", 60)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint that learnt to name the colours of two pictures, in order."""
    folder = tmp_path_factory.mktemp("model")
    questions = [question("any", source, edited) for source in ("red", "blue") for edited in ("red", "blue")]
    replies = [dict(zip(("source", "edited"), asked.name.split("-"), strict=True)) for asked in questions]
    examples = [
        {"messages": asked.messages(), "reply": json.dumps(reply)}
        for asked, reply in zip(questions, replies, strict=True)
    ]
    (folder / "examples.json").write_text(json.dumps(examples))
    script = Path(__file__).with_name("tiny_vlm.py")
    command = [sys.executable, str(script), str(folder / "tiny"), str(folder / "examples.json")]
    subprocess.run(command, check=True, capture_output=True, timeout=200, env=os.environ | {"HF_HUB_OFFLINE": "1"})
    return str(folder / "tiny")


@contextmanager
def serving(model: str, log: Path) -> Iterator[str]:
    """`transformers serve` on a free port; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tool = Path(sys.executable).with_name("transformers")
    command = [str(tool), "serve", model, "--host", "127.0.0.1", "--port", str(port)]
    offline = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(log.parent / "hub")}
    with log.open("wb") as said, subprocess.Popen(command, cwd=ROOT, env=offline, stdout=said, stderr=said) as process:
        try:
            deadline = time.monotonic() + 120
            while True:
                try:
                    if httpx2.get(f"http://127.0.0.1:{port}/health").is_success:
                        break
                except httpx2.TransportError:
                    pass
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"transformers serve did not start\n{log.read_text()[-2000:]}", pytrace=False)
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()


@pytest.mark.slow
def test_a_real_model_looks_at_both_pictures_and_answers(model: str, tmp_path: Path) -> None:
    questions = [question(model, source, edited) for source in ("red", "blue") for edited in ("red", "blue")]
    with serving(model, tmp_path / "serve.log") as url:
        found, usage = ask_all(url, tmp_path / "chat", questions, concurrency=2, key=KEY)
        assert all(isinstance(outcome, ModelAnswer) for outcome in found.values()), found
        seen = {name: outcome.value.model_dump() for name, outcome in found.items() if isinstance(outcome, ModelAnswer)}
        assert seen == {name: dict(zip(("source", "edited"), name.split("-"), strict=True)) for name in found}
        assert usage.requests == 4 and usage.retries == 0 and usage.cost is None
        assert usage.tokens == sum(outcome.usage.tokens for outcome in found.values()) > 4 * 60

        # It ignores the schema, so that a model that was taught something else cannot be held to it.
        other = question(model, "red", "blue", Verdict)
        outcome = ask_all(url, tmp_path / "chat", [other], key=KEY)[0][other.name]
        assert isinstance(outcome, InvalidReply | TruncatedReply) and outcome.usage.tokens > 0

        over, _ = ask_all(url, tmp_path / "small", questions, limits=Limits(requests=3), key=KEY)
        assert sorted(outcome.reason for outcome in over.values()) == ["answer", "answer", "answer", "over_budget"]

        missing = ask_all(url, tmp_path / "chat", [question("missing", "red", "red")], key=KEY)[0]["red-red"]
        assert isinstance(missing, FailedRequest) and missing.status == 400
    again, _ = ask_all(url, tmp_path / "chat", questions, key=KEY)  # the server is gone; the answers are not
    assert {
        name: outcome.value.model_dump() for name, outcome in again.items() if isinstance(outcome, ModelAnswer)
    } == seen
