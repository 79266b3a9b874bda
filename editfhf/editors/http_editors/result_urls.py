"""Download the image that a service says is at an address: only from hosts that the user named.

A service may be wrong or hostile, so its address is data: another host, an address inside of the user's network, a
redirect to one, a long or endless body are refused.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Iterable
from urllib.parse import urljoin, urlsplit, urlunsplit

import httpx2

from annotation.images import MAX_IMAGE_BYTES
from editfhf.editors.edit_attempts import EditDeclined

MAX_REDIRECTS = 3


def download_result(url: str, hosts: Iterable[str], timeout: float) -> bytes:
    """The bytes at an address.

    Parameters
    ----------
    url : str
        Address from a service; untrusted.
    hosts : iterable of str
        Hosts that the user allows, as `name` or `name:port`. Only a host that is an IP address itself may be inside of
        a private network, and only such a one is asked without TLS.
    timeout : float
        Seconds for all of it.

    Raises
    ------
    EditDeclined
        The address is not allowed, or the image could not be downloaded; one sentence says why.
    """
    allowed = set(hosts)
    ends = time.monotonic() + timeout
    for _ in range(MAX_REDIRECTS + 1):
        target, name = _check_address(url, allowed)
        left = ends - time.monotonic()
        if left <= 0:
            raise EditDeclined("error", "The image of the answer could not be downloaded in time.")
        answer = _fetch_once(target, name, left)
        if isinstance(answer, bytes):
            return answer
        url = urljoin(url, answer)
    raise EditDeclined("error", f"The address of the image in the answer redirects more than {MAX_REDIRECTS} times.")


def _check_address(url: str, allowed: set[str]) -> tuple[str, str]:
    """The address with the host as an IP address, and the host's name; the connection is made to what was checked."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise EditDeclined("error", "The address of the image in the answer is none.") from None
    shown = "".join(character for character in host if character.isalnum() or character in ".-:")[:80]
    if not {host, f"{host}:{port}"} & allowed or parts.username or parts.password:
        raise EditDeclined(
            "error",
            f"The service gave an address at {shown!r} instead of an image. Name this host with --result-host if you "
            "trust it.",
        )
    named_address = _is_ip_address(host)
    if parts.scheme != "https" and not (named_address and parts.scheme == "http"):
        raise EditDeclined("error", f"The address of the image at {shown!r} is not https.")
    try:
        found = socket.getaddrinfo(host, port or 443, type=socket.SOCK_STREAM)
    except OSError:
        raise EditDeclined("error", f"The host {shown!r} of the image in the answer is not known.") from None
    addresses = [str(entry[4][0]) for entry in found]
    if not named_address and not all(ipaddress.ip_address(address).is_global for address in addresses):
        raise EditDeclined("error", f"The host {shown!r} of the image in the answer is inside of a private network.")
    address = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
    target = urlunsplit((parts.scheme, f"{address}:{port}" if port else address, parts.path, parts.query, ""))
    return target, host if port is None else f"{host}:{port}"


def _is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _fetch_once(target: str, name: str, timeout: float) -> bytes | str:
    """The body, or the address that it redirects to."""
    ends = time.monotonic() + timeout
    host = name.rsplit(":", 1)[0] if not name.startswith("[") else name
    try:
        with (
            httpx2.Client(timeout=timeout, follow_redirects=False, trust_env=False) as client,
            client.stream(
                "GET",
                target,
                headers={"Host": name, "Accept-Encoding": "identity"},
                extensions={"sni_hostname": host},
            ) as response,
        ):
            if response.is_redirect:
                return str(response.headers.get("location", ""))
            if response.status_code != 200:
                raise EditDeclined("error", f"The image of the answer cannot be downloaded: {response.status_code}.")
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise EditDeclined("error", "The image of the answer is compressed in transfer, so it is not read.")
            body = bytearray()
            for block in response.iter_raw():
                body += block
                if len(body) > MAX_IMAGE_BYTES:
                    raise EditDeclined("error", f"The image of the answer is larger than {MAX_IMAGE_BYTES:,} bytes.")
                if time.monotonic() > ends:
                    raise EditDeclined("error", "The image of the answer could not be downloaded in time.")
            return bytes(body)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
        raise EditDeclined("error", f"The image of the answer cannot be downloaded ({type(error).__name__}).") from None
