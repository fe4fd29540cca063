"""What is done with any channel of Asterisk."""

from __future__ import annotations

import structlog

from dialer.asterisk.ami import AmiLink
from dialer.errors import ActionFailed, AsteriskUnavailable

log = structlog.get_logger(__name__)


async def hang_up_channel(link: AmiLink, channel: str) -> None:
    """Ask Asterisk to end one channel; that it is gone already is no error."""
    try:
        await link.send({"Action": "Hangup", "Channel": channel, "Cause": "16"})
    except ActionFailed:
        log.info("hangup_of_no_channel", channel=channel)
    except AsteriskUnavailable:
        log.warning("hangup_not_sent", channel=channel)
        raise
