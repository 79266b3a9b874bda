"""What a plan can be made for, and what not."""

from __future__ import annotations

import math

from mos.errors import UserError


def demand_positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise UserError(f"{name} must be a positive number; got {value}.")


def demand_between(name: str, value: float, low: float, high: float) -> None:
    """Both ends excluded."""
    if not low < value < high:
        raise UserError(f"{name} must be more than {low:g} and less than {high:g}; got {value}.")


def demand_count(name: str, value: int, least: int) -> None:
    if value != value // 1 or value < least:
        raise UserError(f"{name} must be a whole number, {least} or more; got {value}.")
