"""SES by SNS: notifications go in the queue; a subscription is for the operator to confirm."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from pepi_stream.ingest import sns
from pepi_stream.ingest.certificates import Certificates
from pepi_stream.ingest.scheme import Clock, Headers, Verdict, wrong

logger = logging.getLogger(__name__)


class Ses:
    """Verifies SNS's signature.

    Args:
        topics: the ARNs whose messages are welcome.
        certificates: where SNS's certificates come from.
        now: seconds since 1970.
    """

    proves_early = False

    def __init__(
        self, topics: Iterable[str], certificates: Certificates, now: Clock = time.time
    ) -> None:
        self._topics = frozenset(topics)
        self._certificates = certificates
        self._now = now
        self._shown: dict[str, str] = {}  # topic -> id of the last message about its subscription

    def screen(self, headers: Headers) -> None:
        """Refuse nothing: the signature is in the body."""

    async def verify(self, headers: Headers, body: bytes) -> Verdict:
        """Let a notification in that SNS has signed; show a confirmation, and follow none."""
        message = sns.parse(body)
        if message.TopicArn not in self._topics:
            raise wrong("the topic is not in ingest.ses_topic_arns")
        sns.require_own_region(message)
        sns.require_recent(message, self._now)
        certificate = await self._certificates.get(message.SigningCertURL)
        sns.require_signed(message, certificate, self._now)
        self._certificates.keep(message.SigningCertURL, certificate)
        if message.Type == "Notification":
            return Verdict(body=sns.known_members(body, message))
        if self._shown.get(message.TopicArn) != message.MessageId:
            self._shown[message.TopicArn] = message.MessageId
            if message.Type == "SubscriptionConfirmation":
                logger.warning(
                    "ingest: SNS asks whether messages of %s shall come here. If you want that, "
                    "open this address within two days: %s",
                    message.TopicArn,
                    message.SubscribeURL,
                )
            else:
                logger.warning(
                    "ingest: SNS says that messages of %s no longer come here", message.TopicArn
                )
        return Verdict(push=False)
