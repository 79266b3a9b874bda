"""The rules of a corpus: from `annotations/rules.yaml`, which an export writes, else from its campaign."""

from __future__ import annotations

from dataclasses import dataclass

from annotation.campaign.options import CAMPAIGN_FILE, CAMPAIGN_FOLDER, read_campaign_options
from annotation.corpus import CORPUS_RULES_PATH, Corpus
from annotation.rules import AnnotationRules, read_rules


@dataclass(frozen=True)
class CorpusRules:
    """The rules by which a corpus was annotated.

    Parameters
    ----------
    rules : AnnotationRules
        The defaults where no file states any.
    file : str or None
        The file that states the rules, relative to the corpus: `annotations/rules.yaml`, else
        `campaign/campaign.yaml`; None where there is neither.
    correction : str
        How to change a rule, as a clause for an error message.
    """

    rules: AnnotationRules
    file: str | None = None
    correction: str = ""

    def describe_source(self) -> list[str]:
        """One sentence if the rules come from a campaign that did not export them; empty otherwise."""
        if self.file in (None, CORPUS_RULES_PATH):
            return []
        return [
            f"The rules are those of {self.file}: {CORPUS_RULES_PATH} is missing. "
            "Write it with: editfhf annotate export."
        ]


def read_corpus_rules(corpus: Corpus) -> CorpusRules:
    """Read the rules of a corpus from its exports, else from its campaign.

    Raises
    ------
    UserError
        The file that states the rules is wrong, or is a link that leaves the corpus.
    """
    campaign = f"{CAMPAIGN_FOLDER}/{CAMPAIGN_FILE}"
    in_campaign = (corpus.root / campaign).is_file()
    if corpus.has_file(CORPUS_RULES_PATH):
        correction = (
            f"change it under rules: in {campaign} and export again" if in_campaign else f"change {CORPUS_RULES_PATH}"
        )
        return CorpusRules(read_rules(corpus.root / CORPUS_RULES_PATH), CORPUS_RULES_PATH, correction)
    if in_campaign and corpus.has_file(campaign):
        return CorpusRules(read_campaign_options(corpus.root).rules, campaign, f"change it under rules: in {campaign}")
    return CorpusRules(AnnotationRules())
