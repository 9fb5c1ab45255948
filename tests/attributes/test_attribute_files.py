import datetime
import decimal
import json
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike import InputError, MissingExtra, read_attributes
from lookalike.attributes.files import kind_of


def read(tmp_path, text, name="products.csv"):
    file = tmp_path / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [(row.place, row.path, row.values) for row in read_attributes(file).rows]


def column(tmp_path, *cells, name="x"):
    text = f"path,{name}\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(cells))
    return [values[name] for _, _, values in read(tmp_path, text)]


def test_a_csv_file(tmp_path):
    text = (
        "path, brand ,price,code,sale,tags\n"
        "a.jpg,Acme,49.90,00123,true,summer|new | \n"
        "\n"
        '"b, c.jpg","Acme\n""Shoes""",5,42,FALSE,\n'
        "d.jpg,,,,,x\n"
    )
    assert read(tmp_path, text) == [
        (
            "line 2",
            "a.jpg",
            {
                "brand": "Acme",
                "price": 49.9,
                "code": "00123",
                "sale": True,
                "tags": ["summer", "new"],
            },
        ),
        (
            "line 4",
            "b, c.jpg",
            {"brand": 'Acme\n"Shoes"', "price": 5, "code": "42", "sale": False, "tags": None},
        ),
        (
            "line 6",
            "d.jpg",
            {"brand": None, "price": None, "code": None, "sale": None, "tags": ["x"]},
        ),
    ]


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "-2", "3"], [1, -2, 3]),
        (["1", "2.50", "1e3"], [1, 2.5, 1000.0]),
        (["1", ""], [1, None]),
        (["1", "x"], ["1", "x"]),
        (["007", "8"], ["007", "8"]),
        (["0", "0.5", "-0.25"], [0, 0.5, -0.25]),
        (["1234567890123456"], ["1234567890123456"]),  # no DOUBLE tells it from its neighbours
        (["1,5"], None),
        (["+5", "6"], ["+5", "6"]),
        (["nan", "1"], ["nan", "1"]),
        (["true", "False", ""], [True, False, None]),
        (["true", "1"], ["true", "1"]),
        (["NULL", "NA"], ["NULL", "NA"]),
        (["", ""], [None, None]),
        (["a|b"], ["a|b"]),
    ],
)
def test_a_csv_column_is_what_all_its_cells_are(tmp_path, cells, values):
    if values is None:
        with pytest.raises(InputError, match="line 2: expected 2 values as in the header, found 3"):
            column(tmp_path, *cells)
        return
    found = column(tmp_path, *cells)
    assert found == values and list(map(type, found)) == list(map(type, values))


@pytest.mark.parametrize(
    "text",
    [
        "path;price\na.jpg;5\n",
        "path\tprice\na.jpg\t5\n",
        "path;price\na.jpg;5,0\n",
        "\ufeffpath,price\r\na.jpg,5\r\n",
        "price,path\n5,a.jpg",
        'path,price\n"a.jpg", "5"\n',
    ],
)
def test_csv_files_of_other_programs(tmp_path, text):
    assert read(tmp_path, text) == [("line 2", "a.jpg", {"price": 5})]


def test_a_decimal_comma_is_one_where_cells_are_apart_by_semicolons(tmp_path):
    text = "path;a;b;c\nx;49,95;1.234,5;1.5\ny;7;2;2\n"
    first, second = (values for _, _, values in read(tmp_path, text))
    assert first == {"a": 49.95, "b": "1.234,5", "c": 1.5}
    assert second == {"a": 7, "b": "2", "c": 2}


def test_json_lines(tmp_path):
    text = '{"path": "a.jpg", "price": 5, "tags": ["x", 3, true]}\n\n{"path": "b", "sale": null}\n'
    for name in ("a.jsonl", "a.ndjson", "a.JSON"):
        assert read(tmp_path, text, name) == [
            ("line 1", "a.jpg", {"price": 5, "tags": ["x", "3", "true"]}),
            ("line 3", "b", {"sale": None}),
        ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", "a.csv has no rows"),
        ("a.csv", "path,x\n", "a.csv has no rows"),
        ("a.csv", "path\na.jpg\n", "no column besides path"),
        ("a.csv", "file,brand\na,b\n", "needs a column 'path'.*it has file, brand"),
        ("a.csv", "path,x\na,1\nb,1,2\n", "line 3: expected 2 values as in the header, found 3"),
        ("a.csv", "path,x\na,1\nb\n", "line 3: expected 2 values as in the header, found 1"),
        ("a.csv", 'path,x\na,1\nb,"2\n', "line 3: unexpected end of data"),
        ("a.csv", 'path,x\na,"1"2\n', "line 2: "),
        ("a.csv", "path,x\na,1\n ,2\n", "line 3: the image's path is missing"),
        ("a.csv", ",path,x\n0,a,1\n", "column 1 has no name.*index=False"),
        ("a.csv", "path,x,x\na,1,2\n", "two columns are named 'x'"),
        ("a.csv", "path,price (€)\na,1\n", "'price .€.' cannot be an attribute's name: use"),
        ("a.csv", "path,id\na,1\n", "id is the collection's own column: name it product_id"),
        ("a.csv", "path,Embedding\na,1\n", "Embedding is the collection's own column"),
        ("a.csv", b"path,x\na,\xff\n", "a.csv is not UTF-8"),
        (
            "a.csv",
            f"path,tags\na,{'t' * 256}\n",
            "line 2: tags: an item has 256 characters; the limit is 255",
        ),
        ("a.jsonl", '{"path": "a", "x": 1}\n{"path": "b",\n', "line 2: .*one JSON object per line"),
        ("a.json", '[{"path": "a", "x": 1}]', "line 1: not a JSON object"),
        ("a.jsonl", '{"path": "a", "x": {"y": 1}}', "line 1: x: .* is not text, a number"),
        ("a.jsonl", '{"path": "a", "x": [[1]]}', "line 1: x: a list can hold only texts"),
        ("a.jsonl", '{"path": "a", "x": [null]}', "line 1: x: a list can hold only texts"),
        ("a.jsonl", '{"path": "a", "x": NaN}', "line 1: NaN is not JSON"),
        ("a.jsonl", '{"x": 1}', "line 1: the image's path is missing .the row has x"),
        ("a.jsonl", '{"path": "a\\u0000", "x": 1}', "is not a path"),
        ("a.xlsx", "x", "a.xlsx is not an attributes file: give .csv, .tsv"),
    ],
)
def test_bad_files_are_refused_by_line(tmp_path, name, text, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, text, name)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="cannot read nowhere.csv: No such file"):
        read_attributes("nowhere.csv")


def test_parquet(tmp_path):
    frame = pd.DataFrame(
        {
            "path": ["a.jpg", "b.jpg"],
            "price": [1.5, np.nan],
            "stock": pd.array([3, None], dtype="Int64"),
            "tags": [["x", "y"], None],
            "sale": [True, False],
            "since": [datetime.date(2024, 6, 1), None],
            "cost": [decimal.Decimal("1.25"), decimal.Decimal("2")],
        }
    )
    frame.to_parquet(tmp_path / "a.parquet")
    rows = [row.values for row in read_attributes(tmp_path / "a.parquet").rows]
    assert rows == [
        {
            "price": 1.5,
            "stock": 3,
            "tags": ["x", "y"],
            "sale": True,
            "since": "2024-06-01",
            "cost": 1.25,
        },
        {"price": None, "stock": None, "tags": None, "sale": False, "since": None, "cost": 2.0},
    ]
    with pytest.raises(InputError, match="b.parquet is not a Parquet file"):
        read(tmp_path, "nonsense", "b.parquet")


@pytest.mark.parametrize("package", ["pandas", "pyarrow"])
def test_without_the_extra_the_command_is_told(tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / "a.parquet").touch()
    with pytest.raises(MissingExtra, match=r"-m pip install .*\[parquet\]"):
        read_attributes(tmp_path / "a.parquet")


def test_rows_are_taken_as_they_are():
    rows = [{"path": "a", "n": np.int32(5), "x": np.array(["p"])}, {"path": "b", "n": None}]
    table = read_attributes(rows)
    assert [(row.place, row.values) for row in table.rows] == [
        ("row 1", {"n": 5, "x": ["p"]}),
        ("row 2", {"n": None}),
    ]
    assert rows[0]["path"] == "a"  # what is passed in stays as it is
    with pytest.raises(InputError, match="the rows, row 1: the image.s path is missing"):
        read_attributes([{"n": 1}])


def test_kinds():
    kinds = [kind_of(value) for value in ("x", 1, 0.5, True, ["x"], None)]
    assert kinds == ["text", "number", "number", "boolean", "list", None]


integers = st.integers(min_value=-(2**53), max_value=2**53)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), texts | integers | st.none(), min_size=1)))
def test_json_lines_come_back_as_they_were(tmp_path_factory, rows):
    file = tmp_path_factory.mktemp("json") / "a.jsonl"
    file.write_text("".join(json.dumps({"path": "x", **row}) + "\n" for row in rows), "utf-8")
    if not rows:
        return
    assert [row.values for row in read_attributes(file).rows] == rows


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"sku": 2**53 + 1}, "line 1: sku: 9007199254740993 is too large .* write it as text"),
        ({"sku": -(10**300)}, "sku: -10+ is too large"),
        ({"name": "\ud800"}, r"name: '\\ud800' is not UTF-8"),
        ({"tags": ["a", "\udfff"]}, r"tags: '\\udfff' is not UTF-8"),
        ({"path": "\ud800.jpg", "a": 1}, r"path: '\\ud800.jpg' is not UTF-8"),
    ],
)
def test_what_the_database_would_not_keep_is_refused(tmp_path, row, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, json.dumps({"path": "a.jpg"} | row), "products.jsonl")


def test_the_largest_integers_are_kept(tmp_path):
    text = json.dumps({"path": "a.jpg", "a": 2**53, "b": -(2**53)})
    assert read(tmp_path, text, "a.jsonl")[0][2] == {"a": 2**53, "b": -(2**53)}
