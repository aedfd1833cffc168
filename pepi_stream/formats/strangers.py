"""Which provider a record looks like that no format reads, for the reason of its dead letter.

Sources: the webhook pages of each provider's documentation. A record looks like a provider's when
it has all keys of one of its signatures; the first that fits counts, so the narrower one stands
first. To name another provider, add a line.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

_SIGNATURES: Final[tuple[tuple[str, str], ...]] = (
    ("Mandrill", "event msg"),
    ("Mandrill", "type action reject"),
    ("Mailjet", "event mj_campaign_id"),
    ("Mailjet", "event mj_contact_id"),
    ("Mailjet", "event MessageID"),
    ("Mailjet", "event Message_GUID"),
    ("Brevo (Sendinblue)", "event ts_event"),
    ("Brevo (Sendinblue)", "event ts_epoch"),
    ("Brevo (Sendinblue)", "event camp_id"),
    ("Brevo (Sendinblue)", "event message-id date"),
    ("Brevo (Sendinblue)", "event message-id email"),
    ("Brevo (Sendinblue)", "event X-Mailin-custom"),
    ("SMTP2GO", "event email_id rcpt"),
    ("SMTP2GO", "event email_id sendtime"),
    ("Mailtrap", "event sending_stream"),
    ("Mailtrap", "event message_id sending_domain_name"),
    ("ZeptoMail", "event_name event_message"),
    ("MailerSend", "type webhook_id data"),
    ("MailerSend", "type domain_id data"),
    ("Emailit", "event_id type data"),
    ("Mailchimp", "type fired_at"),
    ("Resend", "type created_at data"),
    ("Postal", "event payload timestamp"),
    ("Postal", "event payload uuid"),
    ("Postal", "event payload"),
    ("Postal", "status details output message"),
    ("Elastic Email", "transaction messageid status"),
    ("Elastic Email", "transaction to status category"),
    ("Elastic Email", "to status channel messageid"),
    ("SocketLabs", "Type ServerId SecretKey"),
    ("SocketLabs", "Type ServerId MessageId"),
    ("SocketLabs", "Type ServerId MailingId"),
    ("Customer.io", "metric object_type"),
    ("Customer.io", "event_type event_id timestamp data"),
    ("Iterable", "eventName dataFields"),
    ("Loops", "eventName webhookSchemaVersion"),
    ("ActiveCampaign", "type initiated_from"),
    ("ActiveCampaign", "type date_time contact"),
    ("Campaign Monitor", "ListID Events"),
    ("Maileroo", "event_type message_reference_id"),
    ("Scaleway", "type email_id organization_id"),
    ("HubSpot", "subscriptionType portalId"),
    ("HubSpot", "appId portalId eventId"),
    ("Klaviyo", "event_properties metric"),
    ("Braze", "event_type properties user"),
    ("MoEngage", "app_name events source"),
    ("Zoho Campaigns", "webhook_id actionType data"),
    ("Azure Communication Services", "eventType eventTime dataVersion"),
    ("Azure Communication Services", "eventType eventTime subject data"),
    ("Azure Communication Services", "specversion type source data"),
)
_ALL: Final = [(name, frozenset(keys.split())) for name, keys in _SIGNATURES]


def looks_like(keys: Collection[str]) -> str | None:
    """Return the name of the provider that a record with these keys looks like, if it is known."""
    found = frozenset(keys)
    return next((name for name, signature in _ALL if signature <= found), None)
