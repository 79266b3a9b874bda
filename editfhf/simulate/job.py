"""One unit of work: a source with all its pairs, from pixels to papers.  Pure but for the pictures that it writes."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import orjson
from PIL import Image as Pillow

from annotation.tasks import tasks
from editfhf.simulate import campaign, raters
from editfhf.simulate.annotators import Size
from editfhf.simulate.canvas import Image
from editfhf.simulate.editors import Editor, editors
from editfhf.simulate.operators import Edit
from editfhf.simulate.photos import Photo
from editfhf.simulate.pictures import Attempt, attempt
from editfhf.simulate.quality import true_quality
from editfhf.simulate.settings import PAIR, SOURCE, Settings
from editfhf.simulate.sources import EDITORS_PER_EDIT, Source, edits, source

SUFFIX = {"jpeg": "jpg", "png": "png", "webp": "webp"}


@dataclass(frozen=True)
class Done:
    """A pair: its line of pairs.jsonl and everything that the campaign left."""

    line: bytes
    papers: campaign.Papers


@cache
def _people(settings: Settings) -> tuple[tuple[Editor, ...], tuple[raters.Rater, ...]]:
    return editors(settings), raters.pool(settings)


def make(settings: Settings, photos: Sequence[Photo], root: Path, index: int) -> list[Done]:
    """All pairs of one source; their pictures are written under `root/images`."""
    made = source(settings, photos, index)
    source_id = f"s{index + 1:05d}"
    encoding = _encoding(settings, index)
    folder = root / "images" / source_id
    folder.mkdir(parents=True, exist_ok=True)
    first = index * settings.edits_per_source
    count = min(settings.edits_per_source, settings.pairs - first)
    done, original = [], None
    for number, (edit, editor) in enumerate(_orders(settings, made, index, count)):
        if original is None:
            original = f"images/{source_id}/source.{SUFFIX[encoding]}"
            _write(root / original, edit.source, encoding)
        done.append(_pair(settings, made, edit, editor, (first + number, source_id, original), root, encoding))
    return done


def _encoding(settings: Settings, index: int) -> str:
    return tuple(SUFFIX)[index % len(SUFFIX)] if settings.format == "mixed" else settings.format


def _orders(settings: Settings, made: Source, index: int, count: int) -> Iterator[tuple[Edit, Editor]]:
    """Which editor carries out which edit: each edit goes to different editors, in turns over all of them."""
    everybody = _people(settings)[0]
    asked = edits(settings, made, index)
    turn = settings.rng(SOURCE, index, 1).permutation(len(everybody))
    for number in range(count):
        edit = asked[min(number // EDITORS_PER_EDIT, len(asked) - 1)]
        yield edit, everybody[int(turn[number % len(everybody)])]


def _pair(
    settings: Settings, made: Source, edit: Edit, editor: Editor, names: tuple[int, str, str], root: Path, encoding: str
) -> Done:
    index, source_id, original = names
    pair_id = f"p{index + 1:05d}"
    rng = settings.rng(PAIR, index)
    skill = editor.skill[tasks()[edit.task].group]
    result: Attempt = attempt(edit, made.scene, skill, rng)
    quality = true_quality(result.flaws, skill, rng)
    edited = f"images/{source_id}/{pair_id}.{SUFFIX[encoding]}"
    _write(root / edited, result.image, encoding)
    data = {
        "pair_id": pair_id,
        "instruction": edit.instruction,
        "source_image": f"/data/local-files/?d={original}",
        "edited_image": f"/data/local-files/?d={edited}",
    }
    size = Size(int(result.image.shape[1]), int(result.image.shape[0]))
    finished = campaign.Finished(index, pair_id, data, size, tuple(result.flaws), quality)
    papers = campaign.run(settings, finished, _people(settings)[1])
    common = {"pair_id": pair_id, "source_id": source_id, "editor": editor.name, "task": edit.task}
    papers.truth |= common | {"width": size.width, "height": size.height} | {**quality}
    photo = made.scene.photo
    line = common | {
        "source": original,
        "edited": edited,
        "instruction": edit.instruction,
        "licence": photo.licence,
        "origin": f"{photo.origin}; simulated edit",
    }
    return Done(orjson.dumps(line), papers)


def _write(path: Path, image: Image, encoding: str) -> None:
    picture, stream = Pillow.fromarray(np.ascontiguousarray(image)), io.BytesIO()
    match encoding:
        case "png":
            picture.save(stream, "PNG", compress_level=3)
        case "webp":
            picture.save(stream, "WEBP", quality=92, method=2)
        case _:
            picture.save(stream, "JPEG", quality=93, subsampling=0)
    path.write_bytes(stream.getvalue())
