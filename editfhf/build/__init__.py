"""Building a dataset from a corpus: `build(corpus, dataset, options, running)`.

The stages, in order: read (`reading`), validate (`validating`), scores (`ratings`), split (`split`), plan (`plan`),
shards (`sharding`, `worker`, `rows`), card and report (`finishing`); `pipeline` strings them together, `workspace`
makes it safe to be killed.
"""

from editfhf.build.context import Running, Silent, Summary, Watcher
from editfhf.build.options import BuildOptions, read_options
from editfhf.build.pipeline import Preview, build, check_corpus, preview

__all__ = [
    "BuildOptions",
    "Preview",
    "Running",
    "Silent",
    "Summary",
    "Watcher",
    "build",
    "check_corpus",
    "preview",
    "read_options",
]
