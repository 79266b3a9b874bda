"""Where annotators' browsers get a corpus's pictures: from the server's own disk, or from a web server's address."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from urllib.parse import quote, urlsplit

from mos.errors import UserError

IMAGES = "images"
LOCAL = "/data/local-files/?d="
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
"""Of the files that are shown: the server tells browsers what a file is by its name, and they run an .svg."""

_LIST = ", ".join(SUFFIXES)


def link_pictures(corpus: Path, served: Path) -> Path:
    """Make `served` hold a link to a corpus's folder of pictures and nothing else; the path of the link.

    Label Studio serves files by their name under `served` and follows links, so one that leaves the folder is a
    `UserError`: what it leads to would be shown to everybody.  So is a file that by its name is no picture.
    """
    images = corpus / IMAGES
    if not images.is_dir():
        raise UserError(f"There is no folder {images}: expected the pictures of a corpus. Check --corpus.")
    target = images.resolve()
    if not target.is_relative_to(corpus.resolve()):
        raise UserError(f"{images} is a link that leaves the corpus. Put the folder itself there.")
    for folder, folders, files in os.walk(target):
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.is_symlink() and not path.resolve().is_relative_to(target):
                raise UserError(f"{path} is a link that leaves {images}. Put the file itself there.")
            if name in files and not shown(path):
                raise UserError(f"{path} is no picture: expected {_LIST} in what is shown to everybody. Move it away.")
    served.mkdir(mode=0o700, exist_ok=True)
    link = served / IMAGES
    draft = served / f".{IMAGES}"
    draft.unlink(missing_ok=True)
    draft.symlink_to(target, target_is_directory=True)
    draft.replace(link)
    return link


def shown(path: PurePosixPath | Path) -> bool:
    """Whether a file is a picture by its name."""
    return path.suffix.lower() in SUFFIXES


class Pictures:
    """Addresses of a corpus's pictures for the tasks of a project.

    `base` is None when Label Studio itself serves them (every project then needs its storage, see
    `Studio.serve_pictures`), or the `http(s)` address under which the corpus's folder `images` is to be found.
    """

    def __init__(self, corpus: Path, base: str | None = None) -> None:
        self._corpus = corpus.resolve()
        if base is not None:
            parts = urlsplit(base)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
                raise UserError(f"{base!r} is no base of picture addresses: expected http(s)://host/path.")
        self._base = base

    def url(self, path: str) -> str:
        """The address of a picture by its path in the corpus, such as `images/a.png`; every odd character is encoded.

        `UserError` when the path is not that of a picture (PNG, JPEG or WebP by its name) under the corpus's folder
        `images`, all links followed.
        """
        parts = PurePosixPath(path).parts
        root = self._corpus / IMAGES
        if len(parts) < 2 or parts[0] != IMAGES or ".." in parts or "\0" in path:
            raise UserError(
                f"The picture {path!r} is not under {IMAGES}/: only pictures there are shown. Move it there."
            )
        file = self._corpus.joinpath(*parts)
        if not file.resolve().is_relative_to(root):
            raise UserError(f"The picture {path!r} is a link that leaves {IMAGES}/. Put the file itself there.")
        if not shown(file):
            raise UserError(f"The picture {path!r} is none by its name: expected {_LIST}. Rename it.")
        if not file.is_file():
            raise UserError(f"There is no picture {path!r} in {self._corpus}. Restore it, or drop its pair.")
        if self._base is None:
            return LOCAL + quote("/".join(parts), safe="/")
        return f"{self._base.rstrip('/')}/{quote('/'.join(parts[1:]), safe='/')}"
