"""Puts annotations into a Label Studio's database at once, by its own models, where its API would take half an hour.

Run in the server's virtual environment, with the server's environment variables:

    python answer_tasks.py (PROJECT USER ANSWERS)...

ANSWERS is a file of lines {"pair_id", "result"}; every task of the project whose data says that pair gets one.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import timedelta
from itertools import islice
from pathlib import Path

BATCH = 500
MINUTE = timedelta(minutes=1)
CHANGED = ("is_labeled", "total_annotations", "updated_at")


def main() -> None:
    import django
    import label_studio

    sys.path.insert(0, str(Path(label_studio.__file__).parent))
    os.environ["DJANGO_SETTINGS_MODULE"] = "label_studio.core.settings.label_studio"
    django.setup()
    given = iter(sys.argv[1:])
    for project, user, answers in zip(given, given, given, strict=True):
        answer(int(project), int(user), Path(answers))


def answer(project: int, user: int, answers: Path) -> None:
    """One task after another, a minute each, the last of them now."""
    from django.utils.timezone import now
    from tasks.models import Annotation, Task

    tasks = {task.data["pair_id"]: task for task in Task.objects.filter(project=project)}
    begun, done = now() - len(tasks) * MINUTE, 0
    with answers.open() as lines:
        while part := [json.loads(line) for line in islice(lines, BATCH)]:
            made = []
            for line in part:
                task = tasks[line["pair_id"]]
                done += 1
                task.is_labeled, task.total_annotations, task.updated_at = True, 1, begun + done * MINUTE
                made.append(
                    Annotation(
                        task=task,
                        project_id=project,
                        completed_by_id=user,
                        updated_by_id=user,
                        result=line["result"],
                        lead_time=50.0,
                    )
                )
            made = Annotation.objects.bulk_create(made)
            for annotation in made:
                annotation.created_at = annotation.updated_at = annotation.task.updated_at
            # Models set these times themselves when they are saved, but not in bulk.
            Annotation.objects.bulk_update(made, ["created_at", "updated_at"])
            Task.objects.bulk_update([annotation.task for annotation in made], CHANGED)


if __name__ == "__main__":
    main()
