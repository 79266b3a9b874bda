"""Publish a dataset on the Hugging Face Hub: the files as they were built, and nothing is replaced without `update`.

`upload_folder` sends the shards as they are (`push_to_hub` would encode them again). With Xet it uploads in batches,
so that the next run of an interrupted push resumes.
"""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from editfhf.manifest import DATASET_FOLDERS, MANIFEST_FILE, is_dataset_path, read_manifest
from mos.errors import UserError
from mos.files import read_regular_file
from mos.json_limits import MAX_JSON_LENGTH, describe_json_excess

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import DatasetInfo, RepoFile


# Folders with files of builds only: files of an older build are deleted when the dataset is replaced.
README_FILE = "README.md"
FORMAT_PREFIX = "editfhf-dataset/"


@dataclass(frozen=True, slots=True)
class PushPlan:
    """What a push would do.

    Attributes
    ----------
    repo, revision : str
        Repository and branch.
    creates_repo, creates_branch : bool
        Whether they have to be created.
    private : bool
        Whether the repository would be created as a private one.
    added, replaced, deleted, unchanged : tuple of str
        Paths in the repository, sorted.
    bytes : int
        Size of the files to send.
    parent : str or None
        Commit that the push is based on.
    """

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
        """Whether the repository holds exactly this dataset already."""
        return not (self.added or self.replaced or self.deleted)


def push_dataset(
    root: Path,
    repo: str,
    *,
    private: bool = False,
    revision: str = "main",
    update: bool = False,
    message: str | None = None,
    confirm: Callable[[PushPlan], bool] = lambda plan: True,
) -> str | None:
    """Send the files that the manifest names to a dataset repository.

    Parameters
    ----------
    root
        Folder of the dataset.
    repo
        "user/name"; created when there is none.
    private, revision, update, message, confirm
        As in `editfhf.push`.

    Returns
    -------
    str or None
        Address of the dataset; None when `confirm` returned False.

    Raises
    ------
    UserError
        The folder is not a dataset or a file is missing; the repository holds other files, or files would be replaced
        without `update`; the Hub refuses or cannot be reached.
    """
    from huggingface_hub import HfApi

    files = _list_local_files(root)
    with _explain_hub_errors(repo):
        api = HfApi(library_name="editfhf")
        plan = plan_push(api, root, files, repo, private=private, revision=revision)
        _refuse_overwriting(api, plan, update)
        if not confirm(plan):
            return None
        if not plan.empty:
            _upload_files(api, root, files, plan, message or f"Upload {_dataset_title(root)}")
    return f"{api.endpoint}/datasets/{repo}" + (f"/tree/{revision}" if revision != "main" else "")


def plan_push(
    api: HfApi, root: Path, files: Mapping[str, str], repo: str, *, private: bool = False, revision: str = "main"
) -> PushPlan:
    """Compare the dataset with the repository at `revision`; nothing is changed.

    Parameters
    ----------
    api
        Client of the Hub.
    root
        Folder of the dataset.
    files
        SHA-256 by path of everything to send.
    repo, private, revision
        As in `push_dataset`.

    Raises
    ------
    UserError
        `private` is set and the repository is public.
    """
    creates_repo, creates_branch, info = _find_repository_state(api, repo, revision)
    if info is not None and private and not info.private:
        raise UserError(f"The repository {repo} is public. Make it private in its settings, or omit --private.")
    parent = info.sha if info is not None else None
    remote = _list_remote_files(api, repo, parent) if parent is not None else {}
    unchanged = {
        path
        for path, digest in files.items()
        if path in remote and _has_same_content(root / path, digest, remote[path])
    }
    stale = {path for path in remote if path.split("/")[0] in DATASET_FOLDERS and "/" in path and path not in files}
    changed = sorted(set(files) - unchanged)
    return PushPlan(
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


def _list_local_files(root: Path) -> dict[str, str]:
    """sha256 by path of every file of the dataset, its manifest included."""
    files = {output.path: output.sha256 for output in read_manifest(root).outputs}
    for path in files:
        if not is_dataset_path(path) or not (root / path).is_file():
            raise UserError(
                f"{root / MANIFEST_FILE} names {path!r}, which is not there. Run `editfhf validate {root}`."
            )
    return {**files, MANIFEST_FILE: hashlib.sha256(read_regular_file(root / MANIFEST_FILE)).hexdigest()}


def _dataset_title(root: Path) -> str:
    corpus = read_manifest(root).corpus
    return " ".join(f"{corpus.get('name') or 'dataset'} {corpus.get('version') or ''}".split())[:100]


def _find_repository_state(api: HfApi, repo: str, revision: str) -> tuple[bool, bool, DatasetInfo | None]:
    """(creates_repo, creates_branch, state of the branch or of the one that it starts from)."""
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


def _list_remote_files(api: HfApi, repo: str, revision: str) -> dict[str, RepoFile]:
    from huggingface_hub.hf_api import RepoFile

    tree = api.list_repo_tree(repo, repo_type="dataset", revision=revision, recursive=True)
    return {item.path: item for item in tree if isinstance(item, RepoFile) and item.path != ".gitattributes"}


def _has_same_content(path: Path, digest: str, remote: RepoFile) -> bool:
    """Whether the repository has the same content: by SHA-256 if it is stored as LFS, else by git's digest."""
    if remote.size != path.stat().st_size:
        return False
    if remote.lfs is not None:
        return remote.lfs.sha256 == digest
    data = read_regular_file(path)
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False)
    return remote.blob_id == blob.hexdigest()


def _refuse_overwriting(api: HfApi, plan: PushPlan, update: bool) -> None:
    touched = plan.replaced + plan.deleted
    if not touched or plan.creates_branch:
        return
    # A repository that was created in the browser has a README and nothing else.
    if touched != (README_FILE,) and not _is_dataset(api, plan):
        raise UserError(
            f"The repository {plan.repo} holds files that editfhf did not put there (such as {touched[0]!r}). Nothing "
            "was sent. Choose another name for the repository."
        )
    if not update:
        raise UserError(
            f"The repository {plan.repo} is not empty: {len(plan.replaced)} files would be replaced and "
            f"{len(plan.deleted)} deleted. Nothing was sent. Pass --update to replace it; its history keeps them."
        )


def _is_dataset(api: HfApi, plan: PushPlan) -> bool:
    import orjson

    if MANIFEST_FILE not in (*plan.replaced, *plan.unchanged):
        return False
    local = api.hf_hub_download(plan.repo, MANIFEST_FILE, repo_type="dataset", revision=plan.parent)
    with Path(local).open("rb") as stream:
        data = stream.read(MAX_JSON_LENGTH + 1)
    try:
        manifest: Any = None if describe_json_excess(data) else orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return isinstance(manifest, dict) and str(manifest.get("format", "")).startswith(FORMAT_PREFIX)


def _upload_files(api: HfApi, root: Path, files: Mapping[str, str], plan: PushPlan, message: str) -> None:
    if plan.creates_repo:
        # None: the default of the account or organisation.
        api.create_repo(plan.repo, repo_type="dataset", private=True if plan.private else None)
    if plan.creates_branch:
        api.create_branch(plan.repo, repo_type="dataset", branch=plan.revision)
    api.upload_folder(
        repo_id=plan.repo,
        repo_type="dataset",
        folder_path=root,
        revision=plan.revision,
        commit_message=message,
        # Fails if somebody committed in between, instead of undoing that commit.
        parent_commit=None if plan.creates_branch else plan.parent,
        allow_patterns=[glob.escape(path) for path in files],
        delete_patterns=[glob.escape(path) for path in plan.deleted] or None,
    )


@contextmanager
def _explain_hub_errors(repo: str) -> Iterator[None]:
    """Turn every failure of the Hub or the network into UserError; the sentence holds no secret."""
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except errors.HFValidationError:
        raise UserError(
            f"{repo!r} is not the name of a repository: expected 'user/name' in letters, digits, '-', '_', '.'."
        ) from None
    except errors.LocalTokenNotFoundError:
        raise UserError(_REFUSED[401].format(repo=repo)) from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        sentence = f"The Hub answered with status {status} for {repo}{_server_reason(error)}. Try again later."
        raise UserError(_REFUSED.get(status, sentence).format(repo=repo)) from None
    except errors.OfflineModeIsEnabled:
        raise UserError("HF_HUB_OFFLINE switches the Hub off. Unset it and run the command again.") from None
    except (httpx2.TransportError, ConnectionError, TimeoutError) as error:
        raise UserError(
            f"The Hub cannot be reached ({error.__class__.__name__}). Check the network and run the command again: it "
            "resumes."
        ) from None


_REFUSED = {
    401: "The Hub requires a login before it lets you write to {repo}. Log in with `hf auth login`, or set "
    "HF_TOKEN to a token that may write.",
    403: "The Hub does not let this account write to {repo}. Use a token with the right to write, or another name.",
    404: "The Hub has no dataset repository {repo} that this account may see, or not that revision. Check both names.",
    409: "Somebody changed {repo} in the meantime. Run the command again to see what would be replaced now.",
    412: "Somebody changed {repo} in the meantime. Run the command again to see what would be replaced now.",
    429: "The Hub refuses for now: too many requests. Run the command again in some minutes: it resumes.",
}


def _server_reason(error: Any) -> str:
    text = " ".join(str(error.server_message or "").split())[:200]
    return f" ({text})" if text else ""
