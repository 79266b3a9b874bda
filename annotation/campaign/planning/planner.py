"""Plan the tasks that should exist now: a pure function of the record.

Each pair goes through the steps on its own; a step begins when the one before is complete for that pair.

- **prompt_check**: complete when every assigned checker checked the instruction; a pair that most of them drop ends
  here, and one whose instruction should be rewritten waits until it is.
- **regional**: complete when every assigned annotator marked the pair.
- **expert**: complete when an expert reviewed the pair; from then on it has the expert's regions.
- **textual**: reviewers take turns, one task of the pair at a time, until no text is open; texts without agreement go
  to an expert.  A region whose text the expert wrote in the expert step is not reviewed.
- **scoring**: complete when every assigned rater scored the pair.

A task with a submission of which nothing counts goes to the same person again, as the next round; one whose owner
cannot judge the pair goes to another person.  Where nobody is left, the stage ends with those who could judge the pair,
if they are enough for a result: one, and in the stage regional as many as must agree on a region.

In a campaign with a qualification, candidates are assigned like all others, and their tasks wait until they pass; when
they fail, others get the tasks.  Gold is hidden among the tasks of each person.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from annotation.campaign.drafts import RationaleDraft
from annotation.campaign.gold import candidates
from annotation.campaign.gold.hidden_gold import interleave_gold
from annotation.campaign.gold.qualification import CandidateStatus
from annotation.campaign.model import (
    NO_WORK,
    CampaignRecord,
    PairImageSize,
    PairStatus,
    PairWork,
    TaskKey,
    TaskSpec,
    TextReview,
)
from annotation.campaign.options import CampaignOptions, CampaignStage
from annotation.campaign.planning.assignment import (
    AssignableWorker,
    AssignedPart,
    assign_people,
    order_pairs_for_person,
)
from annotation.campaign.planning.final_regions import accepted_outcome
from annotation.campaign.planning.round_robin import next_pair_turn, replay_review
from annotation.campaign.planning.staffing import stage_needs
from annotation.campaign.prompt_check import awaits_rewrite, majority_verdict
from annotation.campaign.studio_tasks import (
    make_expert_task,
    make_regional_task,
    make_scoring_task,
    make_text_task,
    with_current_text,
    write_redo_notice,
)
from annotation.consensus import PairConsensus
from annotation.records import Pair, Region

AssignedPeople = Mapping[tuple[str, str], tuple[str, ...]]
ReviewsByRegion = dict[str, TextReview]
ProjectKey = tuple[CampaignStage, str]


DECLINABLE_STAGES: tuple[CampaignStage, ...] = ("regional", "expert", "scoring")
"""Stages in which a person may say that they cannot judge a pair.

Texts are about a few sentences and their boxes; whoever cannot judge one leaves it, and the others' revisions decide.
"""


def plan_tasks(record: CampaignRecord) -> list[TaskSpec]:
    """Plan every task that should exist now and does not.

    Parameters
    ----------
    record
        Record of the campaign; the order of its pairs and people does not matter.

    Returns
    -------
    list of TaskSpec
        In the order in which each person should get their tasks.

    Raises
    ------
    UserError
        A stage has fewer people than it needs.
    """
    return order_missing_tasks(record, iter_pair_statuses(record))


def order_missing_tasks(record: CampaignRecord, statuses: Iterable[PairStatus]) -> list[TaskSpec]:
    """The missing tasks of these pairs, in the order in which each person should get them.

    Includes the tasks of the qualification, and hidden gold.
    """
    standings = candidates.candidate_statuses(record.options, record.gold, record.gold_work, record.since)
    ready = candidates.find_ready_people(record.options, standings)
    missing: dict[ProjectKey, dict[TaskKey, TaskSpec]] = {}
    for state in statuses:
        for spec in state.wanted:
            if spec.key not in record.existing:
                missing.setdefault((spec.key.stage, spec.key.person_id), {})[spec.key] = spec
    held: dict[ProjectKey, set[TaskKey]] = {}
    for work in (record.work, record.gold_work):
        for key in (key for one in work.values() for key in (*one.done, *one.spoiled)):
            held.setdefault((key.stage, key.person_id), set()).add(key)
    for key in record.existing:
        held.setdefault((key.stage, key.person_id), set()).add(key)
    sources = {pair.pair_id: pair.source_id for pair in record.pairs}
    ordered = list(candidates.iter_qualification_tasks(record.gold, record.gold_work, standings, record.existing))
    for project in sorted(missing.keys() | {project for project in held if project[1] in ready}):
        own = _order_own_tasks(missing.get(project, {}), sources, project, record.options.seed)
        ordered += interleave_gold(
            record.options, record.gold, record.gold_work, own, held.get(project, set()), project
        )
    return ordered


def _order_own_tasks(
    specs: Mapping[TaskKey, TaskSpec], sources: Mapping[str, str], project: ProjectKey, seed: int
) -> list[TaskSpec]:
    stage, person_id = project
    own = {key.pair_id: sources[key.pair_id] for key in specs}
    place = {pair_id: number for number, pair_id in enumerate(order_pairs_for_person(person_id, stage, own, seed))}
    return [specs[key] for key in sorted(specs, key=lambda key: (place[key.pair_id], key.round))]


def iter_pair_statuses(record: CampaignRecord) -> Iterator[PairStatus]:
    """Yield how far each pair is, by pair_id."""
    standings = candidates.candidate_statuses(record.options, record.gold, record.gold_work, record.since)
    assigned = _assign_record(record, standings)
    ready = candidates.find_ready_people(record.options, standings)
    existing: dict[str, list[TaskKey]] = {}
    for key in record.existing:
        existing.setdefault(key.pair_id, []).append(key)
    for pair in sorted(record.pairs, key=lambda pair: pair.pair_id):
        yield _PairPlan(record, pair, assigned, existing.get(pair.pair_id, ()), ready).state()


def plan_assignment(record: CampaignRecord) -> dict[tuple[str, str], tuple[str, ...]]:
    """Assign people to every pair and stage, candidates who have not failed included.

    A person keeps a task, unless they left, lost the role or failed before they finished it.

    Returns
    -------
    dict
        Person ids by (pair_id, stage).

    Raises
    ------
    UserError
        A stage has fewer people than it needs.
    """
    return _assign_record(
        record, candidates.candidate_statuses(record.options, record.gold, record.gold_work, record.since)
    )


def _assign_record(
    record: CampaignRecord, standings: Mapping[str, CandidateStatus]
) -> dict[tuple[str, str], tuple[str, ...]]:
    options = record.options
    needs = stage_needs(options)
    role = {need.stage: need.role for need in needs}
    active = [person for person in options.people if person.active and not _has_failed(person.person_id, standings)]
    able = {(person.person_id, each) for person in active for each in person.roles}
    begun: set[AssignedPart] = set()
    barred = {
        AssignedPart(key.pair_id, key.stage, key.person_id)
        for work in record.work.values()
        for key in work.declined
        if key.stage in DECLINABLE_STAGES
    }
    done = {key for work in record.work.values() for key in work.done}
    for key in {*record.existing, *done, *(key for work in record.work.values() for key in work.spoiled)}:
        if key.stage not in role or key.pair_id in record.gold.pairs:
            continue
        stays = (key.person_id, role[key.stage]) in able
        part = AssignedPart(key.pair_id, key.stage, key.person_id)
        if part not in barred and (stays or (key in done and not _may_be_asked_again(record, key))):
            begun.add(part)
    pair_ids = [pair.pair_id for pair in record.pairs]
    return assign_people(pair_ids, _list_workers(options, standings), needs, begun, options.seed, barred)


def _list_workers(options: CampaignOptions, standings: Mapping[str, CandidateStatus]) -> list[AssignableWorker]:
    """Everyone who can be assigned.

    Where a role has too few people, those who failed hold the places that nobody can fill yet, without getting tasks,
    so that everything else goes on.
    """
    active = [person for person in options.people if person.active]
    able = [person for person in active if not _has_failed(person.person_id, standings)]
    short = {
        need.role for need in stage_needs(options) if sum(need.role in person.roles for person in able) < need.count
    }
    return [AssignableWorker(person.person_id, frozenset(person.roles), passed=True) for person in able] + [
        AssignableWorker(person.person_id, frozenset(person.roles) & short, passed=True)
        for person in active
        if _has_failed(person.person_id, standings)
    ]


def _has_failed(person_id: str, standings: Mapping[str, CandidateStatus]) -> bool:
    return person_id in standings and standings[person_id].phase == "failed"


class _PairPlan:
    """Plans one pair, from its first step to the first that is not complete."""

    def __init__(
        self,
        record: CampaignRecord,
        pair: Pair,
        assigned: AssignedPeople,
        existing: Collection[TaskKey],
        ready: Collection[str],
    ) -> None:
        pair_id = pair.pair_id
        self._options = record.options
        self._pair_id = pair_id
        self._instruction = pair.instruction
        self._assigned = assigned
        self._existing = existing
        self._ready = ready
        self._work = record.work.get(pair_id, NO_WORK)
        self._size = record.sizes.get(pair_id)
        self._drafts = record.drafts.get(pair_id, {})
        self._open = set(existing) - self._work.done - self._work.spoiled
        self._again = record.again
        self._reviews: ReviewsByRegion = {}
        self._regions: tuple[Region, ...] = ()

    def state(self) -> PairStatus:
        work = {
            "prompt_check": self._prompt_check,
            "regional": self._plan_regional,
            "expert": self._plan_expert,
            "textual": self._plan_textual,
            "scoring": self._plan_scoring,
        }
        for step in self._options.steps:
            complete, specs = work[step]()
            if not complete:
                wanted, unqualified = [], []
                for spec in specs:
                    if spec.key.person_id in self._ready or spec.key in self._existing:
                        wanted.append(self._add_notice(spec))
                    else:
                        unqualified.append(spec.key)
                return PairStatus(self._pair_id, step, self._regions, self._reviews, tuple(wanted), tuple(unqualified))
            if step == "prompt_check" and majority_verdict(self._work.checks) == "drop":
                return PairStatus(self._pair_id, "dropped", (), {}, ())
        return PairStatus(self._pair_id, None, self._regions, self._reviews, ())

    def _prompt_check(self) -> tuple[bool, list[TaskSpec]]:
        waiting = self._waiting("prompt_check")
        rewritten = not awaits_rewrite(self._work.checks, self._instruction)
        return not waiting and rewritten, [TaskSpec(key) for key in waiting]

    def _plan_regional(self) -> tuple[bool, list[TaskSpec]]:
        waiting = self._waiting("regional")
        complete = self._is_complete("regional", waiting, self._options.rules.min_support)
        if complete:
            self._regions = self._consensus_outcome().regions
        return complete, [make_regional_task(key) for key in waiting]

    def _plan_expert(self) -> tuple[bool, list[TaskSpec]]:
        waiting = self._waiting("expert")
        annotators = sorted({annotation.annotator_id for annotation in self._work.regional})
        return self._is_complete("expert", waiting), [
            make_expert_task(key, self._consensus_outcome(), annotators, self._require_size()) for key in waiting
        ]

    def _plan_textual(self) -> tuple[bool, list[TaskSpec]]:
        undecided = [region for region in self._regions if region.rationale is None]
        if self._options.wait_for_drafts and any(region.region_id not in self._drafts for region in undecided):
            return False, []
        self._reviews = review_region_texts(
            undecided, self._work, self._drafts, self._assigned[self._pair_id, "textual"], self._options
        )
        texts = [
            with_current_text(region, self._reviews[region.region_id], self._drafts.get(region.region_id))
            if region.region_id in self._reviews
            else region
            for region in self._regions
        ]
        self._regions = tuple(texts)
        turn = next_pair_turn(self._reviews)
        if turn is not None:
            return False, self._text_task("textual", turn.reviewer, turn.regions)
        escalated = [name for name, review in self._reviews.items() if review.status == "escalated"]
        if escalated:
            return False, self._text_task("expert_text", self._assigned[self._pair_id, "expert_text"][0], escalated)
        return True, []

    def _plan_scoring(self) -> tuple[bool, list[TaskSpec]]:
        waiting = self._waiting("scoring")
        complete = self._is_complete("scoring", waiting)
        return complete, [make_scoring_task(key, self._regions, self._size) for key in waiting]

    def _text_task(self, stage: CampaignStage, person_id: str, regions: Collection[str]) -> list[TaskSpec]:
        """The task of the pair's next turn, unless one of its reviewers has an open task."""
        people = self._assigned[self._pair_id, stage]
        if any(key.stage == stage and key.person_id in people for key in self._open):
            return []
        answered = self._work.done | self._work.spoiled
        key = TaskKey(stage, self._pair_id, person_id, sum(key.stage == stage for key in answered))
        shown = [region for region in self._regions if region.region_id in regions]
        return [make_text_task(key, shown, self._reviews, self._drafts, self._require_size())]

    def _add_notice(self, spec: TaskSpec) -> TaskSpec:
        """The task with a word to its person, if it takes the place of an answer that does not count."""
        key = spec.key
        before = [one for one in self._work.spoiled if one[:3] == key[:3] and one.round == key.round - 1]
        if not before:
            return spec
        return replace(spec, data=spec.data | {"notice": write_redo_notice(self._again.get(before[0]))})

    def _waiting(self, stage: CampaignStage) -> list[TaskKey]:
        """Open tasks of a stage: for each assigned person the first round that is not spoiled."""
        people = self._assigned[self._pair_id, stage]
        finished = {key.person_id for key in self._work.done if key.stage == stage}
        spoiled = [key.person_id for key in self._work.spoiled if key.stage == stage]
        return [
            TaskKey(stage, self._pair_id, person, spoiled.count(person)) for person in people if person not in finished
        ]

    def _is_complete(self, stage: CampaignStage, waiting: Collection[TaskKey], least: int = 1) -> bool:
        """Whether nobody has an open task of a stage, and enough people judged the pair in it."""
        return not waiting and len({key.person_id for key in self._work.done if key.stage == stage}) >= least

    def _consensus_outcome(self) -> PairConsensus:
        return accepted_outcome(self._pair_id, self._work, self._options.rules)

    def _require_size(self) -> PairImageSize:
        if self._size is None:
            raise ValueError(
                f"the size of the edited image of {self._pair_id} is unknown, although the pair has submissions"
            )
        return self._size


def review_region_texts(
    regions: Sequence[Region],
    work: PairWork,
    drafts: Mapping[str, RationaleDraft],
    reviewers: Sequence[str],
    options: CampaignOptions,
) -> ReviewsByRegion:
    """The review of each region's text, by region_id."""
    reviews: ReviewsByRegion = {}
    for region in regions:
        name = region.region_id
        draft = drafts[name].text if name in drafts else None
        reviews[name] = replay_review(
            draft,
            reviewers,
            work.turns.get(name, ()),
            work.settling.get(name, ()),
            limit=options.rounds,
            needed=options.rules.reviewers,
        )
    return reviews


def _may_be_asked_again(record: CampaignRecord, key: TaskKey) -> bool:
    """Whether the person of a finished task may get the pair again: while a text is open among its reviewers."""
    if key.stage not in ("textual", "expert_text"):
        return False
    work, options = record.work[key.pair_id], record.options
    reviewers = sorted({key.person_id for key in work.done if key.stage == "textual"})
    if key.stage == "expert_text" or len(reviewers) < options.rules.reviewers:
        return True
    regions = [
        region for region in accepted_outcome(key.pair_id, work, options.rules).regions if region.rationale is None
    ]
    reviews = review_region_texts(regions, work, record.drafts.get(key.pair_id, {}), reviewers, options)
    return any(review.status == "open" for review in reviews.values())
