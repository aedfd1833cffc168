"""The people that simulated campaigns write to, computed from their number and never stored."""

from __future__ import annotations

from typing import Final

from pepi_stream.simulate.mailboxes import MAILBOXES, Mailbox
from pepi_stream.simulate.weighted import weighted_table

AUDIENCE_SIZE: Final = 600_000
"""How many different people there are; campaigns overlap because they all draw from these."""

_FIRST: Final = (
    "aarav", "aditi", "amelie", "amit", "ana", "anita", "anna", "arjun", "asha", "ben", "bruno",
    "carla", "carlos", "chen", "chloe", "claire", "daniel", "david", "deepa", "diego", "divya",
    "elena", "emma", "erik", "fatima", "felix", "grace", "hana", "hugo", "ines", "isha", "ivan",
    "jack", "james", "jan", "jose", "julia", "karan", "kavya", "kenji", "laura", "leila", "liam",
    "lucas", "maria", "marta", "maya", "mei", "mohan", "neha", "nina", "noah", "olga", "omar",
    "pooja", "priya", "rahul", "ravi", "rosa", "sara", "sofia", "tariq", "vikram", "zoe",
)  # fmt: skip
_LAST: Final = (
    "agarwal", "ahmed", "ali", "almeida", "bauer", "bernard", "bose", "brown", "chatterjee",
    "chopra", "costa", "das", "davis", "desai", "dubois", "fernandes", "fischer", "garcia",
    "ghosh", "gupta", "hansen", "hughes", "iyer", "jackson", "jain", "jones", "joshi", "kapoor",
    "khan", "kim", "kumar", "laurent", "lee", "lopez", "martin", "mehta", "meyer", "miller",
    "mishra", "moreau", "nair", "nguyen", "novak", "patel", "pillai", "rao", "reddy", "rossi",
    "roy", "sato", "schmidt", "sen", "shah", "sharma", "silva", "singh", "smith", "suzuki",
    "tan", "taylor", "thomas", "varma", "weber", "wilson",
)  # fmt: skip
# Allowed by RFC 6531 (UTF-8) and RFC 5321 (apostrophe); rare, and what breaks careless code.
_RARE: Final = (
    "josé.núñez",
    "zoë.müller",
    "søren.åberg",
    "o'brien.kate",
    "sean.o'neill",
    "d'souza.maria",
)

_LOCAL_BITS: Final = 12
_LOCAL_MASK: Final = (1 << _LOCAL_BITS) - 1


def _local_parts() -> tuple[str, ...]:
    """Return 4,096 different local parts in a few of the shapes that people choose."""
    names = [
        f"{first}.{last}" if (row + column) % 3 else f"{first}{last}"
        for row, first in enumerate(_FIRST)
        for column, last in enumerate(_LAST)
    ]
    for index, rare in enumerate(_RARE):
        names[index * 683 + 11] = rare
    return tuple(names)


_LOCALS: Final = _local_parts()
_HOMES: Final = weighted_table(
    [((domain, box), share) for box in MAILBOXES for domain, share in box.domains], 4096
)


def person(number: int) -> tuple[str, Mailbox]:
    """Return the address and the mailbox provider of one person.

    Args:
        number: 0 or more; taken modulo ``AUDIENCE_SIZE``. Two people never share an address.
    """
    number %= AUDIENCE_SIZE
    # Knuth's multiplicative hash: an odd factor permutes the low bits, so the pair of low hash bits
    # and high number bits is unique, and the high hash bits spread people over the domains.
    mixed = (number * 2654435761) & 0xFFFFFFFF
    domain, mailbox = _HOMES[mixed >> 20]
    return f"{_LOCALS[mixed & _LOCAL_MASK]}{number >> _LOCAL_BITS or ''}@{domain}", mailbox
