"""Another image of a group as the one to keep."""

from pathlib import Path

import pytest

from lookalike import DuplicateGroup, DuplicateImage, InputError


def image(row_id, content, similarity=1.0, tier=None, copy_of=None):
    content = content and content * 32
    path = Path(f"/{row_id}.jpg")
    return DuplicateImage(
        row_id, f"{row_id}", path, content, 5, 5, 5, similarity, tier, copy_of=copy_of
    )


GROUP = DuplicateGroup(
    image(1, b"a"),
    (
        image(2, b"a", 1.0, "identical"),
        image(3, b"b", 0.97, "near-duplicate"),
        image(4, b"b", 0.97, "identical", copy_of=3),
        image(5, b"c", 0.99, "near-duplicate"),
        image(6, b"d", 0.95, "similar"),
    ),
)


def seen(group):
    return {each.id: (each.tier, each.similarity, each.copy_of) for each in group.duplicates}


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        (
            2,  # the same bytes as before
            {
                1: ("identical", 1.0, None),
                3: ("near-duplicate", 0.97, None),
                4: ("identical", 0.97, 3),
                5: ("near-duplicate", 0.99, None),
                6: ("similar", 0.95, None),
            },
        ),
        (
            4,  # a copy of a near-duplicate
            {
                1: ("near-duplicate", 0.97, None),
                2: ("identical", 0.97, 1),
                3: ("identical", 1.0, None),
                5: ("near-duplicate", 0.97, None),
                6: ("similar", 0.95, None),
            },
        ),
        (
            6,  # a similar one
            {
                1: ("similar", 0.95, None),
                2: ("identical", 0.95, 1),
                3: ("similar", 0.95, None),
                4: ("identical", 0.95, 3),
                5: ("similar", 0.95, None),
            },
        ),
    ],
)
def test_the_others_are_told_as_they_are_known(keep, expected):
    group = GROUP.keeping(keep)
    assert (group.keep.id, group.keep.tier, group.keep.copy_of) == (keep, None, None)
    assert group.keep.similarity == 1.0
    assert seen(group) == expected
    assert group.number == keep and group.name != GROUP.name


def test_the_same_one_changes_nothing():
    assert GROUP.keeping(1) is GROUP
    with pytest.raises(InputError, match="image 9 is not in the group 1-"):
        GROUP.keeping(9)


def test_the_chosen_one_stays_when_the_others_go(collection, folder):
    (group,) = (each for each in collection.duplicates.find() if "cat" in each.keep.image_name)
    small = next(each.id for each in group.duplicates if each.image_name == "cat-small.jpg")
    report = collection.duplicates.delete(
        [group.keeping(small)], tier="near-duplicate", permanently=True
    )
    assert report.failed == () and len(report.removed) == 3
    assert sorted(path.name for path in folder.rglob("cat*")) == ["cat-small.jpg"]
