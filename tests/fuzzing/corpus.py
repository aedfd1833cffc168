"""What the fuzzer starts from: payloads of every provider, as their documentation shows them."""

from __future__ import annotations

import json
from typing import Any

_SES_EVENT = {
    "eventType": "Bounce",
    "bounce": {
        "bounceType": "Permanent",
        "bounceSubType": "General",
        "bouncedRecipients": [
            {
                "emailAddress": "a@example.com",
                "status": "5.1.1",
                "diagnosticCode": "smtp; 550 5.1.1",
            },
            {"emailAddress": "b@example.com"},
        ],
        "timestamp": "2017-08-09T22:00:19.652Z",
    },
    "mail": {
        "timestamp": "2017-08-05T00:40:02.012Z",
        "destination": ["a@example.com", "b@example.com"],
        "messageId": "7c191be45-e9aedb9a-02f9-4d12-a87d-dd0099a07f8a-000000",
        "tags": {"campaign": ["spring"]},
    },
}
_RECORDS: list[Any] = [
    # plain
    {"id": 1, "event_name": "sent"},
    {
        "id": "x-1",
        "event": "clicked",
        "email": "someone@example.com",
        "ts": 1554375863.25,
        "campaign": "C:\\spring\\",
        "url": "https://example.com/?a=1&b='2'",
        "is_machine": False,
        "user_agent": "Mozilla/5.0",
        "device": "t\u00e9l\u00e9phone \U0001f4f1",
    },
    # pepipost, newer and older
    {
        "TRANSID": 15543162084122748,
        "RESPONSE": "",
        "EMAIL": "someone@example.com",
        "TIMESTAMP": 1554375863,
        "EVENT": "opened",
        "MSIZE": 6368,
        "USERAGENT": "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0",
        "TAGS": "tag\\1'",
        "X-APIHEADER": "xapi1",
        "IPADDRESS": "64.233.173.70",
    },
    {
        "TRANSID": "15543162084122748",
        "RCPTID": "0",
        "EMAIL": "someone@example.com",
        "TIMESTAMP": "1554375863",
        "EVENT": "bounced",
        "BOUNCE_TYPE": "HARDBOUNCE",
        "BOUNCE_REASON": "550 5.1.1 \u2018no such user\u2019",
    },
    # sendgrid
    {
        "ip": "167.89.17.173",
        "status": "5.1.1",
        "sg_event_id": "lC0Rc-FuQmKbnxCWxX1jRQ",
        "sg_message_id": "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0",
        "reason": "550 5.1.1 The email account that you tried to reach does not exist.",
        "tls": 1,
        "event": "bounce",
        "email": "noreply@example.com",
        "timestamp": 1461095250,
        "type": "bounce",
        "category": ["a", "b"],
    },
    {
        "email": "example@test.com",
        "timestamp": 1513299569,
        "event": "open",
        "category": "cat facts",
        "sg_event_id": "FOTFFO0ecsBE-zxFXfs6WA==",
        "sg_machine_open": True,
        "useragent": "Mozilla/5.0",
        "ip": "255.255.255.255",
    },
    # ses: bare, and in the envelope of SNS
    {
        "eventType": "Open",
        "mail": {
            "timestamp": "2017-08-09T21:59:49.927Z",
            "destination": ["recipient@example.com"],
            "messageId": "7c191be45-e9aedb9a-02f9-4d12-a87d-dd0099a07f8a-000000",
        },
        "open": {
            "ipAddress": "192.0.2.1",
            "timestamp": "2017-08-09T22:00:19.652Z",
            "userAgent": "Mozilla/5.0 (iPhone; CPU iPhone OS 10_3_3 like Mac OS X)",
        },
    },
    _SES_EVENT,
    {"Type": "Notification", "MessageId": "22b80b92", "Message": json.dumps(_SES_EVENT)},
    {
        "Type": "SubscriptionConfirmation",
        "MessageId": "165545c9",
        "TopicArn": "arn:aws:sns:us-west-2:123456789012:ses",
        "Message": "You have chosen to subscribe to the topic.",
        "SubscribeURL": "https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription",
    },
    {
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": "Email Delivery Delayed",
        "detail": {
            "eventType": "DeliveryDelay",
            "mail": {"timestamp": "2017-08-05T00:40:02.012Z", "messageId": "7c191be45"},
            "deliveryDelay": {
                "delayType": "MailboxFull",
                "delayedRecipients": [
                    {"emailAddress": "a@example.com", "status": "4.2.2"},
                    {"emailAddress": "b@example.com"},
                ],
                "timestamp": "2017-08-05T00:41:02.669Z",
            },
        },
    },
    # mailgun: whole, and the event alone
    {
        "signature": {"timestamp": "1529006854", "token": "a8ce", "signature": "d2271d12"},
        "event-data": {
            "id": "G9Bn5sl1TC6nu79C8C0bwg",
            "event": "failed",
            "severity": "permanent",
            "reason": "bounce",
            "recipient": "invalid@example.com",
            "timestamp": 1534110422.389832,
            "delivery-status": {"code": 550, "message": "5.1.1 does not exist."},
            "message": {"headers": {"message-id": "20180812.1@mg.example.com"}},
            "tags": ["spring"],
        },
    },
    {
        "id": "Ase7i2zsRYeDXztHGENqRA",
        "event": "clicked",
        "recipient": "alice@example.com",
        "timestamp": 1521243339.873676,
        "url": "https://example.com/",
        "client-info": {"client-name": "Chrome", "client-os": "Linux", "device-type": "desktop"},
        "message": {"headers": {"message-id": "20130503182626.18666.16540@mg.example.com"}},
    },
    # postmark
    {
        "RecordType": "Open",
        "FirstOpen": True,
        "Client": {"Name": "Gmail", "Company": "Google", "Family": "Gmail"},
        "MessageID": "f4830d10-9c35-4f0c-bca3-3d9b459821f8",
        "ReceivedAt": "2016-04-27T16:21:41.2493688-04:00",
        "Recipient": "recipient@example.com",
        "Metadata": {"campaign": "spring"},
    },
    {
        "RecordType": "Bounce",
        "Type": "HardBounce",
        "TypeCode": 1,
        "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
        "Email": "john@example.com",
        "BouncedAt": "2014-08-01T13:28:10.2735393-04:00",
        "Details": "Test bounce details",
    },
    {
        "RecordType": "SubscriptionChange",
        "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
        "ChangedAt": "2020-02-01T10:53:34.416071Z",
        "Recipient": "bounced-address@example.com",
        "SuppressSending": True,
        "SuppressionReason": "HardBounce",
        "Tag": "my-tag",
    },
    # sparkpost
    {"msys": {}},
    {
        "msys": {
            "message_event": {
                "type": "bounce",
                "bounce_class": "10",
                "error_code": "550",
                "event_id": "84345317653491230",
                "message_id": "0e0d94b7-9085-4e3c-ab30-e3f2cd9c273e",
                "raw_reason": "550 5.1.1 <bounce@example.com>: Recipient address rejected",
                "rcpt_to": "bounce@example.com",
                "timestamp": "1464824548",
                "campaign_id": "spring",
            }
        }
    },
    {
        "msys": {
            "track_event": {
                "type": "click",
                "event_id": "84345317653491231",
                "message_id": "0e0d94b7",
                "rcpt_to": "someone@example.com",
                "timestamp": "2016-06-01T23:42:28.000Z",
                "target_link_url": "https://example.com/",
                "is_prefetched": False,
                "user_agent_parsed": {"agent_family": "Chrome", "os_family": "Windows"},
            }
        }
    },
]

#: One payload of each kind, and some arrays of them.
SAMPLES: list[bytes] = [json.dumps(record).encode() for record in _RECORDS] + [
    json.dumps(_RECORDS[n : n + 2]).encode() for n in range(0, len(_RECORDS), 2)
]
