"""URLs of the images of a corpus: files that Label Studio serves, or those of a web server."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from urllib.parse import quote, urlsplit

from mos.errors import UserError

IMAGES_FOLDER = "images"
LOCAL_FILES_URL = "/data/local-files/?d="
SERVED_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
"""Suffixes of the files that are served. Label Studio derives the type from the name, and browsers run an .svg."""

_SUFFIX_LIST = ", ".join(SERVED_SUFFIXES)


def link_served_images(corpus: Path, served: Path) -> Path:
    """Link the images of a corpus into the folder that Label Studio serves.

    Parameters
    ----------
    corpus
        Folder of the corpus.
    served
        Folder that Label Studio serves; created if missing.

    Returns
    -------
    Path
        The link, `served/images`.

    Raises
    ------
    UserError
        If there are no images, a link leaves the folder, or a file is not an image by its name. Label Studio follows
        links and serves every file to every user.
    """
    images = corpus / IMAGES_FOLDER
    if not images.is_dir():
        raise UserError(f"There is no folder {images}: expected the images of a corpus. Check --corpus.")
    target = images.resolve()
    if not target.is_relative_to(corpus.resolve()):
        raise UserError(f"{images} is a link that leaves the corpus. Put the folder itself there.")
    for folder, folders, files in os.walk(target):
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.is_symlink() and not path.resolve().is_relative_to(target):
                raise UserError(f"{path} is a link that leaves {images}. Put the file itself there.")
            if name in files and not is_image_name(path):
                raise UserError(
                    f"{path} is not an image: expected {_SUFFIX_LIST}, as every user can see it. Move it away."
                )
    served.mkdir(mode=0o700, exist_ok=True)
    link = served / IMAGES_FOLDER
    draft = served / f".{IMAGES_FOLDER}"
    draft.unlink(missing_ok=True)
    draft.symlink_to(target, target_is_directory=True)
    draft.replace(link)
    return link


def is_image_name(path: PurePosixPath | Path) -> bool:
    """Whether the name of a file is that of an image."""
    return path.suffix.lower() in SERVED_SUFFIXES


class ImageUrls:
    """URLs of the images of a corpus, for the tasks of a project.

    Parameters
    ----------
    corpus
        Folder of the corpus.
    base
        URL (http or https) under which the corpus's folder `images` is served; None if Label Studio serves it, for
        which every project needs `StudioClient.serve_images`.

    Raises
    ------
    UserError
        If `base` is not such a URL.
    """

    def __init__(self, corpus: Path, base: str | None = None) -> None:
        self._corpus = corpus.resolve()
        if base is not None:
            parts = urlsplit(base)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
                raise UserError(f"Invalid base URL of images {base!r}: expected http(s)://host/path.")
        self._base = base

    def url(self, path: str) -> str:
        """Make the URL of an image.

        Parameters
        ----------
        path
            Path in the corpus, such as `images/a.png`.

        Returns
        -------
        str
            The URL, percent-encoded.

        Raises
        ------
        UserError
            If the path, with all links followed, is not that of a PNG, JPEG or WebP file in the folder `images`.
        """
        parts = PurePosixPath(path).parts
        root = self._corpus / IMAGES_FOLDER
        if len(parts) < 2 or parts[0] != IMAGES_FOLDER or ".." in parts or "\0" in path:
            raise UserError(
                f"The image {path!r} is not under {IMAGES_FOLDER}/: only images there are served. Move it there."
            )
        file = self._corpus.joinpath(*parts)
        if not file.resolve().is_relative_to(root):
            raise UserError(f"The image {path!r} is a link that leaves {IMAGES_FOLDER}/. Put the file itself there.")
        if not is_image_name(file):
            raise UserError(f"The image {path!r} has another suffix: expected {_SUFFIX_LIST}. Rename it.")
        if not file.is_file():
            raise UserError(f"There is no image {path!r} in {self._corpus}. Restore it, or remove its pair.")
        if self._base is None:
            return LOCAL_FILES_URL + quote("/".join(parts), safe="/")
        return f"{self._base.rstrip('/')}/{quote('/'.join(parts[1:]), safe='/')}"
