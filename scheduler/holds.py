"""Why a lead rests: the words of `lead.hold`. Counted, they say what a campaign waits for."""

from __future__ import annotations

from enum import StrEnum


class Hold(StrEnum):
    """What has to come before the lead may be dialled. Each filter of `dialer.compliance.filters` is one."""

    DO_NOT_CALL = "do_not_call"
    CONSENT = "consent"
    ZONE = "zone"
    HOURS = "hours"
    LIMITS = "limits"
    REDIAL = "redial"
    #: the campaign's trunks do not call such numbers
    TRUNK = "trunk"
    #: the retry rule's own wait
    RETRY = "retry"
    #: the person asked for a call at that time
    CALLBACK = "callback"
    #: as many talks as are wanted were had with people of its kind
    QUOTA = "quota"
