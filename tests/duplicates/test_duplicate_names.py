"""Names of groups: the same for the same group, and refused when anything of it has changed."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike import DuplicateGroup, DuplicateImage, InputError
from lookalike.duplicates.choice import chosen_groups


def image(row_id, tier=None, **facts):
    known = {
        "image_name": f"{row_id}.jpg",
        "path": Path(f"/a/{row_id}.jpg"),
        "content_hash": bytes([row_id]) * 32,
        "size": 100,
        "width": 10,
        "height": 10,
        "similarity": 1.0,
        **facts,
    }
    return DuplicateImage(id=row_id, tier=tier, **known)


NEAR = DuplicateGroup(image(7), (image(1, "identical"), image(2, "near-duplicate")))
SIMILAR = DuplicateGroup(image(8), (image(3, "similar"),))
BOTH = replace(NEAR, duplicates=(*NEAR.duplicates, image(4, "similar")))


def test_a_name_is_of_what_a_group_is():
    number, check = NEAR.name.split("-")
    assert number == "7" == str(NEAR.number) and len(check) == 4 and check.isalnum()
    # The order, and what is computed of the images, does not count.
    swapped = replace(NEAR, duplicates=NEAR.duplicates[::-1])
    assert swapped.name == NEAR.name
    assert replace(NEAR, keep=replace(NEAR.keep, similarity=0.5)).name == NEAR.name
    other = {"path": Path("/b/1.jpg"), "content_hash": bytes(32), "id": 9, "tier": "near-duplicate"}
    names = {
        replace(NEAR, **{part: changed}).name
        for name, value in other.items()
        for part, changed in (
            ("keep", replace(NEAR.keep, **{name: value})),
            ("duplicates", (replace(NEAR.duplicates[0], **{name: value}), NEAR.duplicates[1])),
        )
    }
    names |= {NEAR.name, replace(NEAR, duplicates=NEAR.duplicates[:1]).name}
    assert len(names) == 2 * len(other) + 2


def test_similar_images_beside_others_have_a_check_of_their_own():
    assert BOTH.name.startswith(f"{NEAR.name}-") and len(BOTH.name) == len(NEAR.name) + 5
    # What was shown with them is known without them; without them they were not shown.
    assert chosen_groups([NEAR, SIMILAR], [BOTH.name]) == [NEAR]
    with pytest.raises(InputError, match=f"it is {BOTH.name} now"):
        chosen_groups([BOTH], [NEAR.name])
    with pytest.raises(InputError, match="not as it was shown"):
        chosen_groups([NEAR], [f"7-{SIMILAR.name[2:]}"])


def test_groups_are_chosen_in_their_order_each_once():
    groups = [NEAR, SIMILAR]
    assert chosen_groups(groups, ["8", SIMILAR.name, 7]) == groups
    assert chosen_groups(groups, [8]) == [SIMILAR] and chosen_groups(groups, []) == []


@pytest.mark.parametrize("name", ["9", "", "-", "7 ", "-7", "7-", "7.0", "7-abcd", "9" * 5000, "²"])
def test_what_is_no_group_is_refused(name):
    with pytest.raises(InputError, match="there is no group|is not as it was shown"):
        chosen_groups([NEAR], [name])


def test_a_looser_search_gives_the_same_names(collection, folder, photos):
    """Also where a picture has more near-duplicates than a question brings neighbours."""
    others = np.random.default_rng(0).standard_normal((200, collection.dim))
    collection.add_embeddings(["other"] * 200, others)  # of fewer, all that are near are compared
    shutil.copy(photos / "cat-crop.jpg", folder)  # merely similar
    with Image.open(photos / "cat.jpg") as cat:
        for height in range(150, 290, 10):
            cat.resize((cat.width * height // 300, height)).save(folder / f"cat-{height}.jpg")
    collection.add(folder)
    near, similar = (
        collection.duplicates.find(tier=tier) for tier in ("near-duplicate", "similar")
    )
    strict = [
        replace(group, duplicates=tuple(i for i in group.duplicates if i.tier != "similar"))
        for group in similar
    ]
    assert {group.number: group for group in near} == {group.number: group for group in strict}
    assert max(len(group.duplicates) for group in near) == 3 + 14
    assert [group.name for group in near] != [group.name for group in similar]
    names = [group.name for group in similar]
    assert len(collection.duplicates.choose(near, *names)) == len(near) == 2


def test_the_folder_to_prefer_decides_before_the_rule(collection, folder, tmp_path):
    def kept(*folders, **options):
        groups = collection.duplicates.find(prefer=folders, **options)
        return {str(group.keep.path.relative_to(folder)) for group in groups}

    assert kept() == {"cat.jpg", "rocket.jpg"}
    for rule in ("best", "largest", "oldest"):
        assert kept(folder / "deep", keep=rule) == {"deep/cat.jpg", "rocket.jpg"}
    assert kept(folder, folder / "deep") == {"cat.jpg", "rocket.jpg"}
    assert kept(folder / "deep", folder) == {"deep/cat.jpg", "rocket.jpg"}
    (tmp_path / "link").symlink_to(folder / "deep")
    assert kept(tmp_path / "link") == {"deep/cat.jpg", "rocket.jpg"}
    (tmp_path / "deep").mkdir()
    (folder / "dee").mkdir()  # the beginning of another's name
    for wrong in (tmp_path / "deep", folder / "dee"):
        with pytest.raises(InputError, match="no image in it is stored"):
            kept(wrong)
    with pytest.raises(InputError, match="no such folder"):
        kept(folder / "cat.jpg")
