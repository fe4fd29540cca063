"""The pages of segments, of the fields that they ask for, and of grids."""

from __future__ import annotations

from dialer.web.views import fields, grids, segments

SEGMENT_VIEWS = (segments.routes, fields.routes, grids.routes)
