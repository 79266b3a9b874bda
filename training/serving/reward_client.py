"""A client of `editfhf serve`, and a reward function for reinforcement learning that asks it."""

from __future__ import annotations

import base64
import io
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import httpx2
import numpy as np
import orjson
from PIL import Image

from annotation.records import DIMENSIONS, Dimension
from mos.errors import UserError
from mos.files import require_path
from training.diagnosis.read_images import ImageInput, read_image_file, read_rgb_image
from training.serving.run_server import KEY_VARIABLE

RewardScore = Dimension | Literal["overall"]


@dataclass(frozen=True, slots=True)
class ServedScores:
    """What the server said of one pair.

    Attributes
    ----------
    values : dict
        By dimension, and "overall": MOS points, 0 to 100; None where there is no score.
    reason : str
        Why the pair as a whole has none, a stable word of the server; "" where it was scored.
    message : str
        One sentence about it.
    """

    values: dict[str, float | None]
    reason: str = ""
    message: str = ""


class RewardClient:
    """Scores pairs at a server. It may be used by any thread.

    Parameters
    ----------
    url : str
        Address of the server, such as "http://127.0.0.1:8765".
    key : str, optional
        Its key; EDITFHF_SERVE_KEY by default.
    batch : int
        Pairs of one request.
    attempts : int
        How often a request is sent that finds the server busy or a worker lost.
    timeout : float
        Seconds for one request.

    Examples
    --------
    >>> client = RewardClient("http://127.0.0.1:8765")                                   # doctest: +SKIP
    >>> client.score([("source.png", "edited.png", "Remove the hat.")])[0].values        # doctest: +SKIP
    {'perceptual_quality': 61.2, 'instruction_following': 48.0, 'visual_consistency': 70.3, 'overall': 58.1}
    """

    def __init__(
        self, url: str, key: str | None = None, *, batch: int = 16, attempts: int = 5, timeout: float = 300.0
    ) -> None:
        if batch < 1 or attempts < 1:
            raise ValueError(f"batch and attempts must be at least 1, but got {batch} and {attempts}.")
        key = os.environ.get(KEY_VARIABLE, "") if key is None else key
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._http = httpx2.Client(base_url=url, headers=headers, timeout=timeout, follow_redirects=False)
        self._batch = batch
        self._attempts = attempts

    def score(self, pairs: Sequence[tuple[ImageInput, ImageInput, str]]) -> list[ServedScores]:
        """Score pairs (source, edited, instruction), in their order.

        Raises
        ------
        UserError
            The server cannot be reached, refuses the key, or stays busy.
        """
        found: list[ServedScores] = []
        for start in range(0, len(pairs), self._batch):
            items = [
                {"source": _encode_image(source), "edited": _encode_image(edited), "instruction": instruction}
                for source, edited, instruction in pairs[start : start + self._batch]
            ]
            found += self._score_items(items)
        return found

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _score_items(self, items: list[dict[str, str]]) -> list[ServedScores]:
        """The scores of one batch; what only failed for the moment is sent again."""
        found = self._post(items)
        for attempt in range(1, self._attempts):
            again = [index for index, scores in enumerate(found) if scores.reason in ("worker_lost", "no_memory")]
            if not again:
                break
            time.sleep(min(2.0**attempt / 4, 5.0))
            for index, scores in zip(again, self._post([items[index] for index in again]), strict=True):
                found[index] = scores
        return found

    def _post(self, items: list[dict[str, str]]) -> list[ServedScores]:
        body = orjson.dumps({"items": items})
        for attempt in range(self._attempts):
            try:
                response = self._http.post("/score", content=body)
            except httpx2.HTTPError as error:
                raise UserError(
                    f"The reward server at {self._http.base_url} does not answer ({type(error).__name__}). "
                    "Start it with editfhf serve, or check the address."
                ) from None
            if response.status_code not in (429, 503) or attempt == self._attempts - 1:
                break
            wait = response.headers.get("retry-after", "")
            time.sleep(min(float(wait) if wait.isdecimal() else 1.0, 30.0) * (attempt + 1))
        return _read_answer(response.status_code, response.content, len(items), str(self._http.base_url))


def http_reward(
    client: RewardClient,
    render: Callable[[str, dict[str, Any]], tuple[ImageInput, ImageInput, str] | None],
    score: RewardScore = "overall",
) -> Callable[..., list[float | None]]:
    """A reward function for trl's GRPOTrainer: the score of the image that a completion leads to, in [0, 1].

    Parameters
    ----------
    client : RewardClient
    render : callable
        Takes the text of a completion and the columns of its row, and returns source, edited image and instruction;
        None where the completion leads to no image.
    score : {"overall", "perceptual_quality", "instruction_following", "visual_consistency"}

    Returns
    -------
    callable
        `reward(completions, **columns) -> list of float or None`. None means that there is no score, which trl leaves
        out; it is never replaced by a number.
    """
    if score not in (*DIMENSIONS, "overall"):
        raise ValueError(f"score must be overall or one of {', '.join(DIMENSIONS)}, but got {score!r}.")

    def reward(completions: Sequence[Any], **columns: Any) -> list[float | None]:
        count = len(completions)
        rows = [
            {
                name: values[index]
                for name, values in columns.items()
                if isinstance(values, list) and len(values) == count
            }
            for index in range(count)
        ]
        pairs = [render(_read_completion(text), row) for text, row in zip(completions, rows, strict=True)]
        scored = iter(client.score([pair for pair in pairs if pair is not None]))
        values = [None if pair is None else next(scored).values.get(score) for pair in pairs]
        return [None if value is None else value / 100 for value in values]

    reward.__name__ = f"editfhf_{score}"
    return reward


def _read_completion(completion: Any) -> str:
    """The text of a completion: trl gives a text, or a list of messages."""
    if isinstance(completion, str):
        return completion
    content = completion[-1]["content"] if completion else ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def _encode_image(image: ImageInput) -> str:
    """Base64 of an encoded image; a file and bytes are sent as they are, pixels as PNG."""
    if isinstance(image, str | os.PathLike):
        image = read_image_file(require_path(image))
    if not isinstance(image, bytes):
        stream = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(read_rgb_image(image, "edited"))).save(stream, "PNG", compress_level=1)
        image = stream.getvalue()
    return base64.b64encode(image).decode("ascii")


def _read_answer(code: int, content: bytes, count: int, url: str) -> list[ServedScores]:
    """The scores of a response, which is not trusted."""
    try:
        answer = orjson.loads(content)
        if code != 200:
            raise UserError(f"The reward server at {url} answered {code}: {str(answer['message'])[:300]}")
        items = answer["items"]
        if len(items) == count:
            return [_read_item(item) for item in items]
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError):
        pass
    raise UserError(f"The answer of {url} (status {code}) is not that of editfhf serve. Check the address.")


def _read_item(item: dict[str, Any]) -> ServedScores:
    names = (*DIMENSIONS, "overall")
    if item["status"] != "ok":
        return ServedScores(dict.fromkeys(names), str(item["reason"])[:40], str(item["message"])[:300])
    values = {row["dimension"]: row["value"] for row in item["scores"]} | {"overall": item["overall"]}
    if set(values) != set(names):
        raise ValueError("not the three dimensions")
    for value in values.values():
        if value is not None and not 0 <= float(value) <= 100:
            raise ValueError("a score outside of 0 to 100")
    return ServedScores(values)
