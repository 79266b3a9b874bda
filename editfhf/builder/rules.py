"""Options of a build that follow the rules of its corpus."""

from __future__ import annotations

from typing import Any

from annotation.campaign.corpus_rules import CorpusRules
from annotation.rules import RULE_NAMES
from editfhf.builder.options import RULE_OPTIONS, BuildOptions
from mos.errors import UserError


def resolve_options(options: BuildOptions, corpus_rules: CorpusRules) -> BuildOptions:
    """The options, with the rule of the corpus for each option that is not stated.

    Raises
    ------
    UserError
        A stated option contradicts the corpus' rule; the sentence names both and where they are stated.
    """
    if corpus_rules.file is None:
        return options
    for rule in RULE_NAMES:
        stated, expected = options.stated_rule(rule), getattr(corpus_rules.rules, rule)
        if stated is not None and stated.value != expected:
            origin, correction = corpus_rules.file, corpus_rules.correction
            verb = f"says {rule}:" if rule in corpus_rules.rules.model_fields_set else f"leaves {rule} at"
            raise UserError(
                f"{stated.origin} says {RULE_OPTIONS[rule]}: {_plain_value(stated.value)}, but {origin} {verb} "
                f"{_plain_value(expected)}. Remove it from {stated.origin}, or {correction}."
            )
    return options.follow_rules(corpus_rules.rules)


def _plain_value(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
