"""Some of the groups of duplicates, by the names under which they were shown."""

from collections.abc import Iterable, Sequence

from lookalike.core.errors import InputError
from lookalike.core.types import DuplicateGroup

_DIGITS = len(str(2**64))


def chosen_groups(
    groups: Sequence[DuplicateGroup], names: Iterable[int | str]
) -> list[DuplicateGroup]:
    """Return the groups of these names or numbers, in their order.

    Raises InputError for a name of no group, and of one that has changed since it was shown.
    """
    by_number = {group.number: group for group in groups}
    wanted: set[int] = set()
    for name in map(str, names):
        number = name.partition("-")[0]
        is_number = number.isdecimal() and len(number) <= _DIGITS
        group = by_number.get(int(number)) if is_number else None
        if group is None:
            raise InputError(
                f"there is no group {name[:200]}: {len(groups):,} were searched; groups of a "
                "looser tier need that --tier, and other options make other groups"
            )
        if name not in (number, group.name) and not name.startswith(f"{group.name}-"):
            raise InputError(
                f"group {name[:200]} is not as it was shown: it is {group.name} now; look at it "
                "again"
            )
        wanted.add(group.number)
    return [group for group in groups if group.number in wanted]
