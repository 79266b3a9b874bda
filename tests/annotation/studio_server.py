"""The one real Label Studio of a test session, with a corpus whose pictures it serves."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from annotation.labelstudio.accounts import create_personal_token, ensure_user
from annotation.labelstudio.client import StudioClient
from annotation.labelstudio.server import StudioServer, start_studio_server

PASSWORD = "correct horse battery"

LABEL_CONFIG = """<View>
  <Text name="instruction" value="$instruction"/>
  <Image name="edited" value="$edited_image"/>
  <RectangleLabels name="box" toName="edited"><Label value="artifact"/><Label value="failure"/></RectangleLabels>
  <TextArea name="rationale" toName="edited" perRegion="true"/>
</View>"""


@dataclass
class Live:
    """A running server; after `restart` it is another process with the same data and address."""

    server: StudioServer
    corpus: Path
    database_url: str | None = None
    _people: dict[str, tuple[str, int]] = field(default_factory=dict)

    def manager(self) -> StudioClient:
        return StudioClient(self.server.url, self.server.api_key)

    def person(self, name: str) -> tuple[str, int]:
        """The key and the id of a person, whose account is made when it is first asked for."""
        if name not in self._people:
            email = f"{name}@example.org"
            with self.manager() as manager:
                user_id = ensure_user(manager, email, PASSWORD)
            self._people[name] = create_personal_token(self.server.url, email, PASSWORD), user_id
        return self._people[name]

    def restart(self) -> None:
        """Start again, after a stop or a kill, where it was."""
        port = int(self.server.url.rpartition(":")[2])
        self.server = start_studio_server(self.server.data, port, corpus=self.corpus, database_url=self.database_url)


def begin(folder: Path, database_url: str | None = None) -> Live:
    """Start a server for a fresh corpus in a folder, on SQLite unless a PostgreSQL is named."""
    corpus = folder / "corpus"
    (corpus / "images").mkdir(parents=True)
    Image.new("RGB", (64, 40), "teal").save(corpus / "images" / "plain.png")
    return Live(start_studio_server(folder / "server", corpus=corpus, database_url=database_url), corpus, database_url)


def box(region: str, x: float, label: str = "artifact") -> dict[str, Any]:
    """One rectangle as Label Studio writes it."""
    place = {"x": x, "y": 10.0, "width": 5.0, "height": 5.0, "rotation": 0, "rectanglelabels": [label]}
    drawn = {"original_width": 640, "original_height": 400, "image_rotation": 0}
    names = {"id": region, "from_name": "box", "to_name": "edited", "type": "rectanglelabels"}
    return names | drawn | {"value": place}


def task(number: int, text: str = "Make it blue.") -> dict[str, Any]:
    """A task with eight predicted regions."""
    return {
        "data": {"key": f"regional/{number}/p/0", "instruction": text, "edited_image": f"https://example.org/{number}"},
        "predictions": [
            {"model_version": "drafts", "score": 0.5, "result": [box(f"r{i}", 10.0 * i) for i in range(8)]}
        ],
    }
