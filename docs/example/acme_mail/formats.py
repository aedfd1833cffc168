"""A format: from one payload to events."""

from pepi_stream.events import Event

_NAMES = {"S": "sent", "O": "opened", "C": "clicked", "B": "bounced"}


def gateway(payload: bytes) -> list[Event]:
    """Read what Acme's gateway pushes: ``code|address|seconds|mailing|customer``, UTF-8.

    What is raised here becomes the reason of a dead letter, so say what is wrong. Nothing else is
    touched: the other payloads of the claim go their way.
    """
    code, address, seconds, mailing, customer = payload.decode().split("|")
    if code not in _NAMES:
        raise ValueError(f"no event is called {code!r}; known: {', '.join(_NAMES)}")
    return [
        Event(
            event_name=_NAMES[code],
            recipient=address,
            occurred_at=int(seconds) * 1000,  # ms since 1970 UTC
            campaign=mailing,
            id=customer,
            event_uid=f"{code}|{address}|{seconds}|{mailing}",  # for sink.dedupe
        )
    ]
