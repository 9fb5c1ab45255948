"""Attributes that are dropped, and that become numbers again."""

import json
import threading

import pytest

import lookalike
from lookalike import InputError
from lookalike.attributes.files import rows_of
from lookalike.attributes.store import update_attributes
from lookalike.dialects import Attribute, Statement, attribute_index
from tests.collection.albums import everything
from tests.search.shops import ANY, url_of

pytestmark = pytest.mark.capability("attributes")


@pytest.fixture
def own(engine):
    own = engine.collection("own", dim=2)
    own.add_embeddings(list("abcd"), [[1, i] for i in range(4)])
    return own


def stored(db):
    rows = db.rows("SELECT image_name, attributes FROM own ORDER BY id")[1]
    return {name: json.loads(text) if text else None for name, text in rows}


def noted(db):
    return db.rows("SELECT name, kind FROM lookalike_attributes WHERE collection = 'own'")[1]


def kinds(own):
    return {each.name: (each.kind, each.rows) for each in own.attributes.list()}


# Drop.


def test_a_dropped_attribute_is_gone_and_nothing_else(engine, own):
    other = engine.collection("other", dim=2)
    other.add_embeddings(["a"], [[1, 1]])
    for collection in (own, other):
        collection.attributes.set([{"path": "a", "price": 5, "brand": "acme", "prices": [1]}])
    own.attributes.set([{"path": "b", "price": "5 EUR"}, {"path": "c", "brand": "other"}])
    can_index = "text" not in engine.dialect.unindexed_kinds
    if can_index:
        own.attributes.index("brand")
    before = everything(engine)
    if can_index:
        own.attributes.index("price")
        assert everything(engine) != before
    assert own.attributes.drop("price", dry_run=True) == 2
    assert own.attributes.drop("price") == 2
    assert stored(engine) == {
        "a": {"brand": "acme", "prices": ["1"]},
        "b": {},
        "c": {"brand": "other"},
        "d": None,
    }
    assert noted(engine) == [("brand", "text"), ("prices", "list")]
    after = everything(engine)
    assert after["own"][0] == before["own"][0]  # the index of brand is left, that of price is not
    assert {name: rows for name, rows in after.items() if name not in changed} == {
        name: rows for name, rows in before.items() if name not in changed
    }
    with pytest.raises(InputError, match="'own' has no attribute 'price' .did you mean 'prices'?"):
        own.search(ANY, where="price<9")
    with pytest.raises(InputError, match="did you mean 'prices'?"):
        own.attributes.drop("price")
    own.attributes.set([{"path": "a", "price": "x"}])
    assert kinds(own)["price"] == ("text", 1)


changed = {"own", "lookalike_attributes"}


def test_what_another_program_stored_is_dropped(engine, own):
    own.attributes.set([{"path": "a", "brand": "acme"}])
    engine.rows('UPDATE own SET attributes = \'{"theirs": 1, "odd": {"x": 1}}\' WHERE id = 2')
    assert own.attributes.drop("theirs") == 1
    assert stored(engine)["b"] == {"odd": {"x": 1}}


def test_a_column_of_the_users_own_is_never_dropped(engine, own):
    engine.rows("ALTER TABLE own ADD price INT")
    own.attributes.set([{"path": "a", "price": 5, "brand": "acme"}])
    before = everything(engine)
    message = (
        "price is a column of your own in table 'own': remove it yourself with ALTER TABLE own"
    )
    for name in ("price", "PRICE", "path", "image_name", "modified", "id"):
        told = message if "ri" in name.lower() else "has no attribute"
        with pytest.raises(InputError, match=told):
            own.attributes.drop(name)
    assert everything(engine) == before


def test_many_rows_are_dropped_in_one_transaction(engine, monkeypatch):
    own = engine.collection("own", dim=2)
    rows = [{"n": i, "kept": i} for i in range(2500)]
    own.upsert([[1, i] for i in range(2500)], attributes=rows)
    seen = []
    monkeypatch.setattr(engine.connection, "_tracer", seen.append)
    assert own.attributes.drop("n") == 2500
    monkeypatch.undo()
    assert sum("JSON_REMOVE" in statement.sql for statement in seen) == 3
    assert all(each == {"kept": i} for i, each in enumerate(stored_in_order(engine)))


def stored_in_order(db):
    return [json.loads(row[0]) for row in db.rows("SELECT attributes FROM own ORDER BY id")[1]]


# Concurrent writers.


def waits(db, call):
    """Run a call in a thread until it waits for a row's lock; return the thread."""
    thread = threading.Thread(target=call)
    thread.start()
    waiting = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
    for _ in range(100):
        thread.join(0.15)  # the server looks anew only every 100 ms
        if db.rows(waiting)[1][0][0]:
            return thread
        assert thread.is_alive(), "it did not wait"
    raise AssertionError("it never waited")


@pytest.mark.parametrize("kind", ["number", "text"])
def test_a_drop_waits_for_a_writer_and_drops_what_it_stored(db, kind):
    own = db.collection("own", dim=2)
    own.add_embeddings(["a", "b"], [[1, 1], [1, 2]])
    own.attributes.set([{"path": "a", "price": 1}])
    dropped = []
    value = 2 if kind == "number" else "two"
    with (
        lookalike.connect(url_of(db)) as other,
        update_attributes(
            own._state.table.on(other.connection), rows_of([{"price": value, "brand": "x"}])
        ) as write,
    ):
        write([2])
        thread = waits(db, lambda: dropped.append(own.attributes.drop("price")))
    thread.join()
    assert dropped == [2]
    assert stored(db) == {"a": {}, "b": {"brand": "x"}}
    assert noted(db) == [("brand", "text")]


def test_a_writer_waits_for_a_drop_and_what_it_stores_stays(db):
    own = db.collection("own", dim=2)
    own.add_embeddings(["a", "b"], [[1, 1], [1, 2]])
    own.attributes.set([{"path": "a", "price": 1}])
    with lookalike.connect(url_of(db)) as other:
        table, connection = own._state.table, other.connection
        attribute = Attribute("price", frozenset({"number"}), False)
        with connection.transaction():  # as `drop` does
            connection.execute(db.dialect.forget_attribute(table, "price"))
            thread = waits(db, lambda: own.attributes.set([{"path": "b", "price": "two"}]))
            connection.execute(db.dialect.remove_attribute(table, attribute, [1]))
    thread.join()
    assert stored(db) == {"a": {}, "b": {"price": "two"}}
    assert noted(db) == [("price", "text")]
    assert [match.image_name for match in own.search(ANY, where="price=two")] == ["b"]


def test_writers_and_drops_at_once_leave_no_unknown_value(db):
    own = db.collection("own", dim=2)
    own.add_embeddings([f"{i}" for i in range(40)], [[1, i] for i in range(40)])
    errors = []

    def write(first):
        try:
            for turn in range(15):
                value = turn if turn % 2 else f"{turn} EUR"
                rows = [{"path": f"{first + i}", "price": value, "other": turn} for i in range(10)]
                own.attributes.set(rows)
        except lookalike.LookalikeError as error:
            errors.append(error)

    def drop():
        for _ in range(15):
            try:
                own.attributes.drop("price")
            except InputError:  # nobody has stored it since
                continue
            except lookalike.LookalikeError as error:
                errors.append(error)

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 10, 20)]
    threads += [threading.Thread(target=drop)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    rows = db.rows("SELECT DISTINCT JSON_TYPE(JSON_EXTRACT(attributes, '$.price')) FROM own")[1]
    types = {type_ for (type_,) in rows if type_}
    known = {kind for name, kind in noted(db) if name == "price"}
    assert {{"INTEGER": "number", "STRING": "text"}[type_] for type_ in types} <= known
    assert all(stored(db)[str(i)]["other"] == 14 for i in range(30))


def test_an_index_of_a_dropped_attribute_goes_first(db, monkeypatch):
    """So that a drop that is killed is finished by the next: the attribute is still known."""
    own = db.collection("own", dim=2)
    own.add_embeddings(["a"], [[1, 1]])
    own.attributes.set([{"path": "a", "price": 1, "tags": ["x"]}])
    own.attributes.index("price")
    own.attributes.index("tags")
    seen: list[Statement] = []
    monkeypatch.setattr(db.connection, "_tracer", seen.append)
    own.attributes.drop("price")
    changes = [s.sql.split()[0] for s in seen if s.sql.split()[0] in ("DROP", "DELETE", "UPDATE")]
    assert changes == ["DROP", "DELETE", "UPDATE"]
    left = {row[2] for row in db.rows("SHOW INDEX FROM own")[1]}
    tags = Attribute("tags", frozenset({"list"}), False)
    assert left == {"PRIMARY", "image_name", attribute_index(tags, "list")}


# Numbers again.


def csv(folder, text):
    file = folder / "prices.csv"
    file.write_text(text)
    return file


def test_a_column_whose_cells_are_all_numbers_again_is_a_number(engine, own, tmp_path):
    def set_(text):
        return dict(own.attributes.set(csv(tmp_path, "path,price,code\n" + text)).kinds)

    assert set_("a,1.50,7\nb,20,8\nc,3,A1\n") == {"price": "number", "code": "text"}
    assert set_("a,1.50,7\nb,n/a,8\nc,3,A1\n") == {"price": "number/text", "code": "text"}
    assert kinds(own) == {"price": ("text", 3), "code": ("text", 3)}
    with pytest.raises(InputError, match="price:5: price is a number or text"):
        own.search(ANY, where={"price": (":", 5)})
    assert set_("a,1.50,7\nb,20,8\nc,3,A1\n") == {"price": "number", "code": "text"}
    assert noted(engine) == [("code", "text"), ("price", "number")]
    assert stored(engine)["a"] == {"price": 1.5, "code": "7"}
    with pytest.raises(InputError, match="price is a number; 'cheap' is not a number"):
        own.search(ANY, where="price<cheap")


def test_one_mended_cell_makes_its_column_a_number(engine, own, tmp_path):
    for first, mended in (("n/a", "4"), ("n/a", "")):
        own.attributes.set(csv(tmp_path, "path,price\na,5\nb,20\nc,3\nd,6\n"))
        own.attributes.set(csv(tmp_path, f"path,price\na,1.50\nb,20\nc,{first}\nd,-1e3\n"))
        assert stored(engine)["a"] == {"price": "1.50"}
        own.attributes.set(csv(tmp_path, f"path,price\nc,{mended}\n"))
        assert noted(engine) == [("price", "number")]
        expected = {"a": {"price": 1.5}, "b": {"price": 20}, "d": {"price": -1000.0}}
        expected["c"] = {"price": 4} if mended else {}
        assert stored(engine) == expected
        assert isinstance(stored(engine)["b"]["price"], int)
        assert [m.image_name for m in own.search(ANY, where="price<2")] == ["d", "a"]


@pytest.mark.parametrize("rest", ["00123", "12 EUR", "\u0663", "5\n", ""])
def test_a_text_that_is_no_number_keeps_its_column_a_text(engine, own, tmp_path, rest):
    own.attributes.set([{"path": "a", "price": rest}, {"path": "b", "price": "5"}])
    report = own.attributes.set(csv(tmp_path, "path,price\nc,7\n"))
    assert report.kinds == {"price": "number/text"}
    assert noted(engine) == [("price", "number"), ("price", "text")]
    assert stored(engine) == {
        "a": {"price": rest},
        "b": {"price": "5"},
        "c": {"price": 7},
        "d": None,
    }


def test_a_text_on_purpose_stays_one(engine, own):
    """Rows and JSON lines say themselves what is a text."""
    own.attributes.set([{"path": "a", "size": "40"}, {"path": "b", "size": 41}])
    own.attributes.set([{"path": "c", "size": 42}])
    assert stored(engine)["a"] == {"size": "40"} and kinds(own)["size"] == ("number/text", 3)
    own.attributes.set([{"path": "a", "size": 40}])
    assert kinds(own)["size"] == ("number", 3) and noted(engine) == [("size", "number")]
    own.attributes.set([{"path": "a", "size": ["40"]}])
    own.attributes.set([{"path": "b", "size": True}])
    assert kinds(own)["size"] == ("boolean/list/number", 3)
    own.attributes.set([{"path": "a", "size": 40}, {"path": "b", "size": None}])
    assert kinds(own)["size"] == ("number", 2) and noted(engine) == [("size", "number")]


def test_attributes_are_updated_by_id_all_or_none(db):
    shapes = db.collection("shapes", dim=2)
    ids = shapes.upsert([[1, 0], [0, 1]], attributes=[{"price": 5, "old": True}, {"price": 7}])
    assert shapes.attributes.update({key: {"tags": ["new"], "old": None} for key in ids}) == 2
    expected = {1: {"price": 5, "tags": ["new"]}, 2: {"price": 7, "tags": ["new"]}}
    assert shapes.attributes.get(ids) == expected
    for changes, told in [
        ({1: {"price": 9}, 3: {"price": 9}}, "id 3"),
        ({1: {"price": 9}, 2: {"embedding": 1}}, "own column"),
        ({1: {"price": float("inf")}}, "price"),
        ({"1": {"price": 9}}, "an id"),
    ]:
        with pytest.raises(InputError, match=told):
            shapes.attributes.update(changes)
    assert shapes.attributes.get(ids) == expected
