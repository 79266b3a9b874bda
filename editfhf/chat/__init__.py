"""One client for OpenAI and every OpenAI-compatible server: each request counted, cached, resumable and bounded.

    async with Chat(connection, folder, Limits(money=Decimal(20))) as chat:
        async for request, outcome in chat.ask_all(requests):
            ...

`Chat` asks one by one, `run_batch` through the Batch API; both keep the same cache, ledger and budget in the folder.
"""

from editfhf.chat.batch import BatchOptions, run_batch
from editfhf.chat.client import Chat
from editfhf.chat.connection import KEY_VARIABLE, URL_VARIABLE, Connection, find_connection
from editfhf.chat.outcomes import (
    Answer,
    Failed,
    Filtered,
    Invalid,
    Outcome,
    OverBudget,
    Refused,
    Stopped,
    Truncated,
)
from editfhf.chat.patience import Patience
from editfhf.chat.prices import Price, Prices, shipped
from editfhf.chat.request import JSON, Picture, Request
from editfhf.chat.usage import Limits, Usage

__all__ = [
    "JSON",
    "KEY_VARIABLE",
    "URL_VARIABLE",
    "Answer",
    "BatchOptions",
    "Chat",
    "Connection",
    "Failed",
    "Filtered",
    "Invalid",
    "Limits",
    "Outcome",
    "OverBudget",
    "Patience",
    "Picture",
    "Price",
    "Prices",
    "Refused",
    "Request",
    "Stopped",
    "Truncated",
    "Usage",
    "find_connection",
    "run_batch",
    "shipped",
]
