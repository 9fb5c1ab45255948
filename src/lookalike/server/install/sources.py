"""Read the machine's apt sources to find its Debian mirror."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^]]*)\]\s*)?(?P<uri>\S+)\s+(?P<rest>[^#]+)")


@dataclass(frozen=True)
class AptSource:
    """One package archive: an address and a suite."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str | None = None

    @property
    def is_debian(self) -> bool:
        """Whether it is a mirror of Debian's main archive.

        Others (such as Docker) also use the path /debian, each with its own keyring.
        """
        if "main" not in self.components or self.uri.startswith("cdrom:"):
            return False
        if "security" in self.suite or "security" in self.uri:
            return False
        if self.signed_by is None:
            return self.uri.rstrip("/").endswith("/debian")
        return PurePosixPath(self.signed_by).name.startswith("debian-archive-")


def parse_list(text: str) -> Iterator[AptSource]:
    """Yield the enabled binary sources of a `.list` file, one per line."""
    for line in text.splitlines():
        if match := ONE_LINE.match(line.strip()):
            options = re.search(r"signed-by=(\S+)", match["options"] or "", re.IGNORECASE)
            suite, *components = match["rest"].split()
            signed_by = options[1] if options else None
            yield AptSource(match["uri"], suite, tuple(components), signed_by)


def parse_deb822(text: str) -> Iterator[AptSource]:
    """Yield the enabled binary sources of a `.sources` file, in stanzas of fields."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in re.split(r"\n\s*\n", "\n".join(lines)):
        fields = dict[str, str]()
        name = ""
        for line in stanza.splitlines():
            if not line[:1].isspace():
                name, _, line = line.partition(":")
            key = name.strip().lower()
            fields[key] = f"{fields.get(key, '')} {line.strip()}".strip()
        if fields.get("enabled", "yes").lower() in {"no", "false", "0", "off", "without"}:
            continue
        if "deb" not in fields.get("types", "").split():
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                components = tuple(fields.get("components", "").split())
                yield AptSource(uri, suite, components, fields.get("signed-by") or None)


def read_sources(apt: Path) -> Iterator[AptSource]:
    """Yield the sources of an apt folder (/etc/apt), in apt's order."""
    folder = apt / "sources.list.d"
    for path in [apt / "sources.list", *sorted(folder.glob("*"))]:
        if path.suffix in {".list", ".sources"} and path.is_file():
            parse = parse_list if path.suffix == ".list" else parse_deb822
            yield from parse(path.read_text(errors="replace"))


def debian_mirror(apt: Path) -> str | None:
    """Return the address of the first Debian mirror in an apt folder's sources."""
    return next((source.uri for source in read_sources(apt) if source.is_debian), None)
