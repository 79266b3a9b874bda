"""Which tasks should exist now: a pure function of what was said so far.

A pair goes through the steps by itself: the next begins when the one before is complete for that pair.

- **prompt_check**: every checker assigned has looked at the instruction; a pair that most of them drop goes no further,
  and one whose instruction should be rewritten waits until it is.
- **regional**: every annotator assigned has marked the pair.
- **expert**: an expert has; the expert's regions are the pair's from then on.
- **textual**: reviewers take turns, one task of the pair at a time, until no text is open; texts on which they do not
  agree go to an expert.  A region whose text the expert wrote in the review is not asked about.
- **scoring**: every rater assigned has.

A task in which something was submitted of which nothing counts is given to the same person again, as the next round.

Where the campaign asks for a qualification, candidates have their places like everybody else, and the tasks of those
places wait until they pass; when they fail, others get them.  Gold is hidden among the tasks of each person.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from annotation.campaign.answers import NOTHING, Work
from annotation.campaign.drafts import Draft, Drafts
from annotation.campaign.gold import candidates, hidden
from annotation.campaign.gold.pairs import Gold
from annotation.campaign.gold.qualification import Standing
from annotation.campaign.gold.requalify import Since
from annotation.campaign.options import Options, Stage, Step
from annotation.campaign.planning import prompt_check
from annotation.campaign.planning.assignment import Part, Worker, assign, order_of_work
from annotation.campaign.planning.round_robin import Review, pair_turn, replay
from annotation.campaign.tasks import Size, TaskKey, TaskSpec, expert_task, regional_task, scoring_task, text_task
from annotation.campaign.tasks import current as with_text
from annotation.consensus import ConsensusOptions, Outcome, resolve
from annotation.records import Pair, Region

Assigned = Mapping[tuple[str, str], tuple[str, ...]]
Reviews = dict[str, Review]
Project = tuple[Stage, str]


@dataclass(frozen=True, slots=True)
class Record:
    """All that decides which tasks should exist.

    work: what counts, by pair_id; sizes: (width, height) of the edited image of every pair of which anything was said
    existing: tasks that the server holds
    gold: pairs whose answers are known, none of them among `pairs`; gold_work: what counts of them, by pair_id
    since: who was asked to qualify again
    """

    options: Options
    pairs: Sequence[Pair]
    work: Mapping[str, Work] = field(default_factory=dict)
    sizes: Mapping[str, Size] = field(default_factory=dict)
    drafts: Drafts = field(default_factory=dict)
    existing: Collection[TaskKey] = frozenset()
    gold: Gold = field(default_factory=Gold)
    gold_work: Mapping[str, Work] = field(default_factory=dict)
    since: Mapping[str, Since] = field(default_factory=dict)

    @property
    def shown(self) -> dict[str, Pair]:
        """Every pair of which there can be tasks, gold too, by pair_id."""
        return {pair.pair_id: pair for pair in self.pairs} | {
            pair_id: one.pair for pair_id, one in self.gold.pairs.items()
        }

    def standings(self) -> dict[str, Standing]:
        """Where every candidate stands, by person_id."""
        return candidates.standings(self.options, self.gold, self.gold_work, self.since)


@dataclass(frozen=True, slots=True)
class PairState:
    """Where one pair stands.

    step: the first step that is not complete; None when all are; "dropped" when its instruction was no good
    regions: the accepted ones; reviews: of each region its text on its way; wanted: tasks that should exist for it now
    """

    pair_id: str
    step: Step | Literal["dropped"] | None
    regions: tuple[Region, ...]
    reviews: Mapping[str, Review]
    wanted: tuple[TaskSpec, ...]


def wanted(record: Record) -> list[TaskSpec]:
    """Every task that should exist now and does not, in the order in which its person should get it.

    Neither the order of pairs nor of people matters.  `UserError` when a stage has fewer people than it needs.
    """
    return in_order(record, states(record))


def in_order(record: Record, found: Iterable[PairState]) -> list[TaskSpec]:
    """The tasks that these pairs wait for and the server has not, in the order in which their people get them.

    With the tasks of the qualification, and hidden gold.
    """
    standings = record.standings()
    ready = candidates.ready(record.options, standings)
    missing: dict[Project, dict[TaskKey, TaskSpec]] = {}
    for state in found:
        for spec in state.wanted:
            if spec.key not in record.existing:
                missing.setdefault((spec.key.stage, spec.key.person_id), {})[spec.key] = spec
    held: dict[Project, set[TaskKey]] = {}
    for work in (record.work, record.gold_work):
        for key in (key for one in work.values() for key in (*one.done, *one.spoiled)):
            held.setdefault((key.stage, key.person_id), set()).add(key)
    for key in record.existing:
        held.setdefault((key.stage, key.person_id), set()).add(key)
    sources = {pair.pair_id: pair.source_id for pair in record.pairs}
    ordered = list(candidates.lessons(record.gold, record.gold_work, standings, record.existing))
    for project in sorted(missing.keys() | {project for project in held if project[1] in ready}):
        own = _own_order(missing.get(project, {}), sources, project, record.options.seed)
        ordered += hidden.mixed(record.options, record.gold, record.gold_work, own, held.get(project, set()), project)
    return ordered


def _own_order(
    specs: Mapping[TaskKey, TaskSpec], sources: Mapping[str, str], project: Project, seed: int
) -> list[TaskSpec]:
    stage, person_id = project
    own = {key.pair_id: sources[key.pair_id] for key in specs}
    place = {pair_id: number for number, pair_id in enumerate(order_of_work(person_id, stage, own, seed))}
    return [specs[key] for key in sorted(specs, key=lambda key: (place[key.pair_id], key.round))]


def states(record: Record) -> Iterator[PairState]:
    """Where every pair stands, by pair_id."""
    standings = record.standings()
    assigned = _assignment(record, standings)
    ready = candidates.ready(record.options, standings)
    existing: dict[str, list[TaskKey]] = {}
    for key in record.existing:
        existing.setdefault(key.pair_id, []).append(key)
    for pair in sorted(record.pairs, key=lambda pair: pair.pair_id):
        yield _Plan(record, pair, assigned, existing.get(pair.pair_id, ()), ready).state()


def without_drafts(found: Iterable[PairState]) -> list[str]:
    """A sentence for the manager when pairs wait for drafts of their texts."""
    # Once the review of a text has begun, it is among the reviews.
    waiting = [state.pair_id for state in found if state.step == "textual" and not state.reviews]
    if not waiting:
        return []
    names = ", ".join(waiting[:5]) + (f" and {len(waiting) - 5} more" if len(waiting) > 5 else "")
    return [f"{len(waiting)} pairs wait until each of their regions has a draft in drafts.jsonl: {names}."]


def assignment(record: Record) -> dict[tuple[str, str], tuple[str, ...]]:
    """The people of every (pair_id, stage), candidates who have not failed among them.

    Who has a task keeps it, unless they left (or lost the role, or failed) before they finished.
    """
    return _assignment(record, record.standings())


def _assignment(record: Record, standings: Mapping[str, Standing]) -> dict[tuple[str, str], tuple[str, ...]]:
    options = record.options
    needs = options.needs()
    role = {need.stage: need.role for need in needs}
    active = [person for person in options.people if person.active and not _failed(person.person_id, standings)]
    able = {(person.person_id, each) for person in active for each in person.roles}
    begun: set[Part] = set()
    done = {key for work in record.work.values() for key in work.done}
    for key in {*record.existing, *done, *(key for work in record.work.values() for key in work.spoiled)}:
        if key.stage not in role or key.pair_id in record.gold.pairs:
            continue
        stays = (key.person_id, role[key.stage]) in able
        if stays or (key in done and not _asked_again(record, key)):
            begun.add(Part(key.pair_id, key.stage, key.person_id))
    return assign([pair.pair_id for pair in record.pairs], _workers(options, standings), needs, begun, options.seed)


def _workers(options: Options, standings: Mapping[str, Standing]) -> list[Worker]:
    """Everybody who may have a place.

    Where a role has too few people, those who failed hold the places that nobody can fill yet, and get no task, so that
    everything else goes on.
    """
    active = [person for person in options.people if person.active]
    able = [person for person in active if not _failed(person.person_id, standings)]
    short = {need.role for need in options.needs() if sum(need.role in person.roles for person in able) < need.count}
    return [Worker(person.person_id, frozenset(person.roles), passed=True) for person in able] + [
        Worker(person.person_id, frozenset(person.roles) & short, passed=True)
        for person in active
        if _failed(person.person_id, standings)
    ]


def _failed(person_id: str, standings: Mapping[str, Standing]) -> bool:
    return person_id in standings and standings[person_id].phase == "failed"


class _Plan:
    """One pair, from its first step to the first that is not complete."""

    def __init__(
        self,
        record: Record,
        pair: Pair,
        assigned: Assigned,
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
        self._work = record.work.get(pair_id, NOTHING)
        self._size = record.sizes.get(pair_id)
        self._drafts = record.drafts.get(pair_id, {})
        self._open = set(existing) - self._work.done - self._work.spoiled
        self._reviews: Reviews = {}
        self._regions: tuple[Region, ...] = ()

    def state(self) -> PairState:
        work = {
            "prompt_check": self._prompt_check,
            "regional": self._regional,
            "expert": self._expert,
            "textual": self._textual,
            "scoring": self._scoring,
        }
        for step in self._options.steps:
            complete, specs = work[step]()
            if not complete:
                handed = [spec for spec in specs if spec.key.person_id in self._ready or spec.key in self._existing]
                return PairState(self._pair_id, step, self._regions, self._reviews, tuple(handed))
            if step == "prompt_check" and prompt_check.settled(self._work.checks) == "drop":
                return PairState(self._pair_id, "dropped", (), {}, ())
        return PairState(self._pair_id, None, self._regions, self._reviews, ())

    def _prompt_check(self) -> tuple[bool, list[TaskSpec]]:
        waiting = self._waiting("prompt_check")
        rewritten = not prompt_check.waits(self._work.checks, self._instruction)
        return not waiting and rewritten, [TaskSpec(key) for key in waiting]

    def _regional(self) -> tuple[bool, list[TaskSpec]]:
        waiting = self._waiting("regional")
        if not waiting:
            self._regions = self._outcome().regions
        return not waiting, [regional_task(key) for key in waiting]

    def _expert(self) -> tuple[bool, list[TaskSpec]]:
        waiting = self._waiting("expert")
        annotators = sorted({annotation.annotator_id for annotation in self._work.regional})
        return not waiting, [expert_task(key, self._outcome(), annotators, self._sized()) for key in waiting]

    def _textual(self) -> tuple[bool, list[TaskSpec]]:
        undecided = [region for region in self._regions if region.rationale is None]
        if self._options.wait_for_drafts and any(region.region_id not in self._drafts for region in undecided):
            return False, []
        self._reviews = reviews(
            undecided, self._work, self._drafts, self._assigned[self._pair_id, "textual"], self._options
        )
        texts = [
            with_text(region, self._reviews[region.region_id], self._drafts.get(region.region_id))
            if region.region_id in self._reviews
            else region
            for region in self._regions
        ]
        self._regions = tuple(texts)
        turn = pair_turn(self._reviews)
        if turn is not None:
            return False, self._text_task("textual", turn.reviewer, turn.regions)
        escalated = [name for name, review in self._reviews.items() if review.status == "escalated"]
        if escalated:
            return False, self._text_task("expert_text", self._assigned[self._pair_id, "expert_text"][0], escalated)
        return True, []

    def _scoring(self) -> tuple[bool, list[TaskSpec]]:
        waiting = self._waiting("scoring")
        return not waiting, [scoring_task(key, self._regions, self._size) for key in waiting]

    def _text_task(self, stage: Stage, person_id: str, regions: Collection[str]) -> list[TaskSpec]:
        """The pair's next turn, unless somebody who is still asked has one already."""
        people = self._assigned[self._pair_id, stage]
        if any(key.stage == stage and key.person_id in people for key in self._open):
            return []
        answered = self._work.done | self._work.spoiled
        key = TaskKey(stage, self._pair_id, person_id, sum(key.stage == stage for key in answered))
        shown = [region for region in self._regions if region.region_id in regions]
        return [text_task(key, shown, self._reviews, self._drafts, self._sized())]

    def _waiting(self, stage: Stage) -> list[TaskKey]:
        """Tasks of a stage that are still to be done: of every person assigned the first round that is not spoiled."""
        people = self._assigned[self._pair_id, stage]
        finished = {key.person_id for key in self._work.done if key.stage == stage}
        spoiled = [key.person_id for key in self._work.spoiled if key.stage == stage]
        return [
            TaskKey(stage, self._pair_id, person, spoiled.count(person)) for person in people if person not in finished
        ]

    def _outcome(self) -> Outcome:
        rules = ConsensusOptions(self._options.min_support, self._options.iou, reviewers=self._options.reviewers)
        return accepted(self._pair_id, self._work, rules)

    def _sized(self) -> Size:
        if self._size is None:
            raise ValueError(f"no size of the edited image of {self._pair_id}, of which something was said")
        return self._size


def accepted(pair_id: str, work: Work, rules: ConsensusOptions) -> Outcome:
    """The regions of a pair before anybody wrote about them, by the rules of the build."""
    return resolve(pair_id, work.regional, work.expert, [], [], rules, lambda rejection: None)


def reviews(
    regions: Sequence[Region], work: Work, drafts: Mapping[str, Draft], reviewers: Sequence[str], options: Options
) -> Reviews:
    """The review of each region's text, by region_id."""
    found: Reviews = {}
    for region in regions:
        name = region.region_id
        draft = drafts[name].text if name in drafts else None
        found[name] = replay(
            draft,
            reviewers,
            work.turns.get(name, ()),
            work.settling.get(name, ()),
            limit=options.rounds,
            needed=options.reviewers,
        )
    return found


def _asked_again(record: Record, key: TaskKey) -> bool:
    """Whether whoever did a task may be asked about its pair again: while a text is open among those who spoke."""
    if key.stage not in ("textual", "expert_text"):
        return False
    work, options = record.work[key.pair_id], record.options
    spoke = sorted({key.person_id for key in work.done if key.stage == "textual"})
    if key.stage == "expert_text" or len(spoke) < options.reviewers:
        return True
    rules = ConsensusOptions(options.min_support, options.iou, reviewers=options.reviewers)
    regions = [region for region in accepted(key.pair_id, work, rules).regions if region.rationale is None]
    found = reviews(regions, work, record.drafts.get(key.pair_id, {}), spoke, options)
    return any(review.status == "open" for review in found.values())
