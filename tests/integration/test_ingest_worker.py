"""A whole worker that takes webhooks in: from the POST to the row, and stopped in between."""

from __future__ import annotations

import http.client
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.flow import Flow, plain, wait_for
from tests.webhooks import BASIC, basic


@pytest.fixture
def port() -> int:
    """A free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        number: int = free.getsockname()[1]
    return number


def post(port: int, body: bytes, headers: dict[str, str], path: str = "/ingest/plain") -> int:
    """POST; return the status, or 0 for a connection that ends without one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", path, body, {"Host": "events.example.com", **headers})
        with connection.getresponse() as answer:
            answer.read()
            return answer.status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def test_every_200_becomes_a_row_and_nothing_else_does(flow: Flow, port: int) -> None:
    flow.env |= {"PEPI_INGEST__FORMATS": "plain", "PEPI_INGEST__PLAIN_BASIC": BASIC}
    worker = flow.worker("--web-port", str(port), "-l", "debug")
    worker.wait_claiming()
    assert post(port, b'{"id": 1, "event_name": "sent"}', {}) == 401
    assert post(port, b'{"id": 1, "event_name": "sent"}', basic(), "/ingest/ses") == 404
    assert post(port, b"{}", basic(), "/live/snapshot") == 403  # another name, and no token
    bodies = list(plain(range(200)))
    with ThreadPoolExecutor(8) as senders:
        answers = list(senders.map(lambda body: post(port, body, basic()), bodies))
    assert answers == [200] * 200
    flow.wait_drained()
    flow.check_books(200)
    assert flow.rows() == 200
    assert worker.stop() == 0
    assert "taking webhooks in: plain" in worker.log
    assert "planted" not in worker.log
    assert worker.log.count("was refused (401)") == 1


def test_a_worker_that_stops_under_load_loses_nothing_that_it_took(flow: Flow, port: int) -> None:
    flow.env |= {"PEPI_INGEST__FORMATS": "plain", "PEPI_INGEST__PLAIN_BASIC": BASIC}
    worker = flow.worker("--web-port", str(port))
    worker.wait_claiming()
    taken: list[int] = []

    def send(number: int) -> None:
        [body] = plain([number])
        while post(port, body, basic()) == 200:
            taken.append(number)

    with ThreadPoolExecutor(4) as senders:
        sending = [senders.submit(send, number) for number in range(4)]
        wait_for(lambda: len(taken) >= 50)
        assert worker.stop() == 0
        for sender in sending:
            sender.result()
    other = flow.worker()
    flow.wait_drained()
    assert other.stop() == 0
    # One whose answer was cut off is in the queue, too; the sender does not know, and sends again.
    pushed = flow.rows() + flow.dead()
    assert len(taken) <= pushed <= len(taken) + 4
    flow.check_books(pushed)


def test_a_format_without_its_secret_does_not_start(flow: Flow) -> None:
    flow.env["PEPI_INGEST__FORMATS"] = "plain"
    for done in (flow.command("check"), flow.command("worker", "--without-web")):
        assert done.returncode == 78
        assert "ingest.plain_basic is empty" in done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr


def test_check_says_what_is_taken_in_and_shows_no_secret(flow: Flow) -> None:
    flow.env |= {"PEPI_INGEST__FORMATS": "plain", "PEPI_INGEST__PLAIN_BASIC": BASIC}
    done = flow.command("check")
    assert done.returncode == 0
    assert "ok   webhooks are taken in: plain" in done.stdout
    assert "ingest.plain_basic = ***" in done.stdout
    assert "planted" not in done.stdout
    flow.env |= {"PEPI_INGEST__PLAIN_BASIC": "", "PEPI_INGEST__UNSIGNED": "true"}
    assert "warn anybody who reaches /ingest/plain" in flow.command("check").stdout
