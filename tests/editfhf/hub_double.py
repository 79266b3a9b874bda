"""A stand-in for the Hub on the loopback interface: as much of its HTTP surface as uploading and loading touch.

It keeps every commit, so that a test can see what an update did, and stores large files by their sha256 as LFS does.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_test"
READ_ONLY = "hf_read"

Files = dict[str, bytes]


@dataclass
class Repo:
    private: bool
    commits: dict[str, Files] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit(self, branch: str, files: Files, message: str) -> str:
        sha = hashlib.sha1(f"{len(self.commits)} {message}".encode()).hexdigest()
        self.commits[sha] = files
        self.branches[branch] = sha
        self.messages.append(message)
        return sha

    def find(self, revision: str) -> str | None:
        return self.branches.get(revision) or (revision if revision in self.commits else None)

    @property
    def main(self) -> Files:
        return self.commits[self.branches["main"]]


@dataclass
class Hub:
    """What the double holds; `answer` makes every request that matches a pattern get a status instead."""

    repos: dict[str, Repo] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    answer: dict[str, int] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    url: str = ""

    def create(self, name: str, files: Files | None = None, private: bool = False) -> Repo:
        self.repos[name] = Repo(private)
        self.repos[name].commit(
            "main", {".gitattributes": b"*.parquet filter=lfs\n", **(files or {})}, "initial commit"
        )
        return self.repos[name]

    @property
    def writes(self) -> list[str]:
        """Every request that changed something."""
        return [line for line in self.requests if not re.match(r"GET|HEAD|POST \S*(paths-info|preupload|yaml)", line)]


@contextmanager
def running() -> Iterator[Hub]:
    """A double on a free port of 127.0.0.1."""
    hub = Hub()

    class Bound(_Handler):
        state = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _is_large(path: str) -> bool:
    return path.endswith((".parquet", ".png"))


class _Refusal(Exception):
    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        self.status, self.code, self.message = status, code, message


class _Handler(BaseHTTPRequestHandler):
    state: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        return

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_POST = do_PUT = do_GET

    def _serve(self) -> None:
        path = unquote(urlsplit(self.path).path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.state.requests.append(f"{self.command} {path}")
        try:
            for pattern, status in self.state.answer.items():
                if re.search(pattern, f"{self.command} {path}"):
                    raise _Refusal(status)
            self._route(path, body)
        except _Refusal as refusal:
            headers = {"X-Error-Code": refusal.code, "X-Error-Message": refusal.message}
            self._send(refusal.status, b"{}", {name: value for name, value in headers.items() if value})

    def _route(self, path: str, body: bytes) -> None:
        routes = {
            r"POST /api/repos/create": self._create,
            r"POST /api/validate-yaml": lambda body: self._json({"errors": [], "warnings": []}),
            r"POST /datasets/(\w+/[\w.-]+)\.git/info/lfs/objects/batch": self._batch,
            r"PUT /objects/(\w+)": self._put,
            r"POST /api/datasets/(\w+/[\w.-]+)/branch/(.+)": self._branch,
            r"POST /api/datasets/(\w+/[\w.-]+)/preupload/(.+)": self._preupload,
            r"POST /api/datasets/(\w+/[\w.-]+)/commit/(.+)": self._commit,
            r"POST /api/datasets/(\w+/[\w.-]+)/paths-info/(.+)": self._paths_info,
            r"GET /api/datasets/(\w+/[\w.-]+)/tree/([^/]+)(/.*)?": self._tree,
            r"GET /api/datasets/(\w+/[\w.-]+)/revision/(.+)": self._info,
            r"GET /api/datasets/(\w+/[\w.-]+)": self._info,
            r"(?:GET|HEAD) /datasets/(\w+/[\w.-]+)/resolve/([^/]+)/(.+)": self._resolve,
        }
        for pattern, answer in routes.items():
            found = re.fullmatch(pattern, f"{self.command} {path}")
            if found:
                answer(body, *found.groups())  # type: ignore[operator]
                return
        raise _Refusal(404, "EntryNotFound")

    # Who may do what.

    def _token(self) -> str:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ")

    def _may_write(self) -> None:
        if self._token() == READ_ONLY:
            raise _Refusal(403, message="you need a token with the write role")
        if self._token() != TOKEN:
            raise _Refusal(401, message="Invalid credentials in Authorization header")

    def _repo(self, name: str) -> Repo:
        repo = self.state.repos.get(name)
        if repo is None or (repo.private and self._token() not in (TOKEN, READ_ONLY)):
            raise _Refusal(404 if self._token() else 401, "RepoNotFound", "Repository not found")
        return repo

    def _at(self, name: str, revision: str) -> tuple[Repo, str]:
        repo = self._repo(name)
        sha = repo.find(revision)
        if sha is None:
            raise _Refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return repo, sha

    # Writing.

    def _create(self, body: bytes) -> None:
        self._may_write()
        asked = json.loads(body)
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        if name in self.state.repos:
            raise _Refusal(409, message="You already created this dataset repo")
        self.state.create(name, private=asked.get("visibility") == "private")
        self._json({"url": f"{self.state.url}/datasets/{name}", "name": name})

    def _branch(self, body: bytes, name: str, branch: str) -> None:
        self._may_write()
        repo = self._repo(name)
        repo.branches[branch] = repo.branches["main"]
        self._json({})

    def _preupload(self, body: bytes, name: str, revision: str) -> None:
        self._may_write()
        self._at(name, revision)
        files = [
            {"path": file["path"], "uploadMode": "lfs" if _is_large(file["path"]) else "regular", "shouldIgnore": False}
            for file in json.loads(body)["files"]
        ]
        self._json({"files": files})

    def _batch(self, body: bytes, name: str) -> None:
        self._may_write()
        objects = []
        for wanted in json.loads(body)["objects"]:
            upload = {"upload": {"href": f"{self.state.url}/objects/{wanted['oid']}"}}
            objects.append({**wanted, **({} if wanted["oid"] in self.state.objects else {"actions": upload})})
        self._json({"transfer": "basic", "objects": objects})

    def _put(self, body: bytes, oid: str) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            raise _Refusal(422)
        self.state.objects[oid] = body
        self._send(200, b"")

    def _commit(self, body: bytes, name: str, branch: str) -> None:
        self._may_write()
        repo, sha = self._at(name, branch)
        files, message = dict(repo.commits[sha]), ""
        for line in body.splitlines():
            item = json.loads(line)
            value = item["value"]
            match item["key"]:
                case "header":
                    message = value["summary"]
                    if value.get("parentCommit") not in (None, sha):
                        raise _Refusal(412, message="The branch has moved")
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.state.objects[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
        made = repo.commit(branch, files, message)
        self._json({"commitOid": made, "commitUrl": f"{self.state.url}/datasets/{name}/commit/{made}", "success": True})

    # Reading.

    def _info(self, body: bytes, name: str, revision: str = "main") -> None:
        repo, sha = self._at(name, revision)
        names = [{"rfilename": path} for path in sorted(repo.commits[sha])]
        flags = {"private": repo.private, "gated": False, "disabled": False, "downloads": 0, "likes": 0, "tags": []}
        self._json({"_id": name, "id": name, "author": name.split("/")[0], "sha": sha, "siblings": names, **flags})

    def _tree(self, body: bytes, name: str, revision: str, below: str | None = None) -> None:
        repo, sha = self._at(name, revision)
        files, prefix = repo.commits[sha], (below or "").strip("/")
        prefix = f"{prefix}/" if prefix else ""
        inside = sorted(path for path in files if path.startswith(prefix))
        if prefix and not inside:
            raise _Refusal(404, "EntryNotFound", f"{prefix} does not exist")
        recursive = "recursive=true" in self.path.lower()
        found: dict[str, dict[str, Any]] = {}
        for path in inside:
            parts = path[len(prefix) :].split("/")
            for depth in range(1, len(parts) if recursive else min(2, len(parts))):
                folder = prefix + "/".join(parts[:depth])
                found[folder] = {"type": "directory", "path": folder, "size": 0, "oid": _git_digest(folder.encode())}
            if recursive or len(parts) == 1:
                found[path] = _entry(path, files[path])
        self._json(list(found.values()))

    def _paths_info(self, body: bytes, name: str, revision: str) -> None:
        repo, sha = self._at(name, revision)
        asked = body.decode()
        wanted = json.loads(asked)["paths"] if asked.startswith("{") else re.findall(r"paths=([^&]+)", unquote(asked))
        files = repo.commits[sha]
        entries = [_entry(path, files[path]) for path in wanted if path in files]
        for path in wanted:
            if path not in files and any(name.startswith(f"{path}/") for name in files):
                entries.append({"type": "directory", "path": path, "size": 0, "oid": _git_digest(path.encode())})
        self._json(entries)

    def _resolve(self, body: bytes, name: str, revision: str, path: str) -> None:
        repo, sha = self._at(name, revision)
        data = repo.commits[sha].get(path)
        if data is None:
            raise _Refusal(404, "EntryNotFound", f"{path} does not exist")
        digest = hashlib.sha256(data).hexdigest() if _is_large(path) else _git_digest(data)
        headers = {"X-Repo-Commit": sha, "ETag": f'"{digest}"', "Accept-Ranges": "bytes"}
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if part is None:
            self._send(200, data, headers)
            return
        first, last = int(part[1]), min(int(part[2] or len(data) - 1), len(data) - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        self._send(206, data[first : last + 1], headers)

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _git_digest(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _entry(path: str, data: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": _git_digest(data)}
    if _is_large(path):
        entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    return entry
