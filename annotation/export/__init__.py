"""Label Studio's JSON to records, streaming: `read_tasks`, then `regional`, `rationales` or `ratings` for each task.

Everything in an export is untrusted: the server stores whatever it is sent.  What cannot be used becomes a `Rejection`,
never an exception.  The other direction is `annotation.predictions`.
"""

from annotation.export.names import Names
from annotation.export.reading import read_tasks
from annotation.export.regional import regional
from annotation.export.scoring import latest_ratings, ratings
from annotation.export.submissions import annotators_of, pair_id_of
from annotation.export.textual import rationales

__all__ = ["Names", "annotators_of", "latest_ratings", "pair_id_of", "ratings", "rationales", "read_tasks", "regional"]
