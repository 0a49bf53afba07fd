"""The pinned upstream packages: what is downloaded to build the atlas, and how it is checked."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from var_spaces.errors import VarSpacesError


@dataclass(frozen=True)
class Package:
    """One npm package, pinned by version and by the SHA-256 of its tarball."""

    name: str
    version: str
    sha256: str

    @property
    def tarball(self) -> str:
        """File name that ``npm pack`` gives the package."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"


def _icons(name: str, version: str, sha256: str) -> Package:
    return Package(f"@iconify-json/{name}", version, sha256)


SHIPPED_SETS: dict[str, Package] = {
    "noto": _icons(
        "noto", "1.2.9", "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad"
    ),
    "noto-v1": _icons(
        "noto-v1", "1.2.5", "2bf62c26c2c2884aa99e90aec942cdaee17a5921f05690694f4978ad4b017c37"
    ),
    "fluent-emoji": _icons(
        "fluent-emoji", "1.2.7", "8044210dbf11e016d4de85f15d01a243423bd832457e7e2491df1b751c0e272b"
    ),
    "fluent-emoji-flat": _icons(
        "fluent-emoji-flat",
        "1.2.6",
        "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175",
    ),
    "fluent-emoji-high-contrast": _icons(
        "fluent-emoji-high-contrast",
        "1.2.6",
        "0b92d48c90d2200bd499e3cdd09a127ca6a8c8ddefd34c35eb5a1e4994012ae0",
    ),
    "twemoji": _icons(
        "twemoji", "1.2.5", "19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7"
    ),
    "fxemoji": _icons(
        "fxemoji", "1.2.2", "f3e72b3c59d05e1db03b7e308d55c0d05bd7ba3f625a90da1b79313c12858eef"
    ),
}

# Read only to decide which concepts are common enough; their artwork is never rendered or shipped.
COUNTED_SETS: dict[str, Package] = {
    "emojione": _icons(
        "emojione", "1.2.3", "26a14f44284407e8bcde91799388dca2bfd91dbcd55a97f425524a1c5b73610e"
    ),
    "emojione-monotone": _icons(
        "emojione-monotone",
        "1.2.1",
        "40b90004bafb406b59266155ef9b7e1dd67bf2947fc8db8d07388776f4d0d04e",
    ),
}

NAMES = Package(
    "emojibase-data", "17.0.0", "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a"
)
KEYWORDS = Package(
    "emojilib", "4.0.3", "7f9a6b43cff31d18985b7d65d11faba5bd971cbcc60020cf6d09322fbaaaf303"
)


def all_packages() -> list[Package]:
    """Every package the build reads, in a fixed order."""
    return [*SHIPPED_SETS.values(), *COUNTED_SETS.values(), NAMES, KEYWORDS]


def fetch(package: Package, cache: Path, say: Callable[[str], None]) -> Path:
    """Return the verified tarball of ``package`` in ``cache``, downloading it when absent.

    Raises:
        VarSpacesError: npm is missing, the download failed, or the content is not the pinned one.
    """
    path = cache / package.tarball
    if not path.exists():
        say(f"downloading {package.name} {package.version}")
        _npm_pack(package, cache)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != package.sha256:
        raise VarSpacesError(
            f"{path.name} has SHA-256 {digest[:12]}..., expected {package.sha256[:12]}...: "
            "delete the file and run again; if it repeats, the published package was changed."
        )
    return path


def _npm_pack(package: Package, cache: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise VarSpacesError(
            f"npm was not found, and {package.tarball} is not in the cache folder: install "
            "Node.js, or put the tarball there and name the folder with --cache."
        )
    command = [npm, "pack", "--silent", f"{package.name}@{package.version}"]
    result = subprocess.run(command, cwd=cache, capture_output=True, text=True, check=False)
    if result.returncode != 0 or not (cache / package.tarball).exists():
        reason = (result.stderr.strip().splitlines() or ["no reason given"])[0]
        raise VarSpacesError(
            f"npm could not download {package.name}@{package.version} ({reason}): check the "
            "network and the npm registry setting, or fill the folder given by --cache."
        )


def read_json(tarball: Path, member: str) -> object:
    """Parse ``package/<member>`` of an npm tarball without unpacking it."""
    with tarfile.open(tarball) as archive:
        try:
            stream = archive.extractfile(f"package/{member}")
        except KeyError:
            stream = None
        if stream is None:
            raise VarSpacesError(f"{tarball.name} holds no file {member}.")
        return json.load(stream)
