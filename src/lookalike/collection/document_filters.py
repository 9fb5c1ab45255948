"""Conditions on the metadata of documents, of which no row may have what they name."""

from collections.abc import Iterable, Sequence

from lookalike.attributes.catalog import built_in_names, known_attributes
from lookalike.attributes.conditions import AnyOf, Condition, Test, Where, conditions
from lookalike.attributes.filters import find
from lookalike.collection.document_rows import attribute_name
from lookalike.database.table import VectorTable
from lookalike.dialects import Attribute


def known_conditions(table: VectorTable, where: Where | None) -> tuple[Test, ...] | None:
    """Return the conditions on what the rows have; None if no row can pass.

    A row has no value of an unknown name: only `is missing` holds for it.
    """
    asked = conditions(where)
    if not asked:
        return ()
    known = known_attributes(table)
    names = {attribute.name for attribute in known}
    known += [each for each in built_in_names(table) if each.name not in names]
    return _kept(asked, known)


def _kept(tests: Iterable[Test], known: Sequence[Attribute]) -> tuple[Test, ...] | None:
    """Return the conditions without those that always hold; None if one never does."""
    kept: list[Test] = []
    for test in tests:
        if isinstance(test, AnyOf):
            groups = [_kept(group, known) for group in test.alternatives]
            possible = [group for group in groups if group is not None]
            if not possible:
                return None
            if all(possible):  # an empty one always holds
                kept.append(AnyOf(*possible))
        elif (attribute := _attribute(test.name, known)) is None:
            if not (test.is_about_presence and test.operator == "="):
                return None
        elif test.value == "" and "text" not in attribute.kinds:
            if test.operator != "!=":
                return None
            kept.append(Condition(attribute.name, "!=", None))
        else:
            kept.append(Condition(attribute.name, test.operator, test.value))
    return tuple(kept)


def _attribute(name: str, known: Sequence[Attribute]) -> Attribute | None:
    return find(attribute_name(name), known) or find(name, known)
