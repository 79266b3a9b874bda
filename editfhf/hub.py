"""Publishing a dataset to the Hugging Face Hub, file by file as it was built, and never over anything unasked.

`upload_folder` sends the shards as they are (`push_to_hub` would encode them again); where Xet is in use it uploads in
resumable batches, so that an interrupted push goes on where it stopped when it is run again.
"""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from editfhf.manifest import FOLDERS, MANIFEST, is_inside, read_manifest
from mos.errors import UserError

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import DatasetInfo, RepoFile

# Folders in which every file is ours: what an older build left there goes when the dataset is replaced.
OURS = (*FOLDERS.values(), "figures")
README = "README.md"
FORMATS = "editfhf-dataset/"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a push would do: paths in the repository, sorted."""

    repo: str
    revision: str
    creates_repo: bool
    creates_branch: bool
    private: bool
    added: tuple[str, ...]
    replaced: tuple[str, ...]
    deleted: tuple[str, ...]
    unchanged: tuple[str, ...]
    bytes: int
    parent: str | None

    @property
    def empty(self) -> bool:
        return not (self.added or self.replaced or self.deleted)


def push(
    root: Path,
    repo: str,
    *,
    private: bool = False,
    revision: str = "main",
    update: bool = False,
    message: str | None = None,
    confirm: Callable[[Plan], bool] = lambda plan: True,
) -> str | None:
    """Send the dataset in `root` to the dataset repository `repo` ("user/name") and give its address.

    Only the files that the manifest names are sent.  The repository is created when there is none.  `confirm` sees
    the plan before anything is changed; None is returned when it says no.

    Raises:
        UserError: the folder is no dataset or a file is missing; the repository holds something else, or would have
            files replaced without `update`; the Hub refuses or cannot be reached.
    """
    from huggingface_hub import HfApi

    files = _local_files(root)
    with _one_sentence(repo):
        api = HfApi(library_name="editfhf")
        plan = make_plan(api, root, files, repo, private=private, revision=revision)
        _refuse_overwriting(api, plan, update)
        if not confirm(plan):
            return None
        if not plan.empty:
            _upload(api, root, files, plan, message or f"Upload {_title(root)}")
    return f"{api.endpoint}/datasets/{repo}" + (f"/tree/{revision}" if revision != "main" else "")


def make_plan(
    api: HfApi, root: Path, files: Mapping[str, str], repo: str, *, private: bool = False, revision: str = "main"
) -> Plan:
    """Compare the dataset with what the repository holds at `revision`; nothing is changed.

    files: sha256 by path of everything to send
    """
    creates_repo, creates_branch, info = _state(api, repo, revision)
    if info is not None and private and not info.private:
        raise UserError(f"The repository {repo} is public. Make it private in its settings, or leave --private out.")
    parent = info.sha if info is not None else None
    remote = _remote_files(api, repo, parent) if parent is not None else {}
    unchanged = {path for path, digest in files.items() if path in remote and _same(root / path, digest, remote[path])}
    stale = {path for path in remote if path.split("/")[0] in OURS and "/" in path and path not in files}
    changed = sorted(set(files) - unchanged)
    return Plan(
        repo=repo,
        revision=revision,
        creates_repo=creates_repo,
        creates_branch=creates_branch,
        private=private,
        added=tuple(path for path in changed if path not in remote),
        replaced=tuple(path for path in changed if path in remote),
        deleted=tuple(sorted(stale)),
        unchanged=tuple(sorted(unchanged)),
        bytes=sum((root / path).stat().st_size for path in changed),
        parent=parent,
    )


def _local_files(root: Path) -> dict[str, str]:
    """sha256 by path of every file of the dataset, its manifest included."""
    manifest = read_manifest(root)
    files = {output["path"]: output["sha256"] for output in manifest["outputs"]}
    for path in files:
        if not is_inside(path) or not (root / path).is_file():
            raise UserError(f"{root / MANIFEST} names {path!r}, which is not there. Run `editfhf validate {root}`.")
    return {**files, MANIFEST: hashlib.sha256((root / MANIFEST).read_bytes()).hexdigest()}


def _title(root: Path) -> str:
    corpus = read_manifest(root)["corpus"]
    return " ".join(f"{corpus.get('name') or 'dataset'} {corpus.get('version') or ''}".split())[:100]


def _state(api: HfApi, repo: str, revision: str) -> tuple[bool, bool, DatasetInfo | None]:
    """Whether the repository and the branch have to be created, and what the branch is or would be made from."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        return False, False, api.dataset_info(repo, revision=revision)
    except RevisionNotFoundError:
        return False, revision != "main", api.dataset_info(repo) if revision != "main" else None
    except GatedRepoError:
        raise
    except RepositoryNotFoundError as error:
        if error.response.status_code == 401:
            raise
        return True, revision != "main", None


def _remote_files(api: HfApi, repo: str, revision: str) -> dict[str, RepoFile]:
    from huggingface_hub.hf_api import RepoFile

    tree = api.list_repo_tree(repo, repo_type="dataset", revision=revision, recursive=True)
    return {item.path: item for item in tree if isinstance(item, RepoFile) and item.path != ".gitattributes"}


def _same(path: Path, digest: str, remote: RepoFile) -> bool:
    """Whether the repository has this very content: by sha256 where it is stored as LFS, else by git's own digest."""
    if remote.size != path.stat().st_size:
        return False
    if remote.lfs is not None:
        return remote.lfs.sha256 == digest
    data = path.read_bytes()
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False)
    return remote.blob_id == blob.hexdigest()


def _refuse_overwriting(api: HfApi, plan: Plan, update: bool) -> None:
    touched = plan.replaced + plan.deleted
    if not touched or plan.creates_branch:
        return
    # A repository made in the browser comes with a README and nothing else.
    if touched != (README,) and not _is_dataset(api, plan):
        raise UserError(
            f"The repository {plan.repo} holds files that editfhf did not put there (such as {touched[0]!r}). Nothing "
            "was sent. Choose another name for the repository."
        )
    if not update:
        raise UserError(
            f"The repository {plan.repo} holds something already: {len(plan.replaced)} files would be replaced and "
            f"{len(plan.deleted)} deleted. Nothing was sent. Pass --update to replace it; its history keeps them."
        )


def _is_dataset(api: HfApi, plan: Plan) -> bool:
    import orjson

    if MANIFEST not in (*plan.replaced, *plan.unchanged):
        return False
    local = api.hf_hub_download(plan.repo, MANIFEST, repo_type="dataset", revision=plan.parent)
    try:
        manifest: Any = orjson.loads(Path(local).read_bytes())
    except orjson.JSONDecodeError:
        return False
    return isinstance(manifest, dict) and str(manifest.get("format", "")).startswith(FORMATS)


def _upload(api: HfApi, root: Path, files: Mapping[str, str], plan: Plan, message: str) -> None:
    if plan.creates_repo:
        # None leaves the choice to the account's or organisation's own default.
        api.create_repo(plan.repo, repo_type="dataset", private=True if plan.private else None)
    if plan.creates_branch:
        api.create_branch(plan.repo, repo_type="dataset", branch=plan.revision)
    api.upload_folder(
        repo_id=plan.repo,
        repo_type="dataset",
        folder_path=root,
        revision=plan.revision,
        commit_message=message,
        # Whoever commits in between makes this fail rather than disappear.
        parent_commit=None if plan.creates_branch else plan.parent,
        allow_patterns=[glob.escape(path) for path in files],
        delete_patterns=[glob.escape(path) for path in plan.deleted] or None,
    )


@contextmanager
def _one_sentence(repo: str) -> Iterator[None]:
    """Every failure of the Hub or the network as one sentence that holds no secret."""
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except errors.HFValidationError:
        raise UserError(f"{repo!r} is no repository: expected 'user/name' in letters, digits, '-', '_', '.'.") from None
    except errors.LocalTokenNotFoundError:
        raise UserError(_REFUSED[401].format(repo=repo)) from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        said = f"The Hub answered with status {status} for {repo}{_reason(error)}. Try again later."
        raise UserError(_REFUSED.get(status, said).format(repo=repo)) from None
    except errors.OfflineModeIsEnabled:
        raise UserError("The Hub is switched off by HF_HUB_OFFLINE. Unset it and run the command again.") from None
    except (httpx2.TransportError, ConnectionError, TimeoutError) as error:
        raise UserError(
            f"The Hub cannot be reached ({error.__class__.__name__}). Check the network and run the command again: it "
            "goes on where it stopped."
        ) from None


_REFUSED = {
    401: "The Hub wants to know who you are before it lets you write to {repo}. Log in with `hf auth login`, or set "
    "HF_TOKEN to a token that may write.",
    403: "The Hub does not let this account write to {repo}. Use a token with the right to write, or another name.",
    404: "The Hub has no dataset repository {repo} that this account may see, or not that revision. Check both names.",
    409: "Somebody changed {repo} in the meantime. Run the command again to see what would be replaced now.",
    412: "Somebody changed {repo} in the meantime. Run the command again to see what would be replaced now.",
    429: "The Hub asks to wait: too many requests. Run the command again in some minutes: it goes on where it stopped.",
}


def _reason(error: Any) -> str:
    said = " ".join(str(error.server_message or "").split())[:200]
    return f" ({said})" if said else ""
