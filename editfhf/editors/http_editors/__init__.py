"""Editors behind HTTP: OpenAI's `images/edits` in the dialects of its servers, Gemini, Seedream."""

from editfhf.editors.http_editors.adapter import HttpEditor
from editfhf.editors.http_editors.dialects import EDIT_DIALECTS

__all__ = ["EDIT_DIALECTS", "HttpEditor"]
