"""A request: what makes it the same as another, and what is sent for it."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any, Literal

import openai
import pytest
from pydantic import BaseModel, ConfigDict, Field

from editfhf.chat import ModelRequest
from editfhf.chat.request import strict_schema
from mos.errors import UserError
from tests.editfhf.chat.asking import Flaw, Flaws, picture, question


class Other(BaseModel):
    model_config = ConfigDict(extra="forbid")

    default: Literal["a", "b"] = "a"
    maxLength: str = Field(max_length=3)


CHANGES: list[dict[str, Any]] = [
    {"model": "gpt-other"},
    {"system": "Another order."},
    {"parts": ("Pair 1.", picture(1))},
    {"parts": ("Pair 1.", picture(0), picture(0))},
    {"reply": Flaw},
    {"prompt_version": "2"},
    {"max_output_tokens": 301},
    {"parameters": {"temperature": 0}},
    {"parameters": {"detail": "low"}},
    {"redo": 1},
]


def test_every_part_of_what_is_sent_makes_another_request_and_the_name_does_not() -> None:
    plain = question(1)
    keys = {plain.key, *(replace(plain, **change).key for change in CHANGES)}
    assert len(keys) == 1 + len(CHANGES)
    assert replace(plain, name="twin").key == plain.key


def test_the_order_of_parameters_makes_no_difference() -> None:
    one, other = ({"seed": 1, "temperature": 0}, {"temperature": 0, "seed": 1})
    assert question(1, parameters=one).key == question(1, parameters=other).key


def test_the_body_is_a_chat_completion_with_the_pictures_as_data_urls() -> None:
    request = question(1, pictures=2, parameters={"detail": "high", "seed": 3})
    body = json.loads(request.body())
    assert (body["model"], body["max_completion_tokens"], body["seed"]) == (request.model, 300, 3)
    text, first, second = body["messages"][1]["content"]
    assert text["type"] == "text" and first["image_url"]["detail"] == "high" and "detail" not in body
    head, _, data = second["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64" and base64.b64decode(data) == picture(1).data


def test_a_picture_is_encoded_once() -> None:
    assert picture(5).url is picture(5).url


def test_without_its_pictures_a_request_keeps_key_and_name() -> None:
    whole = question(1, pictures=2)
    light = whole.without_image_data()
    assert (light.key, light.name, light.reply) == (whole.key, whole.name, whole.reply)
    assert [len(part.data) for part in light.images] == [0, 0]
    assert [part.digest for part in light.images] == [part.digest for part in whole.images]


@pytest.mark.parametrize("name", ["n", "stream", "messages", "max_tokens", "response_format"])
def test_what_would_break_the_count_is_no_parameter(name: str) -> None:
    with pytest.raises(UserError, match=name):
        question(1, parameters={name: 2})


@pytest.mark.parametrize("change", [{"max_output_tokens": 0}, {"model": ""}, {"model": "m" * 201}])
def test_what_cannot_be_sent_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        question(1, **change)


def test_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(UserError, match="Unicode"):
        _ = question(1, text="\ud800").key


@pytest.mark.parametrize("reply", [Flaws, Flaw, Other])
def test_the_schema_is_the_packages_own_without_what_openai_refuses(reply: type[BaseModel]) -> None:
    plain = openai.pydantic_function_tool(reply)["function"]["parameters"]
    strict = strict_schema(reply)
    assert set(strict["properties"]) == set(plain["properties"]) == set(strict["required"])
    assert not {"minLength", "maxLength", "default"} & set(_keywords(strict))


def test_properties_may_have_the_names_of_keywords() -> None:
    assert list(strict_schema(Other)["properties"]) == ["default", "maxLength"]


def test_a_request_does_not_show_what_it_holds() -> None:
    shown = repr(question(1, text="SECRET"))
    assert "SECRET" not in shown and "base64" not in shown and "pair-1" in shown


def _keywords(node: Any, properties: bool = False) -> list[str]:
    if isinstance(node, list):
        return [word for item in node for word in _keywords(item)]
    if not isinstance(node, dict):
        return []
    inner = [word for name, value in node.items() for word in _keywords(value, name in ("properties", "$defs"))]
    return inner if properties else [*node, *inner]


def test_a_request_is_one_of_ours() -> None:
    assert isinstance(question(1), ModelRequest)
