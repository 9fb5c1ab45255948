import ssl
import traceback

import hypothesis
import pytest
from hypothesis import strategies as st

from lookalike.core.errors import InputError
from lookalike.database.url import _ESCAPED, _FORM, DatabaseURL


def test_all_parts_are_read():
    url = DatabaseURL.parse("mysql://me%40x:p%2Fw%3A@db.example:3307/shop?connect_timeout=3")
    assert url.driver_arguments() == {
        "user": "me@x",
        "password": b"p/w:",
        "host": "db.example",
        "port": 3307,
        "database": "shop",
        "connect_timeout": 3,
    }


def test_a_socket_is_passed_on():
    url = DatabaseURL.parse("mysql://root@localhost/a?unix_socket=%2Ftmp%2Fa%20b.sock")
    assert url.driver_arguments()["unix_socket"] == "/tmp/a b.sock"
    assert url.driver_arguments()["port"] == 3306


def test_the_password_is_never_shown():
    url = DatabaseURL.parse("mysql://me:secret@h/d")
    assert str(url) == "mysql://me:***@h/d"
    assert "secret" not in repr(url)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("postgres://me:secret@h/d", "'postgres' is not a database URL"),
        ("shop", "'no scheme' is not a database URL"),
        ("mysql://me:secret@h", "names no database"),
        ("mysql://h/d", "names no user"),
        ("mysql://me:secret@h:abc/d", "host or port cannot be read"),
        ("mysql://me:secret/x@h/d", "host or port cannot be read"),
        ("mysql://me:x@secret/x@h/d", "has an @ after its host: in the user"),
        ("mysql://me:x@secret/d?x@h/d", "has an @ after its host"),
        ("mysql://me:x@secret/d#x@h/d", "has an @ after its host"),
        ("mysql://me:secret@h/d#x", "has a # after its host"),
        ("mysql://me:secret\udcff@h/d", "host or port cannot be read"),
        ("mysql://[:secret@h/d", "host or port cannot be read"),
        ("mysql://me:secret@h/d?charset=x", "unknown option 'charset'"),
        ("mysql://me:secret@h/d?ssl_mode=maybe", "ssl_mode=MAYBE"),
        ("mysql://me:secret@h/d?connect_timeout=0", "connect_timeout=0"),
        ("mysql://me:secret@h/d?connect_timeout=" + "9" * 5000, "connect_timeout=9+ in"),
        ("mysql://me:secret@h/d?connect_timeout=²", "connect_timeout=²"),
        ("mysql://me:secret@h/d?ssl_mode=PREFERRED&ssl_cert=/no/such.pem", "no use of ssl_cert"),
        ("mysql://me:secret@h/d?ssl_mode=DISABLED&ssl_ca=/no/such.pem", "no use of ssl_ca"),
        ("mysql://me:secret@h/d?ssl_ca=/no/such.pem", "TLS files cannot be used"),
    ],
)
def test_a_bad_url_is_named_without_its_password(text, message):
    with pytest.raises(InputError, match=message) as caught:
        DatabaseURL.parse(text).driver_arguments()
    assert "secret" not in str(caught.value)
    assert "secret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("mode", "verify", "hostname"),
    [
        ("REQUIRED", ssl.CERT_NONE, False),
        ("verify_ca", ssl.CERT_REQUIRED, False),
        ("VERIFY_IDENTITY", ssl.CERT_REQUIRED, True),
    ],
)
def test_tls_modes(mode, verify, hostname):
    url = DatabaseURL.parse(f"mysql://me@h/d?ssl_mode={mode}")
    context = url.driver_arguments()["ssl"]
    assert (context.verify_mode, context.check_hostname) == (verify, hostname)


def test_tls_can_be_switched_off():
    url = DatabaseURL.parse("mysql://me@h/d?ssl_mode=DISABLED")
    assert url.driver_arguments()["ssl_disabled"] is True


def test_a_socket_needs_no_tls_unless_it_is_asked_for():
    url = "mysql://me@localhost/d?unix_socket=/run/mysql.sock"
    assert DatabaseURL.parse(url).driver_arguments()["ssl_disabled"] is True
    arguments = DatabaseURL.parse(url + "&ssl_mode=REQUIRED").driver_arguments()
    assert "ssl" in arguments and "ssl_disabled" not in arguments


AWKWARD = "@/%#:?"
PASSWORDS = st.lists(
    st.one_of(st.sampled_from(AWKWARD), st.text("abcXYZ0123", min_size=1, max_size=5)),
    min_size=2,
    max_size=8,
).map("".join)


def pieces(password, length=4):
    return {password[i : i + length] for i in range(len(password) - length + 1)}


@pytest.mark.parametrize(
    "form",
    [
        "mysql://lou:{}@db.test:3307/shop",
        "mysql://lou:{}@db.test",
        "mysql://lou:{}@/shop?no=1",
        "lou:{}@db.test/shop",
        "mysql:/lou:{}@db.test/shop",
        "postgres://lou:{}@db.test/shop",
        "mysql://lou:{}@db.test:port/shop",
        "mysql://lou:{}@db.test/shop?connect_timeout=x",
        "mysql://lou:{}@db.test/shop?unix_socket=/nowhere",
        "mysql://:{}@db.test/shop",
    ],
)
@hypothesis.given(password=PASSWORDS)
@hypothesis.settings(max_examples=40, deadline=None)
def test_no_piece_of_an_unescaped_password_is_shown(form, password):
    try:
        url = DatabaseURL.parse(form.format(password))
        url.driver_arguments()
    except InputError as error:
        shown = "".join(traceback.format_exception(error)) + repr(error)
        shown = shown.partition("lookalike.core.errors.InputError")[2]
        # What the remedy says of itself is no password.
        shown = shown.replace(_ESCAPED, "").replace(_FORM, "")
        if "@ after its host" in str(error) or "cannot be read" in str(error):
            assert "write % as %25, @ as %40" in str(error)
    else:
        assert url.password == password or "%" in password
        shown = f"{url} {url!r}"
    ours = form.format("") + "unknown option database URL known: whole seconds"
    assert not [piece for piece in pieces(password) if piece in shown and piece not in ours]


def test_the_servers_of_a_cluster_have_ports_and_sockets_of_their_own():
    url = DatabaseURL.parse(
        "mysql+pymysql://me%40x:p%2Cw@a,b:3307,[::1]:44,%2Ftmp%2FA%20b.sock/sh%2Cop"
        "?reads=primary&connect_timeout=3&max_lag=4"
    )
    assert url.options == {"connect_timeout": "3", "reads": "primary", "max_lag": "4"}
    arguments = [member.driver_arguments() for member in url.members]
    assert [(each["host"], each["port"]) for each in arguments] == [
        ("a", 3306),
        ("b", 3307),
        ("::1", 44),
        ("localhost", 3306),
    ]
    assert arguments[3]["unix_socket"] == "/tmp/A b.sock"
    for each in arguments:
        assert (each["user"], each["password"]) == ("me@x", b"p,w")
        assert (each["database"], each["connect_timeout"]) == ("sh,op", 3)
    assert str(url) == "mysql://me%40x:***@a,b:3307,[::1]:44,%2Ftmp%2FA%20b.sock/sh%2Cop"


def test_a_comma_in_a_password_makes_no_cluster():
    url = DatabaseURL.parse("mysql://me:a,b@h/d,e")
    assert (url.password, url.host, url.database, url.members) == ("a,b", "h", "d,e", ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mariadb://me:secret@a,b/d", "a cluster of MySQL, not of mariadb"),
        ("mysql://me:secret@a,,b/d", "an empty host in its list"),
        ("mysql://me:secret@a,a:3306/d", "names a server twice"),
        ("mysql://me:secret@a,b", "host or port cannot be read|names no database"),
        ("mysql://a,b/d", "names no user"),
        ("mysql://me:secret@a:x,b/d", "host or port cannot be read"),
        ("mysql://me:secret@a,b/d?charset=x", "unknown option 'charset'"),
        ("mysql://me:secret@a,b/d?unix_socket=%2Fs", "in the place of a host"),
        ("mysql://me:secret@a/d?reads=primary", "reads in the database URL is for a cluster"),
        ("mysql://me:secret,x/y@h,i/d", "host or port cannot be read"),
        ("mysql://me:secret,x#y@h,i/d", "host or port cannot be read"),
    ],
)
def test_lists_of_servers_that_cannot_be_used(text, message):
    with pytest.raises(InputError, match=message) as raised:
        DatabaseURL.parse(text)
    assert "secret" not in str(raised.value)
