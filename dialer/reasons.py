"""What pydantic finds wrong, in our words."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic_core import ErrorDetails

from dialer.said import Said, why

#: pydantic's error types in our words, filled from the error's context; other types keep pydantic's words.
REASONS: Mapping[str, str] = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "string_too_short": "needs {min_length} characters or more",
    "string_too_long": "may have {max_length} characters at most",
    "string_pattern_mismatch": "does not have the right form",
    "string_type": "must be a text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number",
    "decimal_type": "must be a number",
    "decimal_parsing": "must be a number",
    "decimal_max_digits": "may have {max_digits} digits at most",
    "decimal_max_places": "may have {decimal_places} digits at most after the point",
    "decimal_whole_digits": "may have {whole_digits} digits at most before the point",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "too_short": "needs {min_length} items or more",
    "too_long": "may have {max_length} items at most",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be {le} or less",
    "enum": "must be one of: {expected}",
    "literal_error": "must be one of: {expected}",
    "uuid_parsing": "must be a UUID",
    "uuid_type": "must be a UUID",
    "datetime_parsing": "must be a time like 2026-01-31T09:00:00+03:00",
    "datetime_from_date_parsing": "must be a time like 2026-01-31T09:00:00+03:00",
    "datetime_type": "must be a time like 2026-01-31T09:00:00+03:00",
    "datetime_object_invalid": "must be a time like 2026-01-31T09:00:00+03:00",
    "timezone_aware": "must name its offset from UTC",
    "date_type": "must be a date like 2026-01-31",
    "date_parsing": "must be a date like 2026-01-31",
    "date_from_datetime_inexact": "must be a date like 2026-01-31",
    "date_from_datetime_parsing": "must be a date like 2026-01-31",
}


def reason_of(found: ErrorDetails, forms: Mapping[str, str]) -> str:
    """The reason of one finding. `forms`: what fits a pattern, as whoever sent something else is told."""
    context = found.get("ctx", {})
    template = REASONS.get(found["type"])
    if found["type"] == "value_error" and isinstance(context.get("error"), ValueError):
        return why(context["error"])
    if context.get("pattern") in forms:
        return forms[context["pattern"]]
    if "expected" in context:
        context = context | {"expected": str(context["expected"]).replace("' or '", "', '")}
    return Said(template, **context) if template else found["msg"]
