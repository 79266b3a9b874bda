"""Client for OpenAI and every OpenAI-compatible server: cached, resumable, within a budget, every request counted.

    async with Chat(connection, folder, Limits(money=Decimal(20))) as chat:
        async for request, outcome in chat.ask_all(requests):
            ...

`Chat` sends requests one by one, `run_batch` through the Batch API. Both use the same cache, ledger and budget, which
are kept in the folder.
"""

from editfhf.chat.batch import BatchOptions, run_batch
from editfhf.chat.budget import Limits, Usage, format_cost
from editfhf.chat.client import Chat
from editfhf.chat.costs import Price, Prices, default_prices
from editfhf.chat.first_token import FirstToken, FirstTokenRequest
from editfhf.chat.http_client import API_KEY_VARIABLE, BASE_URL_VARIABLE, ChatConnection, find_connection
from editfhf.chat.outcomes import (
    ChatStopped,
    FailedRequest,
    FilteredReply,
    InvalidReply,
    ModelAnswer,
    ModelRefusal,
    OverBudget,
    RequestOutcome,
    TruncatedReply,
)
from editfhf.chat.request import EncodedImage, JsonValue, ModelRequest
from editfhf.chat.retry import RetryPolicy

__all__ = [
    "API_KEY_VARIABLE",
    "BASE_URL_VARIABLE",
    "BatchOptions",
    "Chat",
    "ChatConnection",
    "ChatStopped",
    "EncodedImage",
    "FailedRequest",
    "FilteredReply",
    "FirstToken",
    "FirstTokenRequest",
    "InvalidReply",
    "JsonValue",
    "Limits",
    "ModelAnswer",
    "ModelRefusal",
    "ModelRequest",
    "OverBudget",
    "Price",
    "Prices",
    "RequestOutcome",
    "RetryPolicy",
    "TruncatedReply",
    "Usage",
    "default_prices",
    "find_connection",
    "format_cost",
    "run_batch",
]
