"""Mailbox providers of the simulation: their share, domains, bounce replies and open habits.

Shares and rates are plausible figures for a consumer sender, not measurements. The SMTP replies
follow the wording that the providers' postmaster pages document.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from pepi_stream.simulate.user_agents import (
    APPLE_PRIVACY,
    BROWSERS,
    GMAIL_PREFETCH,
    GOOGLE_PROXY,
    MAIL_CLIENTS,
    YAHOO_PROXY,
    Agent,
)

HARD: Final = "HARDBOUNCE"
SOFT: Final = "SOFTBOUNCE"


class Bounce(NamedTuple):
    """One way in which a provider refuses a message.

    Attributes:
        kind: HARDBOUNCE or SOFTBOUNCE, Pepipost's words.
        reason_id: 1 no such user, 2 full, 3 blocked, 4 policy, 5 rate limited, 6 DNS, 7 other.
        reply: SMTP reply; ``{recipient}`` stands for the address.
        weight: relative frequency within the provider.
    """

    kind: str
    reason_id: int
    reply: str
    weight: int


class Mailbox(NamedTuple):
    """One mailbox provider, or a family of smaller ones.

    Attributes:
        name: provider name.
        domains: (recipient domain, share); shares of all providers together sum to 1,000.
        accepted: reply to a message the provider takes.
        bounces: its refusals.
        bounce_rate: messages bounced, in 10,000.
        open_rate: messages a person opens, in 10,000.
        machine_rate: messages a machine opens, in 10,000.
        machine: the agent of those machine opens.
        readers: agents of people's opens.
    """

    name: str
    domains: tuple[tuple[str, int], ...]
    accepted: str
    bounces: tuple[Bounce, ...]
    bounce_rate: int
    open_rate: int
    machine_rate: int
    machine: Agent
    readers: tuple[Agent, ...]


GOOGLE = Mailbox(
    "Google",
    (("gmail.com", 455), ("googlemail.com", 5)),
    "smtp;250 2.0.0 OK - gsmtp",
    (
        Bounce(
            HARD,
            1,
            "550-5.1.1 The email account that you tried to reach does not exist. Please try "
            "double-checking the recipient's email address for typos or unnecessary spaces. For "
            "more information, go to https://support.google.com/mail/?p=NoSuchUser - gsmtp",
            50,
        ),
        Bounce(
            SOFT,
            2,
            "452-4.2.2 The recipient's inbox is out of storage space. Please direct the recipient "
            "to https://support.google.com/mail/?p=OverQuotaTemp - gsmtp",
            25,
        ),
        Bounce(
            HARD,
            7,
            "550 5.2.1 The email account that you tried to reach is inactive. "
            "https://support.google.com/mail/?p=DisabledUser - gsmtp",
            10,
        ),
        Bounce(
            SOFT,
            5,
            "421-4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from "
            "your IP address. To protect our users from spam, mail sent from your IP address has "
            "been temporarily rate limited. - gsmtp",
            10,
        ),
        Bounce(
            HARD,
            4,
            "550-5.7.26 This mail has been blocked because the sender is unauthenticated. Gmail "
            "requires all senders to authenticate with either SPF or DKIM. - gsmtp",
            5,
        ),
    ),
    bounce_rate=130,
    open_rate=2300,
    machine_rate=350,
    machine=GMAIL_PREFETCH,
    readers=(GOOGLE_PROXY,) * 14 + MAIL_CLIENTS[::128],
)
MICROSOFT = Mailbox(
    "Microsoft",
    (
        ("hotmail.com", 70),
        ("outlook.com", 65),
        ("live.com", 15),
        ("hotmail.fr", 10),
        ("msn.com", 5),
        ("outlook.in", 5),
    ),
    "smtp;250 2.6.0 Queued mail for delivery -> 250 2.1.5",
    (
        Bounce(
            HARD, 1, "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302).", 45
        ),
        Bounce(
            HARD,
            3,
            "550 5.7.1 Unfortunately, messages from [198.51.100.24] weren't sent. Please contact "
            "your Internet service provider since part of their network is on our block list "
            "(S3140).",
            20,
        ),
        Bounce(
            SOFT,
            5,
            "451 4.7.650 The mail server [198.51.100.24] has been temporarily rate limited due to "
            "IP reputation. For e-mail delivery information, see https://postmaster.live.com "
            "(S775)",
            20,
        ),
        Bounce(
            SOFT,
            2,
            "554 5.2.2 mailbox full; "
            "STOREDRV.Deliver.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded; "
            "Failed to process message due to a permanent exception",
            15,
        ),
    ),
    bounce_rate=260,
    open_rate=1500,
    machine_rate=500,
    machine=APPLE_PRIVACY,
    readers=MAIL_CLIENTS + BROWSERS,
)
YAHOO = Mailbox(
    "Yahoo",
    (("yahoo.com", 75), ("yahoo.co.in", 25), ("aol.com", 12), ("ymail.com", 5), ("yahoo.fr", 3)),
    "smtp;250 2.0.0 ok dirdel",
    (
        Bounce(
            HARD,
            1,
            "554 delivery error: dd This user doesn't have a yahoo.com account ({recipient}) [0] "
            "- mta4306.mail.bf1.yahoo.com",
            50,
        ),
        Bounce(
            SOFT,
            5,
            "421 4.7.0 [TSS04] Messages from 198.51.100.24 temporarily deferred due to unexpected "
            "volume or user complaints - 4.16.55.1; see "
            "https://postmaster.yahooinc.com/error-codes",
            25,
        ),
        Bounce(
            HARD,
            4,
            "554 5.7.9 Message not accepted for policy reasons. See "
            "https://postmaster.yahooinc.com/error-codes",
            10,
        ),
        Bounce(SOFT, 2, "552 5.2.2 Requested mail action aborted: mailbox is over quota", 15),
    ),
    bounce_rate=310,
    open_rate=1300,
    machine_rate=400,
    machine=APPLE_PRIVACY,
    readers=(YAHOO_PROXY,) * 12 + MAIL_CLIENTS[::64],
)
APPLE = Mailbox(
    "Apple",
    (("icloud.com", 60), ("me.com", 15), ("mac.com", 5)),
    "smtp;250 2.0.0 Ok: queued",
    (
        Bounce(HARD, 1, "550 5.1.1 <{recipient}>: user does not exist", 55),
        Bounce(SOFT, 2, "552 5.2.2 <{recipient}>: user is over quota", 30),
        Bounce(
            HARD,
            4,
            "554 5.7.1 [CS01] Message rejected due to local policy. Please visit "
            "https://support.apple.com/en-us/HT204137",
            15,
        ),
    ),
    bounce_rate=150,
    open_rate=700,
    machine_rate=5200,
    machine=APPLE_PRIVACY,
    readers=MAIL_CLIENTS,
)
REGIONAL = Mailbox(
    "Regional",
    (
        ("rediffmail.com", 20),
        ("orange.fr", 12),
        ("web.de", 10),
        ("gmx.de", 10),
        ("libero.it", 8),
        ("mail.com", 5),
        ("naver.com", 5),
    ),
    "smtp;250 2.0.0 Message accepted for delivery",
    (
        Bounce(HARD, 1, "550 5.1.1 <{recipient}>: Recipient address rejected: User unknown", 40),
        Bounce(HARD, 1, "550 Requested action not taken: mailbox unavailable", 20),
        Bounce(SOFT, 2, "552 5.2.2 <{recipient}>: mailbox is over quota", 20),
        Bounce(
            SOFT,
            5,
            "450 4.7.1 <{recipient}>: Recipient address rejected: Greylisted, try again later",
            20,
        ),
    ),
    bounce_rate=420,
    open_rate=1400,
    machine_rate=250,
    machine=APPLE_PRIVACY,
    readers=MAIL_CLIENTS + BROWSERS,
)
# Reserved names (RFC 2606), because a made-up company might exist.
CORPORATE = Mailbox(
    "Other",
    (
        ("acme.example", 20),
        ("northwind.example", 15),
        ("contoso.example", 15),
        ("globex.example", 12),
        ("initech.example", 10),
        ("umbrella.example", 8),
        ("stark-industries.example", 8),
        ("wayne.example", 6),
        ("university.example", 6),
    ),
    "smtp;250 2.0.0 Ok: queued as 4bPq1W0zT4z9sSw",
    (
        Bounce(
            HARD,
            1,
            "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient {recipient} not found by SMTP "
            "address lookup",
            30,
        ),
        Bounce(HARD, 1, "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)", 20),
        Bounce(
            HARD,
            6,
            "550 5.1.2 Bad destination host: DNS Hard Error looking up the domain (MX): NXDomain",
            15,
        ),
        Bounce(
            HARD,
            3,
            "554 5.7.1 Service unavailable; Client host [198.51.100.24] blocked using "
            "zen.spamhaus.org; https://www.spamhaus.org/query/ip/198.51.100.24",
            15,
        ),
        Bounce(SOFT, 7, "451 4.4.1 Connection timed out while talking to the mail exchanger", 12),
        Bounce(SOFT, 2, "452 4.2.2 <{recipient}>: Mailbox full", 8),
    ),
    bounce_rate=480,
    open_rate=1700,
    machine_rate=500,
    machine=APPLE_PRIVACY,
    readers=MAIL_CLIENTS,
)

MAILBOXES: Final = (GOOGLE, MICROSOFT, YAHOO, APPLE, REGIONAL, CORPORATE)
