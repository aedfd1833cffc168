"""Events of several providers in one claim, as far as MySQL's tables."""

from __future__ import annotations

import json
from typing import Any

from tests.sinking import database

TIME = "2017-08-09T22:00:19.652Z"


def raw(payload: Any) -> bytes:
    return json.dumps(payload).encode()


def notification(*recipients: str) -> dict[str, Any]:
    mail = {"timestamp": TIME, "messageId": "m", "destination": list(recipients)}
    return {"eventType": "Send", "mail": mail, "send": {}}


async def test_rows_and_dead_letters_of_mixed_claims(database_url: str) -> None:
    """A record that MySQL refuses is kept alone, under the name of the format that read it."""
    long = "x" * 321 + "@example.com"
    sendgrid = [
        {"event": "open", "email": "a@gmail.com", "timestamp": 1502316019, "sg_event_id": "e1"},
        {"event": "open", "email": "b@gmail.com", "timestamp": "soon", "sg_event_id": "e2"},
        {"event": "open", "email": long, "timestamp": 1502316019, "sg_event_id": "e3"},
    ]
    claim = [
        raw(sendgrid),
        raw({"id": 1, "event_name": "sent"}),
        raw({"MessageId": "s", "Message": json.dumps(notification("c", long, "d"))}),
        raw({"RecordType": "Open"}),
        b"bad",
    ]
    async with database(database_url, PEPI_SOURCE__FORMAT="auto") as db:
        transaction = await db.transaction()
        outcome = await transaction.write([db.rendered(claim)])
        assert (outcome.rows, outcome.dead) == (6, 3)
        assert await db.query(
            "SELECT esp, event_name, event_uid, recipient, CAST(occurred_at AS CHAR) "
            "FROM pepi_event ORDER BY seq"
        ) == [
            ("sendgrid", "opened", "e1", "a@gmail.com", "2017-08-09 22:00:19.000"),
            ("sendgrid", "opened", "e2", "b@gmail.com", "2023-11-14 22:13:20.000"),  # as it arrived
            (None, "sent", None, None, "2023-11-14 22:13:20.000"),
            ("ses", "sent", "s:c", "c", "2017-08-09 22:00:19.652"),
            ("ses", "sent", "s:d", "d", "2017-08-09 22:00:19.652"),
            ("postmark", "opened", None, None, "2023-11-14 22:13:20.000"),
        ]
        letters = await db.query(
            "SELECT position, element, format, payload, reason FROM pepi_dead_letter "
            "ORDER BY position, element"
        )
        assert [letter[:3] for letter in letters] == [
            (0, 2, "sendgrid"),
            (2, 1, "ses"),
            (4, None, "auto"),
        ]
        assert json.loads(letters[0][3]) == sendgrid[2]
        assert json.loads(json.loads(letters[1][3])["Message"]) == notification(long)
        assert "1406" in letters[0][4]
        assert "1406" in letters[1][4]
