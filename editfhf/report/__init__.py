"""The page that a person looks at: report.html, one file with everything in it."""

from editfhf.report import pictures
from editfhf.report.page import GALLERY, render, write

__all__ = ["GALLERY", "pictures", "render", "write"]
