"""Editors that run a pipeline of the package `diffusers` on this machine: one adapter, one table of pipelines."""

from editfhf.editors.diffusers_editors.adapter import DiffusersEditor
from editfhf.editors.diffusers_editors.pipelines import PIPELINE_FAMILIES, PipelineFamily, find_family

__all__ = ["PIPELINE_FAMILIES", "DiffusersEditor", "PipelineFamily", "find_family"]
