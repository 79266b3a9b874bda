"""Addresses of pictures, and the one folder that a server may give away."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from annotation.labelstudio.image_urls import ImageUrls, link_served_images
from mos.errors import UserError

ODD = ["a.png", "a b.png", "ü图.png", "100%.png", "%41.png", "a#b?c&d=e.png", "p+q;r.png", "deep/it's.png", " .png"]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    for name in ODD:
        path = tmp_path / "corpus" / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"picture")
    return tmp_path / "corpus"


@pytest.mark.parametrize("name", ODD)
def test_an_address_means_the_picture_and_nothing_else(corpus: Path, name: str) -> None:
    local = ImageUrls(corpus).url(f"images/{name}")
    assert local.isascii()
    assert parse_qs(urlsplit(local).query, strict_parsing=True) == {"d": [f"images/{name}"]}
    assert urlsplit(local).fragment == ""
    remote = urlsplit(ImageUrls(corpus, "https://example.org/some/place/").url(f"images/{name}"))
    assert unquote(remote.path) == f"/some/place/{name}"
    assert (remote.query, remote.fragment) == ("", "")


@pytest.mark.parametrize(
    "path", ["a.png", "images", "images/../pairs.jsonl", "/etc/passwd", "other/a.png", "images/\0"]
)
def test_a_picture_elsewhere_is_refused(corpus: Path, path: str) -> None:
    with pytest.raises(UserError, match="is not under images/"):
        ImageUrls(corpus).url(path)


def test_a_picture_that_is_not_there_is_refused(corpus: Path) -> None:
    with pytest.raises(UserError, match=r"There is no image 'images/z\.png'"):
        ImageUrls(corpus).url("images/z.png")


def test_a_link_out_of_the_pictures_is_refused_and_one_inside_is_not(corpus: Path) -> None:
    (corpus / "secret.png").write_bytes(b"secret")
    (corpus / "images" / "out.png").symlink_to(corpus / "secret.png")
    (corpus / "images" / "in.png").symlink_to("a.png")
    assert ImageUrls(corpus).url("images/in.png")
    with pytest.raises(UserError, match="a link that leaves images/"):
        ImageUrls(corpus).url("images/out.png")


@pytest.mark.parametrize(
    "base", ["ftp://example.org", "example.org/images", "https://", "https://a.org/?d=", "https://a/#x"]
)
def test_a_base_that_is_none_is_refused(corpus: Path, base: str) -> None:
    with pytest.raises(UserError, match="Invalid base URL of images"):
        ImageUrls(corpus, base)


ACTIVE = ["page.html", "drawing.svg", "PAGE.HTM", "page.png.xhtml", "note.txt", "picture", ".png"]


@pytest.mark.parametrize("name", ACTIVE)
def test_what_is_no_picture_by_its_name_is_not_shown(corpus: Path, tmp_path: Path, name: str) -> None:
    (corpus / "images" / "deep" / name).write_bytes(b"<script>alert(1)</script>")
    with pytest.raises(UserError, match=r"has another suffix: expected \.png, \.jpg"):
        ImageUrls(corpus).url(f"images/deep/{name}")
    with pytest.raises(UserError, match=r"is not an image: expected \.png, \.jpg"):
        link_served_images(corpus, tmp_path / "served")


@pytest.mark.parametrize("name", ["a.PNG", "a.jpg", "a.JPEG", "a.webp"])
def test_pictures_of_every_kind_that_is_read_are_shown(corpus: Path, tmp_path: Path, name: str) -> None:
    (corpus / "images" / name).write_bytes(b"picture")
    assert ImageUrls(corpus).url(f"images/{name}").endswith(name)
    assert link_served_images(corpus, tmp_path / "served")


def test_a_server_is_given_the_pictures_alone(corpus: Path, tmp_path: Path) -> None:
    served = tmp_path / "served"
    for _ in range(2):
        assert link_served_images(corpus, served) == served / "images"
    assert [path.name for path in served.iterdir()] == ["images"]
    assert (served / "images" / "a.png").read_bytes() == b"picture"


def test_a_server_is_pointed_to_another_corpus(corpus: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "images").mkdir(parents=True)
    link_served_images(corpus, tmp_path / "served")
    assert list(link_served_images(other, tmp_path / "served").iterdir()) == []


@pytest.mark.parametrize("inside", ["images/out.png", "images/deep/out"])
def test_a_corpus_whose_pictures_lead_elsewhere_is_not_served(corpus: Path, tmp_path: Path, inside: str) -> None:
    (corpus / inside).symlink_to(tmp_path)
    with pytest.raises(UserError, match=f"{inside} is a link that leaves"):
        link_served_images(corpus, tmp_path / "served")


def test_a_folder_of_pictures_elsewhere_is_not_served(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "corpus").mkdir()
    with pytest.raises(UserError, match="There is no folder"):
        link_served_images(tmp_path / "corpus", tmp_path / "served")
    (tmp_path / "corpus" / "images").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is a link that leaves the corpus"):
        link_served_images(tmp_path / "corpus", tmp_path / "served")
