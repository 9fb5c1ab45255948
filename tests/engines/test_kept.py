"""What is kept beside embeddings, on every engine: attributes, decisions, files, thresholds."""

import random
import shutil

import numpy as np
import pytest

from lookalike import InputError, ValueCount
from tests.oracle import nearest, similarities

DIM = 8


@pytest.fixture
def own(engine):
    vectors = np.random.default_rng(2).standard_normal((60, DIM)).astype(np.float32)
    own = engine.collection("own", dim=DIM)
    values = [{"price": i / 4, "kind": "abc"[i % 3], "sale": i % 2 == 0} for i in range(60)]
    for i in range(0, 60, 5):
        values[i]["tags"] = ["x", f"t{i}"]
    own.upsert(vectors, names=[f"v{i}" for i in range(60)], attributes=values)
    return own


@pytest.mark.capability("attributes")
def test_attributes_are_kept_listed_counted_and_dropped(own):
    assert own.attributes.get([1, 2]) == {
        1: {"price": 0, "kind": "a", "sale": True, "tags": ["x", "t0"]},
        2: {"price": 0.25, "kind": "b", "sale": False},
    }
    assert {each.name: (each.kind, each.rows) for each in own.attributes.list()} == {
        "kind": ("text", 60),
        "price": ("number", 60),
        "sale": ("boolean", 60),
        "tags": ("list", 12),
    }
    counts = own.attributes.counts
    assert counts("kind") == [ValueCount(each, 20) for each in "abc"]
    assert {(each.value, each.rows) for each in counts("sale")} == {(True, 30), (False, 30)}
    assert counts("tags", limit=1) == [ValueCount("x", 12)]
    assert counts("kind", where="price<1") == [
        ValueCount("a", 2),
        ValueCount("b", 1),
        ValueCount("c", 1),
    ]
    assert own.attributes.update({1: {"kind": "neu", "price": None}, 60: {"note": "é'\\\n"}}) == 2
    assert own.attributes.get([1, 60])[60]["note"] == "é'\\\n"
    assert own.attributes.get([1])[1] == {"kind": "neu", "sale": True, "tags": ["x", "t0"]}
    assert own.attributes.drop("kind") == 60
    with pytest.raises(InputError, match="no attribute 'kind'"):
        own.count("kind=a")


@pytest.mark.capability("attributes")
def test_attributes_are_set_and_removed_in_any_mixture(engine):
    own, chance = engine.collection("own", dim=2), random.Random(1)

    def some(most):
        values = [1, "x", ["y"], 1.5, True, "two words"]
        return {
            key: chance.choice(values) for key in chance.sample("abcdef", chance.randint(0, most))
        }

    rows = {row_id: some(6) for row_id in range(1, 301)}
    own.upsert(np.ones((300, 2)), attributes=list(rows.values()))
    changes = {
        row_id: {key: None if chance.random() < 0.5 else value for key, value in some(4).items()}
        for row_id in rows
    }
    own.attributes.update(changes)
    for row_id, change in changes.items():
        rows[row_id] = {k: v for k, v in (rows[row_id] | change).items() if v is not None}
    assert own.attributes.get(rows) == rows


@pytest.mark.capability("attribute index")
def test_attributes_are_indexed_or_refused(own, engine, refused):
    kinds = {"price": "number", "kind": "text", "tags": "list"}
    for name, kind in kinds.items():
        if kind in engine.dialect.unindexed_kinds:
            is_part = not set(kinds.values()) <= engine.dialect.unindexed_kinds
            with refused(engine, f"cannot index .*, as '{name}' has", is_part=is_part):
                own.attributes.index(name)
        else:
            assert own.attributes.index(name) is True
            assert own.attributes.index(name) is False
    for where, expected in (("price=7.5", [31]), ("kind=b and price>14", [59]), ("tags:t5", [6])):
        assert [item.id for item in own.browse(where=where)] == expected


@pytest.mark.capability("removal")
def test_rows_are_taken_out_and_put_back_as_they_were(own, engine):
    before = own.get(range(1, 61), include=["attributes", "embedding"])
    engine.rows("ALTER TABLE own ADD stock INT, ADD ratio FLOAT, ADD note VARCHAR(40)")
    engine.rows("UPDATE own SET stock = id * 3, ratio = 16777217 / (id + 2), note = 'é''%s'")
    columns = "SELECT id, image_name, stock, CAST(ratio AS DOUBLE), note FROM own ORDER BY id"
    rows = engine.rows(columns)[1]
    own.duplicates.mark_distinct(3, 4, 9)
    removed = own.take_out(3, "v3", 60)
    assert removed.ids == (3, 4, 60) and own.count() == 57
    assert own.get([3, 4, 60]) == []
    query = before[2].embedding
    assert own.search(query, k=1)[0].id != 3
    own.upsert([query], ids=[60])  # its id is in use meanwhile
    report = own.put_back(removed)
    assert report.restored == (3, 4) and report.failed == {60: "its id is in use"}
    own.remove(60)
    assert own.put_back(removed).restored == (60,)
    assert engine.rows(columns)[1] == rows
    after = own.get(range(1, 61), include=["attributes", "embedding"])
    assert all(
        now.attributes.items() >= was.attributes.items()
        for now, was in zip(after, before, strict=True)
    )
    assert all(map(np.array_equal, *([each.embedding for each in it] for it in (after, before))))
    assert own.search(query, k=1)[0].id == 3
    assert own.duplicates.unmark_distinct(3, 9) == 1


@pytest.mark.capability("removal")
def test_files_come_back_with_their_rows(engine, photos, tmp_path, embedded_model):
    shutil.copy(photos / "cat.jpg", tmp_path)
    images = engine.collection("photos", model=embedded_model)
    images.add(tmp_path, facts=True)
    files = images.files([1])
    removed = images.take_out(1)
    assert images.files([1]) == {}
    assert images.put_back(removed).restored == (1,)
    assert images.files([1]) == files
    assert images.add(tmp_path).unchanged == 1


@pytest.mark.capability("duplicates")
def test_duplicates_are_found_and_decided_on(engine, photos, tmp_path, embedded_model):
    for name in ("cat.jpg", "cat-mirrored.jpg", "bee.jpg", "rocket.jpg"):
        shutil.copy(photos / name, tmp_path)
    shutil.copy(photos / "cat.jpg", tmp_path / "cat again.jpg")
    images = engine.collection("photos", model=embedded_model)
    images.add(tmp_path)
    (group,) = images.duplicates.find(tier="identical")
    assert {group.keep.image_name, *(each.image_name for each in group.duplicates)} == {
        "cat.jpg",
        "cat again.jpg",
    }
    images.duplicates.mark_distinct("cat.jpg", "cat again.jpg")
    assert images.duplicates.find(tier="identical") == []
    assert images.duplicates.unmark_distinct("cat.jpg", "cat again.jpg") == 1
    assert len(images.duplicates.find(tier="identical")) == 1


@pytest.mark.capability("screening")
def test_images_are_screened_by_a_stored_threshold(engine, photos, embedded_model):
    blocked = engine.collection("blocked", model=embedded_model)
    names = ["cat.jpg", "bee.jpg"]
    blocked.add(*(photos / name for name in names))
    images = {name: blocked.search(photos / name, k=1)[0].similarity for name in names}
    assert min(images.values()) > 0.99
    found = blocked.search(photos / "cat-crop.jpg", k=1, exclude_self=False)[0]
    for least, is_clean in ((found.similarity - 0.01, False), (found.similarity + 0.01, True)):
        blocked.threshold.set(least)
        assert blocked.threshold.get() == least
        (screened,) = blocked.screen([photos / "cat-crop.jpg"])
        assert screened.is_clean == is_clean
    assert engine.collection("blocked").threshold.get() == least


@pytest.mark.capability("collections")
def test_collections_are_listed_renamed_and_deleted(own, engine):
    own.threshold.set(0.6)
    vectors = np.array([item.embedding for item in own.get(range(1, 61))])
    assert engine.collections() == ["own"]
    (status,) = engine.status()
    assert (status.name, status.rows, status.dim, status.metric) == ("own", 60, DIM, "cosine")
    renamed = engine.rename_collection("own", "neu")
    assert engine.collections() == ["neu"] and renamed.threshold.get() == 0.6
    found = renamed.search(vectors[8], k=60)
    assert [match.id for match in found] == nearest(vectors, vectors[8])
    best = similarities(vectors, vectors[8]).max()
    assert found[0].similarity == pytest.approx(best, abs=1e-6)
    with pytest.raises(InputError, match="no collection 'own'"):
        engine.collection("own").search(1)
    engine.rows("CREATE TABLE other (id INT)")
    removal = engine.delete_collection("neu")
    assert removal.rows == 60 and engine.collections() == []
    left = {row[0] for row in engine.rows("SHOW TABLES")[1]}
    assert "other" in left and not {name for name in left if name.startswith(("own", "neu"))}
