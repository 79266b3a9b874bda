"""Editors behind HTTP, against a server that checks every request against the documented schema of its dialect."""

from __future__ import annotations

import base64
import json
import logging
import signal
import threading
import tracemalloc
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import cv2
import httpx2
import numpy as np
import openai
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from editfhf.editors.http_editors import HttpEditor, result_urls
from editfhf.editors.http_editors.canvas import cut_answer, place_image, place_mask, plan_canvas
from editfhf.editors.http_editors.dialects import build_openai, plan_openai
from editfhf.editors.protocol import Editor, EditRequest
from editfhf.editors.registry import find_editor_entry, load_editor
from mos.errors import UserError
from tests.editfhf.chat.fault_plan import Plan
from tests.editfhf.chat.fault_server import KEY
from tests.editfhf.editors.edit_server import MODEL, EditServer, encode_text, running_editor

NAMES = {"openai": "openai-edits", "vllm-omni": "vllm-omni", "sglang": "sglang", "gemini": "gemini"}
NAMES |= {"seedream": "seedream"}
SMALL = Image.new("RGB", (64, 64))


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY", "ARK_API_KEY"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


@pytest.fixture
def request_() -> EditRequest:
    return make_request()


def make_request(
    seed: int = 7, text: str = "Remove the second cup.", shape: tuple[int, int] = (90, 120)
) -> EditRequest:
    """Smooth pictures, so that what comes back can be compared after scaling; the mask is a rectangle."""
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    current = np.stack([255 * rows / shape[0], 255 * columns / shape[1], 100 + 0 * rows], axis=2).astype(np.uint8)
    mask = np.zeros(shape, np.uint8)
    mask[shape[0] // 3 : shape[0] // 2, shape[1] // 4 : shape[1] // 2] = 255
    return EditRequest(255 - current, current, mask, text, seed)


@pytest.fixture
def editor_of(tmp_path: Path) -> Iterator[Any]:
    """A function that makes an editor for a server; all are closed at the end."""
    made: list[HttpEditor] = []

    def make(server: EditServer, folder: str = "store", model: str = MODEL, **options: Any) -> HttpEditor:
        options = {"attempts": 3, "timeout": 20.0, **options}
        if "side" in find_editor_entry(NAMES[server.dialect]).parameters:
            options.setdefault("side", 1024 if server.dialect == "seedream" else 512)
        editor = load_editor(
            NAMES[server.dialect], model=model, base_url=server.url, folder=tmp_path / folder, **options
        )
        assert isinstance(editor, HttpEditor)
        made.append(editor)
        return editor

    yield make
    for editor in made:
        editor.close()


def check_inverted(request: EditRequest, image: np.ndarray | None) -> None:
    """Inside of the mask the colours are inverted, outside as they were; but for the border, which scaling blurs."""
    assert image is not None
    height, width = request.mask.shape
    shown = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(int)
    core = cv2.erode(request.mask, np.ones((5, 5))) > 0
    far = cv2.dilate(request.mask, np.ones((5, 5))) == 0
    assert np.abs(shown[core] - (255 - request.current.astype(int))[core]).max() <= 6
    assert np.abs(shown[far] - request.current.astype(int)[far]).max() <= 6


@pytest.mark.parametrize("dialect", NAMES)
def test_each_dialect_sends_what_is_documented_and_reads_the_image(
    tmp_path: Path, editor_of: Any, dialect: str, request_: EditRequest
) -> None:
    with running_editor(tmp_path / "server", dialect) as server:
        editor = editor_of(server)
        result = editor.edit(request_)
        assert server.violations == []
    assert isinstance(editor, Editor)
    assert result.record.status == "ok", result.record.detail
    check_inverted(request_, result.image)
    assert result.record.seed == (None if dialect in ("openai", "seedream") else 7)
    assert result.record.parameters["model"] == MODEL
    assert find_editor_entry(NAMES[dialect]).takes_seed == (result.record.seed is not None)


@pytest.mark.parametrize("model", ["gpt-image-1.5", "gpt-image-2"])
@pytest.mark.parametrize("shape", [(60, 300), (300, 60), (97, 101), (31, 1200)])
def test_openai_gets_a_size_that_the_model_draws_and_the_picture_keeps_its_shape(
    tmp_path: Path, editor_of: Any, model: str, shape: tuple[int, int]
) -> None:
    request = make_request(shape=shape)
    with running_editor(tmp_path / "server", "openai") as server:
        image = editor_of(server, model=model, send_source=False).edit(request).image
        assert server.violations == []
    assert image is not None
    ratio = (image.shape[1] / image.shape[0]) / (shape[1] / shape[0])
    assert 0.9 < ratio < 1.1
    if min(shape) > 40:
        check_inverted(request, image)


def test_the_form_is_that_of_the_openai_client(request_: EditRequest) -> None:
    """`client.images.edit` of the real package makes the same fields and files of the same values."""
    parameters = find_editor_entry("openai-edits").merge_parameters({})
    wire = build_openai(request_, plan_openai(request_, "gpt-image-2", parameters), "gpt-image-2", parameters)
    sent: list[dict[str, bytes]] = []

    def keep(asked: httpx2.Request) -> httpx2.Response:
        boundary = asked.headers["content-type"].split("boundary=")[1].encode()
        parts = [part.split(b"\r\n\r\n", 1) for part in asked.read().split(b"--" + boundary)[1:-1]]
        sent.append({head.decode("latin-1").split("Content-Type")[0].strip(): body for head, body in parts})
        return httpx2.Response(200, json={"created": 1, "data": []})

    with openai.OpenAI(
        api_key="x", base_url="http://x/v1", http_client=httpx2.Client(transport=httpx2.MockTransport(keep))
    ) as client:
        images = [(file.name, file.data, file.media_type) for file in wire.files or () if file.field == "image[]"]
        mask = next((file.name, file.data, file.media_type) for file in wire.files or () if file.field == "mask")
        client.images.edit(image=images, mask=mask, **dict(wire.fields))
        client.post(wire.path, cast_to=httpx2.Response, **wire.render_body(),
                    options={"headers": {"Content-Type": wire.content_type}})  # fmt: skip
    assert sorted(sent[0].items()) == sorted(sent[1].items())


def test_an_edit_is_paid_once_however_often_it_is_asked(tmp_path: Path, editor_of: Any, request_: EditRequest) -> None:
    with running_editor(tmp_path / "server", "openai") as server:
        editor = editor_of(server)
        first = editor.edit(request_)
        again = editor.edit(request_)
        editor.close()
        later = editor_of(server).edit(request_)
        assert server.bill.total().requests == 1
        other = editor_of(server, folder="other").edit(make_request(seed=8))
        assert server.bill.total().requests == 2
    assert first.image is not None
    assert again.image is not None
    assert later.image is not None
    assert first.image.tobytes() == again.image.tobytes() == later.image.tobytes()
    assert first.record.cost == later.record.cost
    assert other.record.status == "ok"


@pytest.mark.parametrize("changed", ["text", "seed", "parameters", "model"])
def test_another_request_is_asked_anew(tmp_path: Path, editor_of: Any, changed: str, request_: EditRequest) -> None:
    other = make_request(seed=8) if changed == "seed" else make_request(text="y") if changed == "text" else request_
    options = {"parameters": {"quality": "low"}, "model": {"model": "gpt-image-2"}}.get(changed, {})
    with running_editor(tmp_path / "server", "openai") as server:
        for request, given in ((request_, {}), (other, options)):
            editor = editor_of(server, **given)
            assert editor.edit(request).record.status == "ok"
            editor.close()
        assert server.bill.total().requests == 2


@pytest.mark.parametrize("fault", ["429-ms:10", "500", "503", "reset", "page", "cut", "garbage:[]"])
def test_what_passes_is_tried_again(tmp_path: Path, editor_of: Any, fault: str, request_: EditRequest) -> None:
    with running_editor(tmp_path / "server", "vllm-omni", Plan(script=[fault])) as server:
        result = editor_of(server).edit(request_)
        assert server.violations == []
        assert len(server.seen) == 2
    assert result.record.status == "ok"


@pytest.mark.parametrize(
    ("dialect", "fault"),
    [
        ("openai", "blocked:moderation_blocked"),
        ("openai", "blocked:content_policy_violation"),
        ("seedream", "blocked:OutputImageSensitiveContentDetected"),
        ("seedream", {"error": {"code": "OutputImageSensitiveContentDetected", "message": "x"}}),
        ("gemini", {"candidates": [{"finishReason": "IMAGE_SAFETY"}]}),
        ("gemini", {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}),
    ],
)
def test_a_content_filter_is_a_refusal_and_is_not_asked_again(
    tmp_path: Path, editor_of: Any, dialect: str, fault: Any, request_: EditRequest
) -> None:
    plan = Plan(script=[fault] if isinstance(fault, str) else [])
    with running_editor(tmp_path / "server", dialect, plan) as server:
        server.result = None if isinstance(fault, str) else fault
        editor = editor_of(server)
        records = [editor.edit(request_).record for _ in range(2)]
        assert len(server.seen) == 1
    assert [(record.status, "content filter" in record.detail) for record in records] == [("refused", True)] * 2


HOSTILE: dict[str, Any] = {
    "no data": {},
    "not base64": {"b64_json": "%%%"},
    "text": {"b64_json": base64.b64encode(b"hello").decode()},
    "an svg": {"b64_json": base64.b64encode(b"<svg onload='x'/>").decode()},
    "wrong types": {"b64_json": {"a": 1}, "url": 3},
    "half a png": {"b64_json": encode_text(SMALL)[:80]},
}


@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE.keys())
def test_an_answer_that_is_no_image_is_one_sentence_and_is_paid_once(
    tmp_path: Path, editor_of: Any, answer: dict[str, Any], request_: EditRequest
) -> None:
    with running_editor(tmp_path / "server", "openai") as server:
        server.result = answer
        editor = editor_of(server)
        records = [editor.edit(request_).record for _ in range(2)]
        assert server.bill.total().requests == 1
    for record in records:
        assert record.status == "error"
        assert "\n" not in record.detail
        assert record.detail.endswith(".")


def test_a_picture_that_would_fill_the_memory_is_refused_by_its_header(
    tmp_path: Path, editor_of: Any, request_: EditRequest
) -> None:
    bomb = bytearray(base64.b64decode(encode_text(SMALL)))
    bomb[16:24] = (60_000).to_bytes(4, "big") * 2
    with running_editor(tmp_path / "server", "openai") as server:
        server.result = {"b64_json": base64.b64encode(bytes(bomb)).decode()}
        editor = editor_of(server)
        tracemalloc.start()
        record = editor.edit(request_).record
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert "60000 x 60000" in record.detail
    assert peak < 100e6


@pytest.mark.parametrize("fault", ["flood", "bomb"])
def test_a_huge_body_is_not_read(tmp_path: Path, editor_of: Any, fault: str, request_: EditRequest) -> None:
    with running_editor(tmp_path / "server", "openai", Plan(script=[fault])) as server:
        record = editor_of(server, attempts=1).edit(request_).record
    assert (record.status, "TooLong" in record.detail) == ("error", True)


def test_an_answer_of_another_size_comes_back_as_it_is(tmp_path: Path, editor_of: Any, request_: EditRequest) -> None:
    with running_editor(tmp_path / "server", "gemini") as server:
        server.answer_size = (640, 480)
        image = editor_of(server).edit(request_).image
    check_inverted(request_, image)


def test_the_cost_is_that_of_the_usage_and_the_estimate_is_above_it(
    tmp_path: Path, editor_of: Any, request_: EditRequest
) -> None:
    with running_editor(tmp_path / "server", "openai") as server:
        editor = editor_of(server, model="gpt-image-1.5", max_cost=Decimal(5))
        estimate = editor.estimate_cost(request_)
        assert server.seen == []
        record = editor.edit(request_).record
    # 1,000 tokens of input at $8 and 4,000 of output at $32 a million, by hand
    assert record.cost == pytest.approx(0.136)
    assert record.cost <= estimate < 1
    assert editor_of(server, folder="s", model="unknown").estimate_cost(request_) is None


def test_nothing_is_sent_beyond_the_limit_or_without_a_price(
    tmp_path: Path, editor_of: Any, request_: EditRequest
) -> None:
    with running_editor(tmp_path / "server", "openai") as server:
        record = editor_of(server, model="gpt-image-1.5", max_cost=Decimal("0.01")).edit(request_).record
        assert (record.status, record.detail) == ("error", "Nothing was sent. It could exceed the limit on money.")
        with pytest.raises(UserError, match="no model"):
            editor_of(server, folder="b", max_cost=Decimal(1)).edit(request_)
        assert server.seen == []


@pytest.mark.parametrize("fault", ["401", "403", "404"])
def test_what_every_edit_would_meet_is_one_sentence(
    tmp_path: Path, editor_of: Any, fault: str, request_: EditRequest
) -> None:
    with (
        running_editor(tmp_path / "server", "openai", Plan(script=[fault])) as server,
        pytest.raises(UserError) as caught,
    ):
        editor_of(server).edit(request_)
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dialect", ["openai", "gemini", "seedream"])
def test_no_key_and_no_image_is_in_a_record_a_log_or_a_file_of_ours(
    tmp_path: Path, editor_of: Any, dialect: str, request_: EditRequest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with running_editor(tmp_path / "server", dialect, Plan(script=["500"])) as server:
        editor = editor_of(server)
        record = editor.edit(request_).record
        editor.close()
    assert KEY not in repr(record) + caplog.text
    assert "base64," not in caplog.text
    assert not [
        path for path in (tmp_path / "store").rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()
    ]


def test_an_interrupt_keeps_the_answer_that_is_paid_for(tmp_path: Path, editor_of: Any, request_: EditRequest) -> None:
    main = threading.main_thread().ident
    assert main is not None
    with running_editor(tmp_path / "server", "openai") as server:
        server.on_paid = lambda: signal.pthread_kill(main, signal.SIGINT)
        editor = editor_of(server)
        with pytest.raises(KeyboardInterrupt):
            editor.edit(request_)
        editor.close()
        server.on_paid = lambda: None
        assert editor_of(server).edit(request_).record.status == "ok"
        assert server.bill.total().requests == 1


# Addresses of results ------------------------------------------------------------------------------------------------


def test_a_url_is_not_fetched_unless_its_host_is_named(tmp_path: Path, editor_of: Any, request_: EditRequest) -> None:
    with running_editor(tmp_path / "server", "seedream") as server:
        server.result = {"url": server.url.replace("/v1", "/results/a.png")}
        record = editor_of(server).edit(request_).record
        assert [entry for entry in server.seen if "download" in entry] == []
    assert record.status == "error"
    assert "Name this host with --result-host" in record.detail


def test_a_named_host_is_fetched_once_and_the_image_is_kept(
    tmp_path: Path, editor_of: Any, request_: EditRequest
) -> None:
    with running_editor(tmp_path / "server", "seedream") as server:
        server.result = {"url": server.url.replace("/v1", "/results/a.png")}
        server.downloads["a.png"] = lambda: web.Response(body=base64.b64decode(encode_text(SMALL)))
        editor = editor_of(server, result_hosts=["127.0.0.1"])
        results = [editor.edit(request_) for _ in range(2)]
        assert [entry["download"] for entry in server.seen if "download" in entry] == ["a.png"]
        assert server.bill.total().requests == 1
    assert [result.record.status for result in results] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("response", "sentence"),
    [
        ({"status": 302, "headers": {"Location": "http://169.254.169.254/latest/meta-data"}}, "an address at"),
        ({"status": 302, "headers": {"Location": "file:///etc/passwd"}}, "an address at"),
        ({"status": 302, "headers": {"Location": "/results/a.png"}}, "redirects more than 3 times"),
        ({"status": 404}, "cannot be downloaded: 404"),
        ({"body": b"hello"}, "expected PNG, JPEG or WebP"),
        ({"body": bytes(70_000_000)}, "is larger than"),
    ],
    ids=["metadata", "file", "loop", "gone", "text", "huge"],
)
def test_a_bad_download_is_one_sentence(
    tmp_path: Path, editor_of: Any, request_: EditRequest, response: dict[str, Any], sentence: str
) -> None:
    with running_editor(tmp_path / "server", "seedream") as server:
        server.result = {"url": server.url.replace("/v1", "/results/a.png")}
        server.downloads["a.png"] = lambda: web.Response(**response)
        record = editor_of(server, result_hosts=["127.0.0.1"]).edit(request_).record
    assert record.status == "error"
    assert sentence in record.detail


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.7", "192.168.1.1", "169.254.169.254", "::1", "fd00::1"])
def test_a_named_host_that_leads_into_a_private_network_is_refused(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setattr(result_urls.socket, "getaddrinfo", lambda *a, **k: [(0, 0, 0, "", (address, 443))])
    with pytest.raises(result_urls.EditDeclined, match="inside of a private network"):
        result_urls.download_result("https://images.example.com/a.png", ["images.example.com"], 5.0)


@pytest.mark.parametrize(
    "url",
    ["http://images.example.com/a", "ftp://images.example.com/a", "https://images.example.com@evil.test/", "nonsense",
     "https://u:p@images.example.com/", "https://images.example.com.evil.test/", "//images.example.com", "http://[::1"],
)  # fmt: skip
def test_an_address_that_is_not_the_named_host_over_tls_is_refused(url: str) -> None:
    with pytest.raises(result_urls.EditDeclined):
        result_urls.download_result(url, ["images.example.com"], 5.0)


# Canvas --------------------------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(*[st.integers(8, 90)] * 2, *[st.integers(32, 128)] * 2)
def test_what_is_placed_on_a_canvas_is_cut_from_it_again(height: int, width: int, rows: int, columns: int) -> None:
    """The answer that equals what was sent gives the image back, whatever the size of the answer."""
    canvas = plan_canvas(height, width, rows, columns)
    image = make_request(shape=(height, width)).current
    for factor in (1, 2):
        answer = np.repeat(np.repeat(place_image(image, canvas), factor, 0), factor, 1)
        cut = cut_answer(answer, canvas)
        assert cut.shape[:2] == (factor * (canvas.y1 - canvas.y0), factor * (canvas.x1 - canvas.x0))
    assert (canvas.y1 - canvas.y0, canvas.x1 - canvas.x0) <= (rows, columns)
    mask = place_mask(np.full((height, width), 255, np.uint8), canvas)
    assert int((mask > 0).sum()) == (canvas.y1 - canvas.y0) * (canvas.x1 - canvas.x0)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"model": ""}, "needs --model"),
        ({"model": "../v2/models/x"}, "needs --model"),
        ({"base_url": "https://user:secret@host/v1"}, "contains a user or a password"),
        ({"quality": "best"}, "quality of the editor 'openai-edits' must be one of"),
    ],
)
def test_a_wrong_option_is_one_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        load_editor("openai-edits", **{"model": "gpt-image-2", **options})
    assert sentence in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_missing_key_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(UserError, match="OPENAI_API_KEY"):
        load_editor("openai-edits", model="gpt-image-2")
    monkeypatch.delenv("GEMINI_API_KEY")
    with pytest.raises(UserError, match="GEMINI_API_KEY"):
        load_editor("gemini", model="gemini-3.1-flash-image-preview")


def test_an_instruction_changes_only_the_prompt(tmp_path: Path, editor_of: Any) -> None:
    text = 'x"}], "model": "other", "mask": "http://127.0.0.1:1/"}\r\n\r\n--boundary\r\nname="n"\r\n\r\n9'
    with running_editor(tmp_path / "server", "openai") as server:
        assert editor_of(server).edit(make_request(text=text)).record.status == "ok"
        (seen,) = server.seen
    assert (
        text in seen["fields"]["prompt"].replace("\r\n", "\n").replace("\n", "\r\n") or text in seen["fields"]["prompt"]
    )
    assert (seen["fields"]["model"], seen["fields"]["n"]) == (MODEL, "1")
    assert json.dumps(seen["files"]) == '{"image[]": 2, "mask": 1}'
