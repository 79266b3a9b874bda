"""Publishing: what arrives is byte for byte what was built, nothing is overwritten unasked, no secret is shown."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.editfhf import hub_double, sample_dataset
from tests.editfhf.hub_double import READ_ONLY, TOKEN, Hub
from tests.warm_commands import shared_commands

NAME = "me/six"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hub_double.running() as double:
        yield double


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_dataset.write(tmp_path_factory.mktemp("hub") / "six")


@pytest.fixture
def root(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "six"))


class Client:
    """Runs `editfhf` and Python in processes of their own: the library of the Hub reads its settings when imported."""

    def __init__(self, hub: Hub, home: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
        self.env = {
            **kept,
            "HF_ENDPOINT": hub.url,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HOME": str(home),
            "HF_TOKEN": TOKEN,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "127.0.0.1",
        }

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, *arguments],
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return without_secrets(done)

    def push(self, root: Path, *options: str, repo: str = NAME, **env: str) -> subprocess.CompletedProcess[str]:
        commands = shared_commands("editfhf.commands.push", "editfhf.api", "editfhf.hub", "editfhf.validation.validate")
        return without_secrets(commands.run("push", root, repo, *options, environment=self.env | env, timeout=300))


def without_secrets(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    assert TOKEN not in done.stdout + done.stderr
    assert READ_ONLY not in done.stdout + done.stderr
    return done


@pytest.fixture
def client(hub: Hub, tmp_path: Path) -> Client:
    return Client(hub, tmp_path / "home")


def local_files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def remote_files(hub: Hub) -> dict[str, bytes]:
    return {path: data for path, data in hub.repos[NAME].main.items() if path != ".gitattributes"}


LOAD = """
import json, sys
import datasets, editfhf
from editfhf.dataset import make_dataset_features
datasets.disable_progress_bars()
pairs = editfhf.load("me/six")
train = editfhf.load("me/six", split="train", streaming=True)
ratings = editfhf.load("me/six", "ratings", split="train")
assert pairs["train"].features == make_dataset_features()
assert ratings.features == make_dataset_features("ratings")
row = next(iter(train))
print(json.dumps({
    "rows": {name: len(table) for name, table in pairs.items()},
    "streamed": [row["pair_id"] for row in train],
    "size": row["edited_image"].size,
    "ratings": len(ratings),
}))
"""


def test_what_is_pushed_is_what_was_built_and_loads_again(hub: Hub, client: Client, sound: Path) -> None:
    pushed = client.push(sound, "--yes", "--message", "First build")
    assert pushed.returncode == 0, pushed.stderr
    assert pushed.stdout.strip() == f"{hub.url}/datasets/{NAME}"
    assert remote_files(hub) == local_files(sound)
    assert hub.repos[NAME].messages[-1] == "First build"
    assert not hub.repos[NAME].private

    loaded = client.run("-c", LOAD)
    assert loaded.returncode == 0, loaded.stderr
    assert json.loads(loaded.stdout) == {
        "rows": {"train": 4, "validation": 1, "test": 1},
        "streamed": ["p0", "p1", "p2", "p3"],
        "size": [64, 48],
        "ratings": 36,
    }


def test_a_second_push_of_the_same_sends_nothing(hub: Hub, client: Client, sound: Path) -> None:
    assert client.push(sound, "--yes").returncode == 0
    hub.requests.clear()
    again = client.push(sound)
    assert again.returncode == 0, again.stderr
    assert "already holds exactly this dataset" in again.stderr
    assert hub.writes == []


def test_an_update_has_to_be_asked_for_and_leaves_no_stale_shard(hub: Hub, client: Client, root: Path) -> None:
    stale = {"data/train-00001-of-00002.parquet": b"old", "figures/old.png": b"old"}
    assert client.push(root, "--yes").returncode == 0
    repo = hub.repos[NAME]
    repo.commit("main", {**repo.main, **stale, "LICENSE": b"mine"}, "by hand")
    built_again = sample_dataset.write(root.parent / "again", corpus={"version": "1.3.0"})
    hub.requests.clear()

    refused = client.push(built_again, "--yes")
    assert refused.returncode == 1
    assert "Pass --update to replace it" in refused.stderr
    assert hub.writes == []

    updated = client.push(built_again, "--yes", "--update")
    assert updated.returncode == 0, updated.stderr
    assert remote_files(hub) == {**local_files(built_again), "LICENSE": b"mine"}
    sent = [path for path in hub.requests if path.startswith("PUT")]
    assert sent == [], "the shards are the same: none is sent again"


def test_an_interrupted_first_push_is_carried_on_without_asking(hub: Hub, client: Client, sound: Path) -> None:
    files = local_files(sound)
    hub.create(NAME, {path: files[path] for path in list(files)[:3]})
    done = client.push(sound, "--yes")
    assert done.returncode == 0, done.stderr
    assert remote_files(hub) == files


@pytest.mark.parametrize("options", [[], ["--update"]])
def test_a_repository_of_something_else_is_never_touched(
    hub: Hub, client: Client, sound: Path, options: list[str]
) -> None:
    hub.create(NAME, {"README.md": b"# Mine", "data/train-00000-of-00001.parquet": b"mine"})
    refused = client.push(sound, "--yes", *options)
    assert refused.returncode == 1
    assert "editfhf did not put there" in refused.stderr
    assert hub.writes == []


def test_a_repository_made_in_the_browser_may_be_filled(hub: Hub, client: Client, sound: Path) -> None:
    hub.create(NAME, {"README.md": b"---\nlicense: mit\n---\n"})
    assert "Pass --update" in client.push(sound, "--yes").stderr
    assert client.push(sound, "--yes", "--update").returncode == 0
    assert remote_files(hub) == local_files(sound)


def test_a_dry_run_says_what_it_would_do(hub: Hub, client: Client, sound: Path) -> None:
    said = client.push(sound, "--dry-run", "--private")
    assert said.returncode == 0, said.stderr
    assert "a new private repository" in said.stderr
    assert "10 new: README.md" in said.stderr
    assert said.stdout == ""
    assert hub.writes == []
    assert hub.repos == {}


def test_a_script_is_not_asked_but_replaces_nothing(hub: Hub, client: Client, sound: Path, tmp_path: Path) -> None:
    assert client.push(sound).returncode == 0
    sent = remote_files(hub)
    refused = client.push(sample_dataset.write(tmp_path / "again", corpus={"version": "1.3.0"}))
    assert refused.returncode == 1
    assert "Pass --update" in refused.stderr
    assert remote_files(hub) == sent


def test_a_private_repository(hub: Hub, client: Client, sound: Path) -> None:
    assert client.push(sound, "--yes", "--private").returncode == 0
    assert hub.repos[NAME].private
    hub.repos[NAME].private = False
    refused = client.push(sound, "--yes", "--private")
    assert "is public" in refused.stderr


def test_another_branch(hub: Hub, client: Client, root: Path) -> None:
    assert client.push(root, "--yes").returncode == 0
    first = remote_files(hub)
    other = sample_dataset.write(root.parent / "other", corpus={"version": "2.0.0"})
    done = client.push(other, "--yes", "--revision", "v2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("/tree/v2")
    assert remote_files(hub) == first
    repo = hub.repos[NAME]
    assert repo.commits[repo.branches["v2"]]["README.md"] == (other / "README.md").read_bytes()


def test_only_what_was_built_is_sent(hub: Hub, client: Client, root: Path) -> None:
    (root / "notes.txt").write_text("private")
    (root / ".editfhf").mkdir()
    (root / ".editfhf/log").write_text("private")
    assert client.push(root, "--yes").returncode == 0
    assert not {"notes.txt", ".editfhf/log"} & set(remote_files(hub))


def test_a_damaged_dataset_is_not_sent(hub: Hub, client: Client, root: Path) -> None:
    (root / "croissant.json").write_text("{}")
    refused = client.push(root, "--yes")
    assert refused.returncode == 1
    assert "is not as it was built: croissant.json" in refused.stderr
    assert hub.requests == []


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({"HF_TOKEN": "hf_wrong"}, "Log in with `hf auth login`"),
        ({"HF_TOKEN": ""}, "Log in with `hf auth login`"),
        ({"HF_TOKEN": READ_ONLY}, "does not let this account write"),
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "cannot be reached"),
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE"),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(
    hub: Hub, client: Client, sound: Path, env: dict[str, str], sentence: str
) -> None:
    refused = client.push(sound, "--yes", **env)
    assert refused.returncode == 1
    assert sentence in refused.stderr
    assert "Traceback" not in refused.stderr
    assert hub.repos == {}


@pytest.mark.parametrize(("status", "sentence"), [(403, "another name"), (418, "status 418")])
def test_a_refused_commit_is_one_sentence(hub: Hub, client: Client, sound: Path, status: int, sentence: str) -> None:
    hub.answer["POST .*/commit/"] = status
    refused = client.push(sound, "--yes")
    assert refused.returncode == 1
    assert sentence in refused.stderr
    assert "Traceback" not in refused.stderr


def test_somebody_else_commits_in_between(hub: Hub, client: Client, root: Path) -> None:
    assert client.push(root, "--yes").returncode == 0
    hub.answer["POST .*/commit/"] = 412
    again = sample_dataset.write(root.parent / "again", corpus={"version": "9.0.0"})
    assert "Somebody changed me/six" in client.push(again, "--yes", "--update").stderr


@pytest.mark.parametrize("repo", ["a b", "me/six/seven", "me/--six", "/"])
def test_a_name_that_is_none(client: Client, sound: Path, repo: str) -> None:
    refused = client.push(sound, "--yes", repo=repo)
    assert refused.returncode == 1
    assert "expected 'user/name'" in refused.stderr


MISSING = {
    "'me/absent'": "No dataset 'me/absent'",
    "'me/other', revision='v9'": "No dataset 'me/other' at revision 'v9'",
    "'me/other', 'ratings'": "is not a dataset of editfhf",
    "'me/other', split='test'": "lacks this table or split",
    "'a b/c'": "No dataset 'a b/c'",
}

LOAD_EACH = """
import json, sys
import editfhf
from mos.errors import UserError
for call in sys.argv[1:]:
    try:
        eval(f"editfhf.load({call})")
    except UserError as error:
        print(json.dumps(str(error)))
"""


def test_loading_what_is_not_there_is_one_sentence(hub: Hub, client: Client) -> None:
    hub.create("me/other", {"data/train-00000-of-00001.parquet": one_column()})
    done = client.run("-c", LOAD_EACH, *MISSING)
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('"')]
    assert len(said) == len(MISSING), done.stderr
    for sentence, expected in zip(said, MISSING.values(), strict=True):
        assert expected in sentence
        assert "\n" not in sentence


def one_column() -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table({"a": [1]}), stream)
    return stream.getvalue()


def test_loading_without_a_network_is_one_sentence(client: Client) -> None:
    code = "import editfhf; editfhf.load('me/six')"
    said = client.run("-c", code, HF_HUB_OFFLINE="1").stderr
    assert "UserError: No folder 'me/six', and the Hub cannot be reached" in said
