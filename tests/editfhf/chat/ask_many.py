"""A program that asks many questions of a server: what tests kill at any moment and start again.

    OPENAI_API_KEY=... python -m tests.editfhf.chat.ask_many URL FOLDER COUNT [batch]

prints one JSON object: how many outcomes of each kind, and the usage of the whole ledger.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections import Counter
from pathlib import Path

from editfhf.chat import Chat, Limits, find_connection
from editfhf.chat.batch import BatchOptions, run_batch
from tests.editfhf.chat.asking import PRICES, QUICK, question


async def ask(url: str, folder: Path, number: int, batch: bool) -> dict[str, object]:
    kinds: Counter[str] = Counter()
    async with Chat(find_connection(os.environ, url), folder, Limits(), concurrency=16, prices=PRICES, **QUICK) as chat:
        questions = (question(place) for place in range(number))
        options = BatchOptions(most_lines=60, at_once=3, interval=0.05)
        outcomes = run_batch(chat, questions, options) if batch else chat.ask_all(questions)
        async for _, outcome in outcomes:
            kinds[type(outcome).__name__] += 1
        used = chat.usage
    counts = {"requests": used.requests, "input": used.input_tokens, "cached": used.cached_tokens}
    return {"kinds": kinds, **counts, "output": used.output_tokens, "cost": str(used.cost)}


def main() -> None:
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    url, folder, number = sys.argv[1:4]
    sys.stdout.write(json.dumps(asyncio.run(ask(url, Path(folder), int(number), "batch" in sys.argv[4:]))) + "\n")


if __name__ == "__main__":
    main()
