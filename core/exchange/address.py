"""The address of a tracking server: checked, and told without what is secret in it."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from core.errors import UserError

SCHEMES = ("http", "https", "file", "sqlite", "postgresql", "mysql", "mssql", "databricks")
LONGEST = 2048
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
HIDDEN = "***"
FORM = "the address of an MLflow server, such as http://127.0.0.1:5000, or file: and a folder"


def check(address: str) -> str:
    """The address; raises UserError `bad_address`, which does not repeat what is secret."""
    if len(address) > LONGEST or any(not each.isprintable() or each == " " for each in address):
        raise UserError("bad_address", "address", "an address with characters that none has", FORM, "Write it anew.")
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        raise UserError("bad_address", "address", "an address with a wrong port", FORM, "Write it anew.") from None
    scheme = parts.scheme.partition("+")[0]
    if address != "databricks" and (scheme not in SCHEMES or (scheme.startswith("http") and not parts.hostname)):
        raise UserError("bad_address", "address", public(address), FORM, "Begin with http:// or https://.")
    if _is_part_of_a_path(scheme, parts.path):
        fix = "Write the whole path, such as file:/home/me/mlruns or sqlite:////home/me/mlflow.db."
        raise UserError("bad_address", "address", public(address), "an address with a whole path", fix)
    if port == 0:
        raise UserError("bad_address", "address", public(address), FORM, "Leave out the port, or name the right one.")
    return address


def _is_part_of_a_path(scheme: str, path: str) -> bool:
    """Whether a file or database would be sought in the program's own folder, which nobody means."""
    whole = "//" if scheme == "sqlite" else "/"  # after three slashes of sqlite's a path is relative
    return scheme in ("file", "sqlite") and not path.startswith(whole)


def public(address: str) -> str:
    """Scheme, host, port and path: without user, password, query and fragment."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", f":{parts.port}" if parts.port else ""
    except ValueError:
        return HIDDEN
    if not parts.netloc and "@" in address:
        return HIDDEN
    if not parts.scheme:
        return address.partition("?")[0]
    if not parts.netloc:
        return f"{parts.scheme}:{'//' if parts.path.startswith('/') else ''}{parts.path}"
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def cleaned(message: str, address: str) -> str:
    """A foreign message without addresses, and without what is secret in `address`."""
    text = URL.sub(lambda found: public(found[0].rstrip(".,;:)'\"")), message)
    for secret in sorted(_secrets(address), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _secrets(address: str) -> set[str]:
    """User, password, query and fragment as they are written, and as they are meant."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return {address}
    written = {parts.username, parts.password, parts.query, parts.fragment, parts.netloc.rpartition("@")[0]}
    written |= {pair.partition("=")[2] for pair in parts.query.split("&")}
    found = {each for each in written if each}
    return found | {unquote(each) for each in found}
