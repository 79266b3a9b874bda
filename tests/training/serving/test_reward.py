"""The reward client: the server's numbers as trl's GRPOTrainer takes them, and what is no number."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest

from mos.errors import UserError
from tests.training.serving.server_process import KEY, RunningServer, make_pair, running_server
from training.serving import RewardClient, http_reward

Connect = Callable[..., RewardClient]

SOURCE, EDITED = make_pair()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("reward")) as running:
        yield running


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes clients, and closes them in the end."""
    with ExitStack() as stack:

        def make(*words: Any, **options: Any) -> RewardClient:
            return stack.enter_context(closing(RewardClient(*words, **options)))

        yield make


def render(text: str, row: dict[str, Any]) -> tuple[Any, Any, str] | None:
    """The longer the completion, the larger the square; an empty one is no image."""
    if not text:
        return None
    edited = SOURCE.copy()
    edited[: 1 + len(text), : 1 + len(text)] = (250, 20, 20)
    return SOURCE, edited, row["instruction"]


def test_rewards_are_the_scores_of_the_server(server: RunningServer, connect: Connect) -> None:
    client = connect(server.url, KEY, batch=2)
    reward = http_reward(client, render)
    messages = [[{"role": "assistant", "content": "x" * 30}], [{"role": "assistant", "content": ""}]]
    found = reward(completions=[*messages, "y" * 30], instruction=["Add a box."] * 3, trainer_state=None)
    pair = render("x" * 30, {"instruction": "Add a box."})
    assert pair is not None
    overall = client.score([pair])[0].values["overall"]
    assert overall is not None and found == [pytest.approx(overall / 100), None, pytest.approx(overall / 100)]
    assert reward.__name__ == "editfhf_overall"


def test_a_wrong_key_stops_with_a_sentence(server: RunningServer, connect: Connect) -> None:
    with pytest.raises(UserError, match="answered 401: Expected the header"):
        connect(server.url, "wrong").score([(SOURCE, EDITED, "Add a box.")])


def test_a_pair_that_is_refused_has_no_number(server: RunningServer, connect: Connect) -> None:
    found = connect(server.url, KEY).score([(SOURCE, EDITED, ""), (SOURCE, EDITED, "Add a box.")])
    assert found[0].values["overall"] is None and found[0].reason == "bad_request"
    assert found[1].values["overall"] is not None and not found[1].reason


def test_no_server_is_a_sentence(connect: Connect) -> None:
    with pytest.raises(UserError, match="editfhf serve"):
        connect("http://127.0.0.1:9", "").score([(SOURCE, EDITED, "Add a box.")])


@pytest.mark.parametrize(
    "content",
    [
        b"<html>",
        b"[]",
        b'{"items": []}',
        b'{"items": [{"status": "ok", "scores": [], "overall": 5}]}',
        b'{"items": [{"status": "ok", "overall": 500, "scores": [{"dimension": "perceptual_quality", "value": 500},'
        b'{"dimension": "instruction_following", "value": 1}, {"dimension": "visual_consistency", "value": 1}]}]}',
    ],
)
def test_an_answer_of_another_server_is_refused(content: bytes, connect: Connect) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        with pytest.raises(UserError, match="not that of editfhf serve"):
            connect(f"http://127.0.0.1:{other.server_port}", "").score([(SOURCE, EDITED, "Add a box.")])
        other.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_real_trainer_learns_from_the_server(server: RunningServer, tmp_path: Path, connect: Connect) -> None:
    from datasets import Dataset
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    from trl import GRPOConfig, GRPOTrainer

    words = ["<pad>", "<s>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    plain = Tokenizer(models.BPE(vocab={word: place for place, word in enumerate(words)}, merges=[]))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="<pad>", bos_token="<s>", eos_token="</s>")
    size = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(words), pad_token_id=0, bos_token_id=1, eos_token_id=2, **size))
    reward = http_reward(connect(server.url, KEY), render, score="visual_consistency")
    rows = Dataset.from_list([{"prompt": "Write: ", "instruction": "Add a box."}] * 4)
    config = GRPOConfig(
        output_dir=str(tmp_path), max_steps=1, per_device_train_batch_size=4, num_generations=4, use_cpu=True,
        max_completion_length=8, bf16=False, report_to=[], save_strategy="no", logging_steps=1,
    )  # fmt: skip
    trainer = GRPOTrainer(
        model=model, reward_funcs=[reward], args=config, train_dataset=rows, processing_class=tokenizer
    )
    trainer.train()
    logged = [each for each in trainer.state.log_history if "rewards/editfhf_visual_consistency/mean" in each]
    assert logged and 0 <= logged[0]["rewards/editfhf_visual_consistency/mean"] <= 1


def test_the_client_waits_when_it_is_told_to(connect: Connect) -> None:
    answers = [(429, b"{}"), (503, b"{}")]
    good: dict[str, Any] = {"dimension": "", "value": 50.0}
    names = ("perceptual_quality", "instruction_following", "visual_consistency")
    item = {"status": "ok", "overall": 50.0, "scores": [good | {"dimension": name} for name in names]}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            code, content = answers.pop(0) if answers else (200, orjson.dumps({"items": [item]}))
            self.send_response(code)
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as busy:
        threading.Thread(target=busy.serve_forever, daemon=True).start()
        found = connect(f"http://127.0.0.1:{busy.server_port}", "").score([(SOURCE, EDITED, "Add a box.")])
        busy.shutdown()
    assert found[0].values["overall"] == 50 and not answers
