"""Requests whose reply is one token, and how likely the server found it and its alternatives."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import orjson
from pydantic import BaseModel, ConfigDict

from editfhf.chat.replies import ChatCompletion, UnreadableReply, load_reply_object, read_completion
from editfhf.chat.request import ModelRequest

MOST_ALTERNATIVES = 20
"""Largest top_logprobs of the chat completions API."""


class TokenAlternative(BaseModel):
    """A token that the model could have written first, and the natural logarithm of its probability."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: str
    logprob: float


class FirstToken(BaseModel):
    """The most likely first tokens; none where the server gave no logprobs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    alternatives: list[TokenAlternative]


@dataclass(frozen=True)
class FirstTokenRequest(ModelRequest):
    """A request for the probabilities of the first token; no schema is sent, since it would change them."""

    @classmethod
    def from_request(cls, request: ModelRequest) -> Self:
        """The same question, answered by one token."""
        values = {each.name: getattr(request, each.name) for each in fields(ModelRequest)}
        asked = {"logprobs": True, "top_logprobs": MOST_ALTERNATIVES, "temperature": 1}
        values |= {"reply": FirstToken, "max_output_tokens": 1, "parameters": {**request.parameters, **asked}}
        return cls(**values)

    def body(self) -> bytes:
        """Request body as JSON."""
        content = orjson.loads(super().body())
        del content["response_format"]
        return orjson.dumps(content)


def read_first_token(data: bytes | dict[str, Any]) -> ChatCompletion:
    """Read a chat completion with logprobs; its text is a `FirstToken` as JSON. `UnreadableReply` if it is none."""
    content = load_reply_object(data) if isinstance(data, bytes) else data
    completion = read_completion(content)
    if completion.finish == "content_filter" or completion.refused:
        return completion
    found = FirstToken(alternatives=_list_alternatives(content))
    # The reply was meant to end after one token.
    return replace(completion, text=found.model_dump_json(), finish="stop")


def _list_alternatives(content: dict[str, Any]) -> list[TokenAlternative]:
    try:
        listed = content["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        if not isinstance(listed, list):
            raise UnreadableReply
        return [
            TokenAlternative(token=str(each["token"])[:100], logprob=min(float(each["logprob"]), 0.0))
            for each in listed[:100]
            if math.isfinite(float(each["logprob"]))
        ]
    except (KeyError, IndexError, TypeError, ValueError, UnreadableReply):
        return []
