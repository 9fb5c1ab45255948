"""What the two pictures' files are to one another, and how results are told."""

CATS = {
    "deep/cat.jpg": "identical",
    "cat-small.jpg": "near-duplicate",
    "cat-turned.png": "near-duplicate",
}


def by_name(groups, folder):
    return {
        str(group.keep.path.relative_to(folder)): {
            str(image.path.relative_to(folder)): image.tier for image in group.duplicates
        }
        for group in groups
    }


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def asdict_(report):
    """What a report tells, without what undoes it."""
    return {name: getattr(report, name) for name in report.__slots__ if name != "taken"}
