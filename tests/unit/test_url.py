import ssl
import traceback

import pytest

from lookalike.errors import InputError
from lookalike.url import DatabaseURL


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
        ("postgres://me:secret@h/d", "'postgres' is no database URL"),
        ("shop", "'no scheme' is no database URL"),
        ("mysql://me:secret@h", "names no database"),
        ("mysql://h/d", "names no user"),
        ("mysql://me:secret@h:abc/d", "host or port cannot be read"),
        ("mysql://me:secret/x@h/d", "host or port cannot be read"),
        ("mysql://me:x@secret/x@h/d", "has an @ after its host: write %2F"),
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
