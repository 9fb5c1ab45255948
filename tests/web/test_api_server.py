"""What stands at the root, and how a server ends."""

import httpx


def test_health_needs_no_token_and_the_rest_does(served):
    with served.client(token="") as client:
        assert client.get("/health").json() == {"status": "ok"}
        refused = client.get("/ready")
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["www-authenticate"].startswith("Bearer")


def test_a_server_is_ready_once_the_database_answers(api: httpx.Client):
    assert api.get("/ready").json() == {"status": "ready"}
