"""Is a dataset what it says it is?  `check_dataset` looks at everything, `check_files` only at the files.

`files`: the files against the manifest.  `tables`: what holds between rows.  `rows`: what holds within one row of
"default".  `pictures`: images, and the saliency maps drawn again from the raw points.
"""

from editfhf.validation.issues import Issue
from editfhf.validation.whole import check_dataset, check_files

__all__ = ["Issue", "check_dataset", "check_files"]
