"""A campaign of 15,000 tasks with eight regions each, on a real Label Studio, against plain calls of its SDK.

Everything is in one run on one machine, with one server (SQLite, started for it).  The answers are put into the
server's database by its own models, outside the clock.  Prints one JSON line a measure: {"name", "seconds", "memory",
"server_memory", "ratio", "note"}, memory as MiB at the peak; the ratio is ours to the SDK's.

    python tests/benchmarks/bench_campaign.py [--tasks 15000] [--folder FOLDER] [--list]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

import campaign_corpus
import orjson
import watched

from annotation import interfaces
from annotation.labelstudio.accounts import ensure_user
from annotation.labelstudio.client import StudioClient
from annotation.labelstudio.environment import build_server_environment, find_studio_program
from annotation.labelstudio.server import StudioServer, start_studio_server

HERE = Path(__file__).parent
EDITFHF = Path(sys.executable).with_name("editfhf")
MEGABYTE = 1 << 20
TWICE = """
import sys, time
from pathlib import Path
from annotation import interfaces
from annotation.campaign.sync.run_sync import CampaignSync
from annotation.labelstudio.client import StudioClient; from annotation.labelstudio.server import find_studio_server
found = find_studio_server(Path(sys.argv[2]))
with (
    StudioClient(found.url, found.api_key) as studio,
    CampaignSync(studio, Path(sys.argv[1]), interfaces.render_label_config, found.images) as it,
):
    it.run()
    begun = time.perf_counter()
    it.run()
    print(time.perf_counter() - begun)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=15_000, help="a multiple of 3: three annotators a pair")
    parser.add_argument("--folder", type=Path, default=None, help="where to work; a temporary folder by default")
    parser.add_argument("--list", action="store_true", help="the SDK's list of tasks too, which takes much longer")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="editfhf-bench-", dir=given.folder) as name:
        folder = Path(name)
        pairs = given.tasks // len(campaign_corpus.PEOPLE)
        campaign_corpus.make(folder / "corpus", pairs)
        with Bench(folder, pairs, given.list) as bench:
            bench.run()


class Bench:
    def __init__(self, folder: Path, pairs: int, listing: bool) -> None:
        self.folder, self.pairs, self.listing = folder, pairs, listing
        self.corpus, self.data = folder / "corpus", folder / "studio"
        self.server: StudioServer = start_studio_server(self.data, corpus=self.corpus)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()

    def restart(self) -> None:
        """A fresh process of the server: one that served much once keeps the memory."""
        self.server.stop()
        self.server = start_studio_server(self.data, corpus=self.corpus)

    @property
    def number(self) -> int:
        """The server's process."""
        return int(orjson.loads((self.data / "server.json").read_bytes())["process"])

    def run(self) -> None:
        (self.folder / "config.xml").write_text(interfaces.render_label_config("regional"))
        (self.folder / "tasks.json").write_bytes(orjson.dumps(campaign_corpus.plain_tasks(self.pairs)))
        with StudioClient(self.server.url, self.server.api_key) as studio:
            emails = [f"{name}@example.org" for name in campaign_corpus.PEOPLE]
            users = [ensure_user(studio, email, "correct horse battery") for email in emails]
        tasks = f"{len(users) * self.pairs} tasks"

        self.choose_steps()
        made = self.annotate("sync")
        peer = self.plain("import")
        self.report(f"floor: the same imports over bare HTTP, {tasks}", self.plain("raw-import"))
        self.report(f"label-studio-sdk: {tasks} imported", peer)
        self.report(f"sync: projects and {tasks} made", made, peer)

        projects = [int(line) for line in peer.output.split()]
        self.answer(users, projects)
        self.restart()
        first = self.annotate("sync")
        self.restart()
        peer = self.plain("export", *projects)
        self.restart()
        self.report("floor: the same exports over bare HTTP, to files", self.plain("raw-export", *projects))
        self.report("label-studio-sdk: exports, parsed and written as JSON", peer)
        if self.listing:
            self.restart()
            self.report("label-studio-sdk: tasks.list, written as JSON", self.plain("list", *projects))
        self.report("sync: every answer read, filed and judged", first, peer)
        self.restart()
        size = (self.corpus / "campaign" / "answers.jsonl").stat().st_size / MEGABYTE
        again = self.annotate("sync")
        self.report("sync: a new process, nothing new", again, peer, f"archive of {size:.0f} MiB")
        both = self.ours([sys.executable, "-c", TWICE, str(self.corpus), str(self.data)])
        look = watched.Cost(float(both.output), both.memory, both.server_memory, "")
        self.report("sync --watch: another look, nothing new", look, peer)
        self.report("status", self.annotate("status", "--json"))
        export = self.annotate("export")
        self.report("export", export)
        total = watched.Cost(
            first.seconds + export.seconds,
            max(first.memory, export.memory),
            max(first.server_memory, export.server_memory),
            "",
        )
        self.report("sync and export together, against the SDK's export", total, peer)

    def plain(self, what: str, *projects: int) -> watched.Cost:
        command = [sys.executable, str(HERE / "plain_sdk.py"), what, self.server.url, str(self.folder)]
        environment = os.environ | {"STUDIO_KEY": self.server.api_key}
        return watched.run([*command, *map(str, projects)], self.number, environment)

    def annotate(self, what: str, *options: str) -> watched.Cost:
        server = ("--data", str(self.data)) if what == "sync" else ()
        return self.ours([str(EDITFHF), "annotate", what, str(self.corpus), *server, *options])

    def ours(self, command: list[str]) -> watched.Cost:
        return watched.run(command, self.number, os.environ)

    def choose_steps(self) -> None:
        """A campaign of the one step whose tasks the SDK makes too."""
        campaign = self.folder / "campaign.yaml"
        people = [{"person_id": name, "email": f"{name}@example.org", "name": name} for name in campaign_corpus.PEOPLE]
        options = {"campaign_id": "bench", "name": "Bench", "steps": ["regional"]}
        # JSON is YAML.
        campaign.write_bytes(orjson.dumps(options | {"people": [one | {"roles": ["regional"]} for one in people]}))
        create = [str(EDITFHF), "annotate", "create", str(self.corpus), "--config", str(campaign)]
        subprocess.run(create, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answer(self, users: list[int], plain: list[int]) -> None:
        """Everybody answers all of their tasks, in our projects and in the plain ones."""
        with StudioClient(self.server.url, self.server.api_key) as studio:
            ours = [
                next(
                    project.project_id
                    for project in studio.projects()
                    if project.has(f"editfhf:bench/regional/{person}")
                )
                for person in campaign_corpus.PEOPLE
            ]
        arguments = []
        for place, user in enumerate(users):
            path = self.folder / f"answers-{place}.jsonl"
            campaign_corpus.write_answers(path, self.pairs, place)
            for project in (ours[place], plain[place]):
                arguments += [str(project), str(user), str(path)]
        program = find_studio_program()
        environment = build_server_environment(
            os.environ, self.data, self.server.url, self.server.credentials, self.data / "served", None
        )
        command = [str(program.with_name("python")), str(HERE / "answer_tasks.py"), *arguments]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)

    def report(self, name: str, ours: watched.Cost, peer: watched.Cost | None = None, note: str = "") -> None:
        line = {
            "name": name,
            "seconds": round(ours.seconds, 2),
            "memory": round(ours.memory / MEGABYTE),
            "server_memory": round(ours.server_memory / MEGABYTE),
            "ratio": round(ours.seconds / peer.seconds, 2) if peer else None,
            "note": note,
        }
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
