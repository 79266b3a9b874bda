"""The double itself, judged by the openai package and jsonschema: what the other tests believe of it."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import jsonschema
import openai
import pytest
from openai.lib._pydantic import to_strict_json_schema
from PIL import Image
from pydantic import BaseModel

from tests.editfhf.chat.fault_plan import Plan
from tests.editfhf.chat.fault_server import KEY, MODEL, FaultServer, running


class Region(BaseModel):
    region: Literal[1, 7]
    flaw_type: Literal["shadow", "edge"]
    text: str
    sure: float | None


class Regions(BaseModel):
    regions: list[Region]


SCHEMA = to_strict_json_schema(Regions)
FORMAT = {"type": "json_schema", "json_schema": {"name": "regions", "schema": SCHEMA, "strict": True}}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FaultServer]:
    with running(tmp_path, Plan()) as started:
        yield started


def picture(kind: str = "PNG") -> str:
    file = io.BytesIO()
    Image.new("RGB", (600, 40), "teal").save(file, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def ask(server: FaultServer, url: str | None = None, key: str = KEY, **changes: Any) -> Any:
    parts: list[dict[str, Any]] = [{"type": "text", "text": "Region 1: wheel, region 7: shadow"}]
    parts += [{"type": "image_url", "image_url": {"url": url}}] if url else []
    given = {"model": MODEL, "messages": [{"role": "user", "content": parts}], "response_format": FORMAT} | changes
    client = openai.OpenAI(base_url=server.url, api_key=key, max_retries=0)
    with client:
        return client.chat.completions.create(**given)


def test_a_reply_holds_to_the_schema_and_names_each_region_of_a_closed_list(server: FaultServer) -> None:
    reply = ask(server, picture())
    value = json.loads(reply.choices[0].message.content)
    jsonschema.validate(value, SCHEMA)
    assert [row["region"] for row in value["regions"]] == [1, 7]


def test_the_bill_is_what_the_replies_say(server: FaultServer) -> None:
    replies = [ask(server, picture(), seed=seed) for seed in range(3)]
    assert server.bill.total().tokens == sum(reply.usage.total_tokens for reply in replies)
    assert replies[0].usage.prompt_tokens > 85 + 2 * 170


def test_the_same_idempotency_key_is_billed_once(server: FaultServer) -> None:
    first, second = (ask(server, extra_headers={"Idempotency-Key": "one"}) for _ in range(2))
    assert first == second and server.bill.total().requests == 1
    with pytest.raises(openai.BadRequestError, match="another request"):
        ask(server, seed=1, extra_headers={"Idempotency-Key": "one"})


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"key": "sk-other"}, openai.AuthenticationError),
        ({"model": "gpt-9000"}, openai.NotFoundError),
        ({"url": "https://example.org/a.png"}, openai.BadRequestError),
        ({"url": "file:///etc/passwd"}, openai.BadRequestError),
        ({"url": "data:image/png;base64,AAAA"}, openai.BadRequestError),
        ({"url": picture("JPEG").replace("jpeg", "png")}, openai.BadRequestError),
        ({"messages": []}, openai.BadRequestError),
        ({"extra_body": {"folder": "x"}}, openai.BadRequestError),
    ],
)
def test_what_the_real_server_refuses_is_refused_and_not_billed(
    server: FaultServer, wrong: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        ask(server, **wrong)
    assert server.bill.total().requests == 0


@pytest.mark.parametrize(
    "change",
    [{"additionalProperties": True}, {"required": []}, {"type": "array"}, {"allOf": []}, {"default": {}}],
)
def test_a_schema_that_is_not_strict_is_refused(server: FaultServer, change: dict[str, Any]) -> None:
    schema = {"name": "regions", "schema": SCHEMA | change, "strict": True}
    with pytest.raises(openai.BadRequestError, match="Invalid schema"):
        ask(server, response_format={"type": "json_schema", "json_schema": schema})


def test_a_batch_is_validated_worked_off_and_billed(server: FaultServer) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Look."}], "response_format": FORMAT}
    lines = [
        {"custom_id": f"r{n}", "method": "POST", "url": "/v1/chat/completions", "body": body | {"seed": n}}
        for n in range(5)
    ]
    with openai.OpenAI(base_url=server.url, api_key=KEY, max_retries=0) as client:
        content = "\n".join(json.dumps(line) for line in lines).encode()
        file = client.files.create(file=("requests.jsonl", content), purpose="batch")
        batch = client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"ours": "1"}
        )
        seen = [batch.status]
        while batch.status != "completed":
            batch = client.batches.retrieve(batch.id)
            seen.append(batch.status)
        rows = [json.loads(row) for row in client.files.content(batch.output_file_id or "").text.splitlines()]
        assert [listed.id for listed in client.batches.list()] == [batch.id]
    assert sorted(row["custom_id"] for row in rows) == [f"r{n}" for n in range(5)]
    assert [row["custom_id"] for row in rows] != [f"r{n}" for n in range(5)]
    assert seen[0] == "validating" and "in_progress" in seen and batch.metadata == {"ours": "1"}
    assert server.bill.total("batch").requests == 5
