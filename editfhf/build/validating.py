"""Stage validate: every picture of every pair, each file once, and the pairs that are left."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from annotation.records import Pair, Rejection
from editfhf.build import pictures
from editfhf.build.context import Context
from editfhf.build.pictures import Picture
from editfhf.executors import Pool


def check_pictures(context: Context, pool: Pool, pairs: Sequence[Pair]) -> dict[str, Picture]:
    """What was found of every picture that a pair names, by its path."""
    paths = sorted({path for pair in pairs for path in (pair.source, pair.edited)})
    context.watcher.begin("Reading and checking", len(paths))
    cache, limits = context.running.cache, context.options.images
    known = pictures.known_good(cache) if cache else {}
    root = str(context.corpus.root.absolute())
    calls = (
        (root, paths[start : start + pictures.BATCH], str(cache or ""), limits.max_bytes, limits.max_pixels)
        for start in range(0, len(paths), pictures.BATCH)
    )
    found: dict[str, Picture] = {}
    for batch in pool.run(pictures.check_batch, calls):
        found.update({picture.path: picture for picture in batch})
        if cache:
            pictures.remember(cache, [picture for picture in batch if picture.sha256 not in known])
        context.watcher.advance(len(batch))
    return found


def identity(found: Mapping[str, Picture]) -> dict[str, Any]:
    """How many pictures, how large, and one digest over all of them."""
    digest = hashlib.sha256()
    for path, picture in sorted(found.items()):
        digest.update(f"{path}\0{picture.sha256 or picture.reason}\n".encode())
    return {"files": len(found), "bytes": sum(found[path].size for path in found), "digest": digest.hexdigest()}


def usable_pairs(context: Context, pairs: Sequence[Pair], found: Mapping[str, Picture]) -> dict[str, int]:
    """Ordinals of the pairs whose two pictures can be used, by `pair_id`; the others are set aside."""
    usable: dict[str, int] = {}
    for ordinal, pair in enumerate(pairs):
        bad = [found[path] for path in dict.fromkeys((pair.source, pair.edited)) if found[path].reason]
        for picture in bad:
            rejection = Rejection(
                "image",
                pair.place.file,
                pair.place.row,
                picture.reason,
                picture.message,
                pair_id=pair.pair_id,
                item_id=picture.path[:200],
            )
            context.reject(rejection)
        if not bad:
            usable[pair.pair_id] = ordinal
    return usable
