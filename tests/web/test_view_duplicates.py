"""Decisions on duplicates over HTTP, with real files."""

import re
import shutil

import pytest

import lookalike
from tests.web.doubles import NAME, make_doubles, post, search


@pytest.fixture(scope="module")
def folder(served, tmp_path_factory):
    """The files of the collection; what a test removes, it puts back."""
    return make_doubles(served, tmp_path_factory.mktemp("doubles") / "images")


def groups(text):
    """Return the ids of each group's images by the group's name."""
    parts = re.findall(
        r'<article class="card flush group" id="g-([^"]+)"(.*?)</article>', text, re.S
    )
    return {name: [int(each) for each in _ids(part)] for name, part in parts}


def _ids(part):
    return re.findall(r'name="shown" value="(\d+)"', part)


def token_in(text):
    return re.search(r'hx-post="/undo/([^"?]+)', text)[1]


def paths(served):
    """Return the stored paths by id."""
    with lookalike.connect(served.database_url) as db:
        return {item.id: item.path for item in db.collection(NAME).browse(k=100)}


def names(folder):
    return sorted(path.name for path in folder.rglob("*.jpg"))


def test_groups_show_sizes_dates_and_what_to_keep(api, served, folder):
    text = search(api)
    found = groups(text)
    stored = paths(served)
    shown = {frozenset(stored[each].name for each in ids) for ids in found.values()}
    assert shown == {
        frozenset({"cat.jpg", "cat again.jpg"}),
        frozenset({"bee.jpg", "bee-500.jpg", "bee-400.jpg"}),
    }
    assert "640 \u00d7 506" in text
    assert "400 \u00d7 316" in text
    assert text.count('type="checkbox" name="keep"') == 5
    assert len(re.findall(r'name="keep" value="\d+" checked', text)) == 2
    assert "2 groups among 6 images" in text


def test_only_what_is_not_kept_goes_and_comes_back(api, served, folder):
    before, stored = names(folder), paths(served)
    found = groups(search(api))
    name, ids = next((name, ids) for name, ids in found.items() if len(ids) == 3)
    keep = [each for each in ids if stored[each].name == "bee-400.jpg"]
    answer = post(api, name, "trash", keep=keep, shown=ids)
    assert "2 images moved to the trash" in answer.text
    assert names(folder) == [each for each in before if each not in ("bee.jpg", "bee-500.jpg")]
    assert set(paths(served)) == set(stored) - (set(ids) - set(keep))
    assert "1 group among 4 images" in api.get("/duplicates", params={"collection": NAME}).text
    assert post(api, name, "trash", keep=keep, shown=ids).status_code == 409

    undone = api.post(f"/undo/{token_in(answer.text)}")
    assert "2 images put back" in undone.text
    assert undone.headers["hx-trigger"] == "lookalike:undone"
    assert names(folder) == before
    assert paths(served) == stored
    assert groups(api.get("/duplicates", params={"collection": NAME}).text) == found


def test_two_of_three_can_stay(api, served, folder):
    stored = paths(served)
    name, ids = next((n, ids) for n, ids in groups(search(api)).items() if len(ids) == 3)
    keep = [each for each in ids if stored[each].name != "bee-500.jpg"]
    answer = post(api, name, "trash", keep=keep, shown=ids)
    assert "1 image moved" in answer.text
    assert "bee-500.jpg" not in names(folder)
    assert {"bee.jpg", "bee-400.jpg"} < set(names(folder))
    api.post(f"/undo/{token_in(answer.text)}")
    assert "bee-500.jpg" in names(folder)


def test_a_copy_of_a_duplicate_can_go_alone(api, served, folder):
    copy = folder / "copies" / "bee-500 again.jpg"
    shutil.copy(folder / "copies" / "bee-500.jpg", copy)
    with lookalike.connect(served.database_url) as db:
        images = db.collection(NAME)
        images.add(copy)
        (row,) = images.find(copy)
        try:
            name, ids = next((n, ids) for n, ids in groups(search(api)).items() if len(ids) == 4)
            for going in (row.id, ids[0]):
                keep = [each for each in ids if each != going]
                answer = post(api, name, "trash", keep=keep, shown=ids)
                assert "1 image moved" in answer.text, answer.text
                assert going not in paths(served)
                api.post(f"/undo/{token_in(answer.text)}")
                assert going in paths(served)
        finally:
            images.remove(row.id)
            copy.unlink()


def test_images_that_were_not_shown_stay(api, served, folder):
    name, ids = next((n, ids) for n, ids in groups(search(api)).items() if len(ids) == 3)
    answer = post(api, name, "trash", keep=ids[:1], shown=ids[:2])
    assert "1 image moved" in answer.text
    assert len(names(folder)) == 5
    api.post(f"/undo/{token_in(answer.text)}")


def test_what_cannot_be_meant(api, folder):
    name, ids = next(iter(groups(search(api)).items()))
    for keep in ([], ["x"], [999_999], ids):
        assert post(api, name, "trash", keep=keep, shown=ids).status_code == 422
    assert post(api, "0-none", "trash", keep=ids[:1], shown=ids).status_code == 404
    assert len(names(folder)) == 6


def test_a_changed_file_stays_and_the_reason_is_told(api, served, folder):
    stored = paths(served)
    name, ids = next((n, ids) for n, ids in groups(search(api)).items() if len(ids) == 2)
    before = {each: stored[each].read_bytes() for each in ids}
    for each in ids:
        stored[each].write_bytes(before[each] + b"changed")
    answer = post(api, name, "trash", keep=ids[:1], shown=ids)
    for each in ids:
        stored[each].write_bytes(before[each])
    assert answer.status_code == 200
    assert "stayed: " in answer.text
    assert "changed since" in answer.text
    assert len(names(folder)) == 6
    assert name in groups(api.get("/duplicates", params={"collection": NAME}).text)


def test_not_duplicates_are_remembered_until_undone(api, folder):
    name, ids = next((n, ids) for n, ids in groups(search(api)).items() if len(ids) == 2)
    answer = post(api, name, "distinct")
    assert "2 images marked as different" in answer.text
    assert ids not in groups(search(api)).values()
    api.post(f"/undo/{token_in(answer.text)}")
    assert sorted(ids) in map(sorted, groups(search(api)).values())


def test_all_copies_at_once(api, served, folder):
    stored = paths(served)
    search(api)
    where = {"collection": NAME}
    answer = api.post("/duplicates/copies/trash-all", params=where)
    assert answer.status_code == 303
    text = api.get("/duplicates", params=where).text
    if events := text.partition('sse-connect="')[2].partition('"')[0]:
        assert "data: done" in api.get(events).text
        text = api.get("/duplicates", params=where).text
    assert "1 copy moved to the trash" in text
    assert len(names(folder)) == 5
    assert [len(ids) for ids in groups(text).values()] == [3]
    assert "1 image put back" in api.post(f"/undo/{token_in(text)}").text
    assert len(names(folder)) == 6
    assert paths(served) == stored


def test_odd_questions(api):
    assert api.get("/duplicates", params={"collection": "none"}).status_code == 404
    assert api.get("/duplicates", params={"tier": "x"}).status_code == 422
    bad = {"tier": "similar", "min_similarity": "x"}
    assert api.post("/duplicates/search", data=bad).status_code == 422


def test_a_token_that_only_reads_decides_nothing(served, api, folder):
    name, ids = next(iter(groups(search(api)).items()))
    with served.client(token=served.read_token) as reader:
        assert name in reader.get("/duplicates", params={"collection": NAME}).text
        for what in ("trash", "distinct"):
            assert post(reader, name, what, keep=ids[:1], shown=ids).status_code == 403
        assert reader.post("/duplicates/search").status_code == 403
    assert len(names(folder)) == 6
