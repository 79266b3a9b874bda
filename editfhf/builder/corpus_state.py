"""The files of a corpus as a build found them: a file that changes while the build runs is noticed, and named.

The manifest states the digest of every file. A build reads the files after it took the digests, so it takes them again
before it publishes. The images need no such check: each is compared with its digest when its shard is made.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from annotation.corpus import META_FILE, PAIRS_FILE, Corpus
from annotation.records import Rejection
from editfhf.manifest import ManifestInput
from mos.errors import UserError
from mos.files import open_regular_file

FileMark = tuple[int, int, int, int]


@dataclass(frozen=True)
class CorpusState:
    """Every file of a corpus that is not an image.

    Attributes
    ----------
    inputs : list of ManifestInput
        Path, size and digest, in the order of paths.
    marks : dict of str to tuple of int
        Device, inode, and times of the last change of content and of status, by path. They tell of a file that was
        replaced and put back.
    """

    inputs: list[ManifestInput]
    marks: dict[str, FileMark]

    def find_change(self, corpus: Corpus) -> str | None:
        """The path of a file that is new, gone or not the same as before; None when nothing changed."""
        try:
            now = read_corpus_state(corpus)
        except FileNotFoundError as error:
            return os.path.relpath(error.filename, corpus.root)
        before = {entry.path: (entry, self.marks[entry.path]) for entry in self.inputs}
        after = {entry.path: (entry, now.marks[entry.path]) for entry in now.inputs}
        return next((path for path in sorted({*before, *after}) if before.get(path) != after.get(path)), None)


@contextmanager
def watch_corpus(corpus: Corpus) -> Iterator[CorpusState]:
    """Take the state of a corpus; if the block fails and the corpus changed meanwhile, that is the error.

    Raises
    ------
    UserError
        A file of the corpus changed within the context, and the block raised an exception.
    """
    state = read_corpus_state(corpus)
    try:
        yield state
    except Exception:
        refuse_changed_corpus(corpus, state)
        raise


def refuse_changed_corpus(corpus: Corpus, before: CorpusState) -> None:
    """UserError if a file of the corpus, images apart, is not as it was."""
    changed = before.find_change(corpus)
    if changed is not None:
        raise UserError(
            f"{corpus.root / changed} changed while the build was running, so nothing was published. "
            "Run the same command again."
        ) from None


def read_corpus_state(corpus: Corpus) -> CorpusState:
    """Digest every file of the corpus that is not an image."""

    def ignore(_: Rejection) -> None:
        """A problem of a file is reported when it is read."""

    names = [name for group in corpus.files(ignore).values() for name in group]
    inputs, marks = [], {}
    for name in sorted({META_FILE, PAIRS_FILE, *names}):
        with open_regular_file(corpus.root / name) as stream:
            status = os.fstat(stream.fileno())
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        inputs.append(ManifestInput(path=name, bytes=status.st_size, sha256=digest))
        marks[name] = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
    return CorpusState(inputs, marks)
