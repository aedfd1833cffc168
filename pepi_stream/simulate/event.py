"""The neutral event that the simulator yields and the encoders turn into provider payloads."""

from __future__ import annotations

import msgspec


class SimulatedEvent(msgspec.Struct, frozen=True, gc=False):
    """One tracking event, before any provider's field names.

    Text fields are empty, and numbers zero, where they do not apply to the event.

    Attributes:
        message_id: 17 digits like Pepipost's TRANSID: the second of sending, then seven more.
            All events of one message share it.
        event_name: canonical name: sent, opened, clicked, bounced, dropped, unsubscribed or
            complained. There is no ``delivered``: Pepipost's ``sent`` already means that the
            receiving server took the message.
        recipient: e-mail address.
        campaign: campaign name, the tag that a sender sets.
        occurred_at: epoch seconds, UTC.
        sender: the campaign's from-address.
        message_bytes: size of the message in bytes.
        api_header: the sender's own reference, the same for a whole campaign.
        response: what the receiving server answered, or why a message was dropped.
        user_agent: of an open, click, unsubscribe or complaint.
        ip: IPv4 address of an open, click, unsubscribe or complaint.
        url: link that was clicked.
        bounce_type: HARDBOUNCE or SOFTBOUNCE.
        bounce_reason: the SMTP reply, with its enhanced status code where the server sent one.
        bounce_reason_id: small number that groups reasons, 1 to 7; 0 when not a bounce.
    """

    message_id: int
    event_name: str
    recipient: str
    campaign: str
    occurred_at: int
    sender: str
    message_bytes: int
    api_header: str
    response: str = ""
    user_agent: str = ""
    ip: str = ""
    url: str = ""
    bounce_type: str = ""
    bounce_reason: str = ""
    bounce_reason_id: int = 0
