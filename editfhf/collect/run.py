"""All steps by one `collect.yaml`."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from annotation.taxonomy import load_edit_tasks
from editfhf.chat import Limits, default_prices, find_connection
from editfhf.collect.edit import collect_edits
from editfhf.collect.folder import read_counts
from editfhf.collect.judge import Judge
from editfhf.collect.prompts import PromptOptions, collect_prompts
from editfhf.collect.quality import QualityLimits
from editfhf.collect.score import collect_scores, load_scorer
from editfhf.collect.select import SelectionRules, select_pairs
from editfhf.collect.sources import collect_sources
from editfhf.editors.registry import load_editor
from mos.console import Progress
from mos.errors import UserError
from mos.files import read_regular_file
from mos.plain_yaml import describe_yaml_error, load_plain_yaml


class CollectPlan(BaseModel):
    """The content of `collect.yaml`; paths are relative to its folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    collection: str
    corpus: str
    sources: tuple[str, ...]
    allow_licence: tuple[str, ...] = ()
    model: str = "gpt-5"
    base_url: str | None = None
    tasks: tuple[str, ...] = ()
    per_source: int = 3
    editors: tuple[str, ...]
    seed: int = 0
    scorer: str | None = None
    judge: str | None = None
    top: int = 3
    least: float = 0.0
    max_money: float | None = None


def read_plan(path: Path) -> CollectPlan:
    """Read `collect.yaml`; `UserError` names the key that is wrong."""
    try:
        plan = CollectPlan.model_validate(load_plain_yaml(read_regular_file(path).decode("utf-8-sig")))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from None
    except ValidationError as error:
        first = error.errors()[0]
        known = ", ".join(CollectPlan.model_fields)
        raise UserError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}. Known keys: {known}.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid YAML{describe_yaml_error(error)}.") from None
    if (plan.scorer is None) == (plan.judge is None):
        raise UserError(f"{path}: expected one of the keys 'scorer' and 'judge'.")
    return plan


def run_plan(path: Path, progress: Progress) -> dict[str, dict[str, int]]:
    """Run every step of a plan, and return their counts; after an interruption, call it again.

    Raises
    ------
    UserError
        As each step; among others, the corpus exists.
    """
    plan, base = read_plan(path), path.parent
    root, corpus = base / plan.collection, base / plan.corpus
    if corpus.exists():
        raise UserError(f"{corpus} exists: this collection is complete. For another corpus, change the key 'corpus'.")
    limits = Limits(money=None if plan.max_money is None else Decimal(str(plan.max_money)))
    connection, prices = find_connection(os.environ, plan.base_url), default_prices()
    options = PromptOptions(plan.model, plan.tasks or tuple(load_edit_tasks()), plan.per_source)
    collect_sources(root, [base / place for place in plan.sources], plan.allow_licence, QualityLimits(), progress)
    collect_prompts(root, options, connection, limits, prices, progress)
    collect_edits(root, plan.editors, load_editor, progress, plan.seed)
    if plan.judge is not None:
        judge = Judge(root, plan.judge, connection, limits, prices)
        collect_scores(root, f"judge:{plan.judge}", judge, progress)
    elif plan.scorer is not None:
        collect_scores(root, plan.scorer, load_scorer(plan.scorer), progress)
    select_pairs(root, corpus, corpus.name, SelectionRules(plan.top, plan.least))
    return read_counts(root)
