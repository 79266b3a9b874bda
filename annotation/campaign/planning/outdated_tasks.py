"""Find existing tasks that should be withdrawn, and those that wait for a redo: pure functions of the record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from annotation.campaign.model import NO_WORK, CampaignRecord, PairStatus, TaskKey
from annotation.campaign.options import CAMPAIGN_STAGES
from annotation.campaign.studio_tasks import SHOWN_FIELD


def list_outdated_tasks(
    record: CampaignRecord, statuses: Iterable[PairStatus], shown: Mapping[TaskKey, str]
) -> list[TaskKey]:
    """The existing tasks without an answer that should not be there, or not as they are, in order.

    - Tasks of participants who left.
    - Tasks of a later stage than the one in which a participant was asked to do a task of the pair again.
    - Tasks of experts whose proposal has changed.

    Parameters
    ----------
    record
        Record of the campaign.
    statuses
        Status of every pair, from the same record.
    shown
        Digest of what each expert's task on the server shows, where known.
    """
    left = {person.person_id for person in record.options.people if not person.active}
    answered = {
        key
        for works in (record.work, record.gold_work)
        for work in works.values()
        for key in (*work.done, *work.spoiled)
    }
    open_keys = sorted(set(record.existing) - answered)
    outdated = {key for key in open_keys if key.person_id in left}
    by_pair: dict[str, list[TaskKey]] = {}
    for key in open_keys:
        by_pair.setdefault(key.pair_id, []).append(key)
    for status in statuses:
        waiting = by_pair.get(status.pair_id, [])
        repeated = {key.stage for key in list_open_redos(record, status)}
        if repeated:
            first = min(map(CAMPAIGN_STAGES.index, repeated))
            outdated.update(key for key in waiting if CAMPAIGN_STAGES.index(key.stage) > first)
        for spec in status.wanted:
            if spec.key in waiting and shown.get(spec.key, spec.data.get(SHOWN_FIELD)) != spec.data.get(SHOWN_FIELD):
                outdated.add(spec.key)
    return sorted(outdated)


def list_open_redos(record: CampaignRecord, status: PairStatus) -> list[TaskKey]:
    """The tasks of a pair that wait for their person because they were asked to do them again."""
    spoiled = {
        (key.stage, key.person_id) for key in record.work.get(status.pair_id, NO_WORK).spoiled & record.again.keys()
    }
    waiting = (*(spec.key for spec in status.wanted), *status.unqualified)
    return [key for key in waiting if (key.stage, key.person_id) in spoiled]
