"""Validate a corpus or a dataset: `validate_folder` checks everything, `check_dataset_files` only the files.

`files` checks the files against the manifest, `tables` what must hold between rows, `rows` one row of the table
"default" with its images and its saliency maps, which are rendered again from the disks.
"""

from editfhf.validation.files import ValidationFinding
from editfhf.validation.validate import (
    MAX_FINDINGS_SHOWN,
    ValidationReport,
    check_dataset_files,
    require_intact_dataset,
    validate_dataset,
    validate_folder,
)

__all__ = [
    "MAX_FINDINGS_SHOWN",
    "ValidationFinding",
    "ValidationReport",
    "check_dataset_files",
    "require_intact_dataset",
    "validate_dataset",
    "validate_folder",
]
