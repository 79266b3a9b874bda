"""Draw docs/images/refine.jpg: the example before and after `editfhf refine`, from the folder that it wrote."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "refine"
WIDTH, GAP, HEAD = 480, 12, 44


def main(refined: Path) -> None:
    images = [EXAMPLE / "source.png", EXAMPLE / "edited.png", refined / "refined.png"]
    titles = ["Source", "Edited: “Take the rain streaks away.”", "Refined"]
    panels = [Image.open(path).convert("RGB") for path in images]
    height = round(panels[0].height * WIDTH / panels[0].width)
    sheet = Image.new("RGB", (3 * WIDTH + 4 * GAP, HEAD + height + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for number, (panel, title) in enumerate(zip(panels, titles, strict=True)):
        left = GAP + number * (WIDTH + GAP)
        sheet.paste(panel.resize((WIDTH, height), Image.Resampling.LANCZOS), (left, HEAD))
        draw.text((left, 11), title, "#222", ImageFont.load_default(20))
    sheet.save(ROOT / "docs" / "images" / "refine.jpg", quality=88)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
