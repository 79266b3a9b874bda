"""Build a dataset from a corpus: `build_dataset(corpus, dataset, options, running)`.

`pipeline` runs everything in order: `read_corpus` and `check_images` (read and check), `prepare` with `ratings` and
`shard_plan` (score, split, plan), `shards` with `rows` (resolve regions, render maps, write shards), `outputs` (tables,
manifest). `steps` names the steps and counts them, `rejections` collects what was rejected, `spool` keeps submissions
on disk, and `workspace` lets an interrupted build resume.
"""

from editfhf.builder.context import BuildRunOptions, BuildSummary
from editfhf.builder.options import BuildOptions, parse_build_options, read_build_options
from editfhf.builder.pipeline import BuildPreview, build_dataset, preview_build

__all__ = [
    "BuildOptions",
    "BuildPreview",
    "BuildRunOptions",
    "BuildSummary",
    "build_dataset",
    "parse_build_options",
    "preview_build",
    "read_build_options",
]
