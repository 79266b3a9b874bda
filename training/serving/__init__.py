"""Agents behind HTTP: a server with worker processes, and a client that is a reward for reinforcement learning.

The server fetches nothing and stores nothing: images come in the request. Routes of upper packages are handed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mos.lazy_names import make_lazy_names

if TYPE_CHECKING:
    from training.serving.reward_client import RewardClient, ServedScores, http_reward

__all__ = ["RewardClient", "ServedScores", "http_reward"]

if not TYPE_CHECKING:  # a type checker would take this for "every name exists"
    __getattr__, __dir__ = make_lazy_names(__name__, {"training.serving.reward_client": tuple(__all__)})
