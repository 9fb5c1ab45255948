"""A photo archive: takes in folders, tells what is there twice, and sorts copies out.

    python examples/archive/archive.py ~/Pictures ~/Phone
    python examples/archive/archive.py ~/Pictures ~/Phone --move-to ~/Copies

Only files with the same bytes are moved; what merely looks alike is for you to decide: the report
shows it.
"""

import argparse
from collections import Counter
from pathlib import Path

import lookalike
from lookalike import Collection, DuplicateGroup


def take_in(archive: Collection, folders: list[Path]) -> None:
    """Add new and changed photos with what their files tell; repeat it at any time."""
    report = archive.add(*folders, facts=True)
    new = report.added + report.reused  # those with the bytes of a stored file
    print(f"{new} new, {report.unchanged} known, {len(report.failed)} unreadable")
    for failure in report.failed:
        print(f"  {failure}")


def tell_duplicates(archive: Collection, page: Path) -> list[DuplicateGroup]:
    """Write a page of the duplicates, and return them in groups, the best picture first."""
    groups = archive.duplicates.find(tier="near-duplicate", keep="best")
    tiers = Counter(image.tier for group in groups for image in group.duplicates)
    for tier, number in sorted(tiers.items()):
        print(f"{number} {tier}")
    if groups:
        print(f"Look at {archive.duplicates.report(page, groups)}")
    return groups


def sort_out(archive: Collection, groups: list[DuplicateGroup], folder: Path | None) -> None:
    """Move identical files to a folder; without one, tell only which those are."""
    report = archive.duplicates.delete(groups, move_to=folder, dry_run=folder is None)
    for removed in report.removed:
        print(f"{'moved' if folder else 'identical'}: {removed.path}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--move-to", type=Path)
    parser.add_argument("--report", type=Path, default=Path("duplicates.html"))
    given = parser.parse_args()
    with lookalike.connect() as db:
        archive = db.collection("archive", model="auto")
        take_in(archive, given.folders)
        sort_out(archive, tell_duplicates(archive, given.report), given.move_to)
        by_camera = archive.attributes.counts("camera") if has(archive, "camera") else []
        for count in by_camera:
            print(f"{count.rows} by {count.value}")


def has(archive: Collection, name: str) -> bool:
    """Whether any photo has an attribute."""
    return any(each.name == name for each in archive.attributes.list())


if __name__ == "__main__":
    main()
