"""The native functions: their values against numpy, and hostile calls."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import lookalike
from lookalike import DatabaseError
from lookalike.core.vectors import pack
from lookalike.dialects.native import NATIVE_FUNCTIONS
from lookalike.index.codes import encode, estimate, query_planes

NAMES = [each.name for each in NATIVE_FUNCTIONS]
DISTANCES = ["lookalike_native_distance", "lookalike_native_distance_double"]
NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)
PLENTY = settings(deadline=None)


@pytest.fixture(scope="module")
def native(cleared, module_database_url):
    """The module's database, on a server with native functions."""
    with lookalike.connect(module_database_url) as db:
        assert db.install_native_functions() == NAMES
        yield db


def create_table(db, columns):
    """Create table t anew."""
    db.rows("DROP TABLE IF EXISTS t")
    db.rows(f"CREATE TABLE t ({columns})")


def ask(db, expression, *params):
    return db.rows(f"SELECT {expression}", params)[1][0][0]


# Values


@given(st.data())
@PLENTY
def test_double_distances_agree_with_float64_arithmetic(native, data):
    dim = data.draw(st.integers(1, 40))
    v, w = (data.draw(arrays(np.float32, dim, elements=NUMBERS)) for _ in range(2))
    a, b = v.astype(np.float64), w.astype(np.float64)
    bound = np.abs(a) @ np.abs(b)
    call = "lookalike_native_distance_double(%s, %s, 'DOT')"
    assert ask(native, call, pack(v), pack(w)) == pytest.approx(a @ b, abs=1e-13 * bound + 1e-300)
    call = call.replace("DOT", "EUCLIDEAN")
    expected = np.linalg.norm(a - b)
    assert ask(native, call, pack(v), pack(w)) == pytest.approx(expected, rel=1e-13)
    cosine = ask(native, call.replace("EUCLIDEAN", "COSINE"), pack(v), pack(w))
    if a.any() and b.any():
        expected = 1 - a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
        assert cosine == pytest.approx(expected, abs=1e-12)
    else:
        assert cosine is None


@given(st.data())
@PLENTY
def test_float32_distances_are_near_whatever_the_numbers_sizes(native, data):
    dim = data.draw(st.integers(1, 600))
    size = 10.0 ** data.draw(st.integers(-37, 37))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    v, w = (rng.standard_normal((2, dim)) * size).astype(np.float32)
    a, b = v.astype(np.float64), w.astype(np.float64)
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    call = "lookalike_native_distance(%s, %s, 'DOT')"
    assert ask(native, call, pack(v), pack(w)) == pytest.approx(a @ b, abs=1e-5 * lengths)
    call = call.replace("DOT", "EUCLIDEAN")
    expected = np.linalg.norm(a - b)
    assert ask(native, call, pack(v), pack(w)) == pytest.approx(expected, rel=1e-5)
    call = call.replace("EUCLIDEAN", "cosine")
    assert ask(native, call, pack(v), pack(w)) == pytest.approx(1 - a @ b / lengths, abs=1e-5)


@pytest.mark.parametrize("name", DISTANCES)
def test_distances_rank_rows_like_numpy(native, name):
    vectors = np.random.default_rng(3).standard_normal((300, 33)).astype(np.float32)
    create_table(native, "id INT PRIMARY KEY, embedding VECTOR(33)")
    marks = ", ".join(["(%s, %s)"] * len(vectors))
    values = [value for number, v in enumerate(vectors) for value in (number, pack(v))]
    native.rows(f"INSERT INTO t VALUES {marks}", values)
    order = f"ORDER BY {name}(embedding, %s, 'COSINE') LIMIT 10"
    found = [row[0] for row in native.rows(f"SELECT id FROM t {order}", (pack(vectors[7]),))[1]]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert found == np.argsort(-(unit @ unit[7]))[:10].tolist()


@pytest.mark.parametrize("dim", [8, 24, 64, 512, 1000])
def test_the_estimate_is_that_of_the_index(native, dim):
    rng = np.random.default_rng(dim)
    residuals, query = rng.standard_normal((2, 5, dim)).astype(np.float32)
    codes, scales = encode(residuals)
    planes = query_planes(query[:1])
    expected = estimate(codes, scales, planes)
    for code, scale, value in zip(codes, scales, expected, strict=True):
        one = [plane.tobytes() for plane in planes.planes[0]]
        places = ", ".join("%s" for _ in one)
        differ = ask(native, f"lookalike_native_estimate(%s, {places})", code.tobytes(), *one)
        joined = ask(native, "lookalike_native_estimate(%s, %s)", code.tobytes(), b"".join(one))
        assert joined == differ
        bit_count = " + ".join(f"{2**j} * BIT_COUNT(%s ^ %s)" for j in range(len(one)))
        pairs = [each for plane in one for each in (code.tobytes(), plane)]
        binary = bit_count.replace("%s", "CAST(%s AS BINARY)")
        assert ask(native, binary, *pairs) == differ
        found = scale * planes.steps[0] * (planes.centre - differ)
        assert found == pytest.approx(value, rel=1e-5)


def rotated(vector, signs):
    """The rotation by its definition, with matrices."""
    b = len(signs) // 4
    m, j = np.indices((32, 32))
    hadamard_32 = (-1.0) ** np.bitwise_count(m & j)
    h, r = np.indices((b, b))
    if b & (b - 1):
        angle = 2 * np.pi * h * r / b
        across = np.cos(angle) + np.sin(angle)
    else:
        across = (-1.0) ** np.bitwise_count(h & r)
    x = np.zeros(32 * b)
    x[: len(vector)] = vector
    x *= 1 - 2.0 * np.unpackbits(np.frombuffer(signs, np.uint8))
    return (across @ x.reshape(b, 32) @ hadamard_32.T).ravel() / np.sqrt(32 * b)


@pytest.mark.parametrize(("dim", "b"), [(1, 1), (32, 1), (40, 2), (96, 3), (512, 16), (768, 24)])
def test_the_rotation(native, dim, b):
    rng = np.random.default_rng(dim)
    vector, signs = rng.standard_normal(dim).astype(np.float32), rng.bytes(4 * b)
    found = ask(native, "lookalike_native_rotate(%s, %s)", pack(vector), signs)
    found = np.frombuffer(found, "<f4")
    assert found == pytest.approx(rotated(vector, signs), abs=1e-6)
    assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(vector), rel=1e-6)


@pytest.mark.parametrize("b", [511, 512])
def test_the_rotation_of_the_longest_vectors(native, b):
    rng = np.random.default_rng(b)
    vector, signs = rng.standard_normal(32 * b - 1).astype(np.float32), rng.bytes(4 * b)
    found = ask(native, "lookalike_native_rotate(%s, %s)", pack(vector), signs)
    assert np.frombuffer(found, "<f4") == pytest.approx(rotated(vector, signs), abs=1e-5)


@pytest.mark.parametrize("n_planes", [1, 4, 8])
@pytest.mark.parametrize("dim", [1, 7, 32, 512, 16384])
def test_the_planes(native, dim, n_planes):
    y = np.random.default_rng(dim).standard_normal(dim).astype(np.float32)
    middle = (2**n_planes - 1) / 2
    step = np.abs(y).max().astype(float) / middle
    levels = np.rint(y / step + middle).clip(0, 2**n_planes - 1).astype(np.uint8)
    expected = b"".join(np.packbits(levels >> j & 1).tobytes() for j in range(n_planes))
    assert ask(native, "lookalike_native_planes(%s, %s)", pack(y), n_planes) == expected
    assert ask(native, "lookalike_native_step(%s, %s)", pack(y), n_planes) == pytest.approx(step)


def test_a_zero_vector_has_planes_too(native):
    step = ask(native, "lookalike_native_step(%s, 4)", bytes(64))
    assert step == pytest.approx(np.finfo(np.float32).tiny)
    assert ask(native, "HEX(lookalike_native_planes(%s, 4))", bytes(64)) == "000000000000FFFF"


def test_subtracting(native):
    v, w = np.random.default_rng(1).standard_normal((2, 50)).astype(np.float32)
    found = ask(native, "lookalike_native_subtract(%s, %s, 0.25)", pack(v), pack(w))
    assert np.frombuffer(found, "<f4") == pytest.approx(v - 0.25 * w, abs=1e-6)
    assert ask(native, "lookalike_native_subtract(%s, %s, 1)", pack(v), pack(v)) == bytes(200)


def test_bytes_are_bytes(native):
    v = "STRING_TO_VECTOR('[3,4]')"
    calls = [
        f"lookalike_native_rotate({v}, x'00000000')",
        f"lookalike_native_subtract({v}, {v}, 1)",
        f"lookalike_native_planes({v}, 4)",
    ]
    for call in calls:
        assert ask(native, f"CHARSET({call})") == "binary"
    inner = f"lookalike_native_rotate({v}, x'80000000')"
    assert ask(native, f"lookalike_native_distance({inner}, {inner}, 'DOT')") == pytest.approx(25)
    assert ask(native, f"VECTOR_DIM({inner})") == 32


# Arguments

GOOD = {
    "lookalike_native_distance": ["x'0000803F'", "x'0000803F'", "'DOT'"],
    "lookalike_native_distance_double": ["x'0000803F'", "x'0000803F'", "'DOT'"],
    "lookalike_native_estimate": ["x'0F'", "x'FF'"],
    "lookalike_native_rotate": ["x'0000803F'", "x'00000000'"],
    "lookalike_native_subtract": ["x'0000803F'", "x'0000803F'", "1"],
    "lookalike_native_planes": ["x'0000803F'", "4"],
    "lookalike_native_step": ["x'0000803F'", "4"],
}


@pytest.mark.parametrize("name", NAMES)
def test_null_gives_null(native, name):
    assert ask(native, f"{name}({', '.join(GOOD[name])})") is not None
    for place in range(len(GOOD[name])):
        given = [*GOOD[name][:place], "NULL", *GOOD[name][place + 1 :]]
        assert ask(native, f"{name}({', '.join(given)})") is None


WRONG = [
    ("distance(%s, %s, 'L2')", ["0000803F"] * 2, "the metric is COSINE, EUCLIDEAN or DOT, not L2"),
    ("distance(%s, %s, 'DOT')", ["0000803F", "00" * 8], "the vectors differ in length"),
    ("distance_double(%s, %s, 'DOT')", ["0000803F", "000080"], "argument 2 is no vector: its 3"),
    ("distance(%s, %s, 'DOT')", ["", ""], "argument 1 is no vector: its 0 bytes"),
    ("distance(%s, %s, 'COSINE')", ["0000C07F", "00000000"], "a number is infinite or NaN"),
    ("estimate(%s, %s)", ["FF", "FF" * 9], "the planes are 1 to 8, each as long as the code"),
    ("estimate(%s, %s)", ["FFFF", "FFFFFF"], "the planes are 1 to 8"),
    ("estimate(%s, %s, %s)", ["FFFF", "FFFF", "FF"], "the planes are 1 to 8"),
    ("estimate(%s, %s)", ["", ""], "the code is empty"),
    ("rotate(%s, %s)", ["0000803F", "000000"], "the signs are 4 to 2048 bytes"),
    ("rotate(%s, %s)", ["0000803F" * 33, "00" * 4], "more numbers than there are signs"),
    ("rotate(%s, %s)", ["0000803F", "00" * 2052], "the signs are 4 to 2048 bytes"),
    ("rotate(%s, %s)", ["0000807F", "00" * 4], "a number is infinite or NaN"),
    ("subtract(%s, %s, 1e300)", ["0000803F"] * 2, "a number is infinite or NaN"),
    ("planes(%s, 0)", ["0000803F"], "n_planes is 1 to 8"),
    ("planes(%s, 9)", ["0000803F"], "n_planes is 1 to 8"),
    ("planes(%s, 4)", ["00" * 4 * 16385], "the vector has more than 16384 numbers"),
    ("step(%s, 4)", ["0000C0FF"], "a number is infinite or NaN"),
]


@pytest.mark.parametrize(("call", "values", "message"), WRONG)
def test_what_cannot_be_computed_is_an_error(native, call, values, message):
    given = [bytes.fromhex(value) for value in values]
    with pytest.raises(DatabaseError, match=message):
        ask(native, f"lookalike_native_{call}", *given)
    # At a row, too, where the arguments are no constants.
    create_table(native, "id INT PRIMARY KEY, value LONGBLOB")
    for number, value in enumerate(given):
        native.rows("INSERT INTO t VALUES (%s, %s)", (number, value))
    columns = [f"(SELECT value FROM t WHERE id = {n} + 0 * RAND())" for n in range(len(given))]
    with pytest.raises(DatabaseError, match=message):
        native.rows(f"SELECT lookalike_native_{call % tuple(columns)} FROM t")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("distance(1, x'00000000', 'DOT')", "argument 1 is a number"),
        ("distance(x'00000000', 1.5, 'DOT')", "argument 2 is a number"),
        ("distance(x'00000000', x'00000000')", r"the arguments are \(v1, v2, metric\)"),
        ("estimate(x'00')", r"the arguments are \(code, planes\)"),
        ("planes(x'00000000', 'four')", "argument 2 is a text"),
        ("planes(x'00000000', 4.5)", "argument 2 is not an integer"),
        ("rotate()", r"the arguments are \(vector, signs\)"),
    ],
)
def test_wrong_types_are_errors(native, call, message):
    with pytest.raises(DatabaseError, match=message):
        ask(native, f"lookalike_native_{call}")


def test_an_error_does_not_outlast_its_statement(native):
    with native.session():
        native.rows("SET @v = x'0000803F', @metric = 'L2'")
        native.rows("PREPARE s FROM 'SELECT lookalike_native_distance(?, ?, ?)'")
        with pytest.raises(DatabaseError, match="not L2"):
            native.rows("EXECUTE s USING @v, @v, @metric")
        native.rows("SET @metric = 'dot'")
        assert native.rows("EXECUTE s USING @v, @v, @metric")[1] == [(1.0,)]


HOSTILE = [
    *("NULL", "0", "-1", "4", "1.5", "1e308", "'COSINE'", "'dot'", "'EUCLIDEAN'", "'L2'", "''"),
    *("x'0000803F'", "x'00'", "x''", "STRING_TO_VECTOR('[1,2,3]')", "REPEAT(x'7FC00000', 500)"),
    *("REPEAT('a', 3000000)", "JSON_ARRAY(1, 2)", "NOW()", "@unset", "@bytes", "@number", "b'101'"),
    *("t.v", "t.b", "t.text", "t.i", "t.d", "t.x", "t.j", "t.e", "_latin1 x'FFFE'", "1 = 1"),
    *("ST_GeomFromText('POINT(1 1)')", "(SELECT MAX(b) FROM t)", "CAST(t.i AS CHAR)", "~0", "t.v"),
    *("lookalike_native_planes(t.v, 4)", "lookalike_native_rotate(t.v, x'12345678')", "t.b", "t.v"),
]


def test_5000_hostile_calls_leave_the_server_up(native, server):
    rng = np.random.default_rng(5)
    create_table(
        native,
        "v VECTOR(3), b VARBINARY(40), text TEXT, i BIGINT, d DOUBLE, "
        "x DECIMAL(30, 5), j JSON, e ENUM('DOT', 'L2')",
    )
    for size in range(0, 41, 4):
        row = (rng.bytes(size + int(rng.integers(2)) if size < 40 else 40), "DOT" * size)
        native.rows(
            "INSERT INTO t VALUES (STRING_TO_VECTOR('[1,2,3]'), %s, %s, 4, 1e300, 12.5, '[1]', 1), "
            "(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
            row,
        )
    pid, codes = server.status().pid, {}
    with native.session():
        native.rows("SET @bytes = x'0000803F', @number = 4")
        for _ in range(5000):
            name = NAMES[rng.integers(len(NAMES))]
            usual = len(GOOD[name])
            count = usual if rng.random() < 0.9 else int(rng.integers(0, 11))
            given = [
                GOOD[name][n % usual] if rng.random() < 0.4 else HOSTILE[rng.integers(len(HOSTILE))]
                for n in range(count)
            ]
            try:
                native.rows(f"SELECT {name}({', '.join(given)}) FROM t LIMIT 5")
                code = 0
            except DatabaseError as error:
                code = error.code
            codes[code] = codes.get(code, 0) + 1
    assert server.status().pid == pid
    assert set(codes) <= {0, 1123, 3200, 1301}, codes  # 1301: a REPEAT above max_allowed_packet
    assert min(codes[0], codes[1123], codes[3200]) > 200
    assert native.native_functions() == set(NAMES)
