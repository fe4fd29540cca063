"""docs/reference/settings.md, written from the settings themselves: python -m dialer.settings_reference."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from dialer.settings import CONFIG_FILE, Settings


def reference() -> str:
    """The page."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = f"`{field.default}`" if field.default is not None and not field.default_factory else "-"
        if name == "data_dir":
            default = "`/var/lib/dozvon` for root, else `~/.local/share/dozvon`"
        meaning = (field.description or "").replace("|", "\\|")
        rows.append(f"| `DOZVON_{name.upper()}` | {_form(field.annotation)} | {default} | {meaning} |")
    return f"""# Settings

Each setting is read from the environment, else from a TOML file, else it has its default. The file is
`{CONFIG_FILE}`, or the one that `DOZVON_CONFIG` names; in it the names are small and without the prefix:

```toml
http_port = 8080
database_url = "postgresql://dozvon_app:...@db.example.org/dozvon"
```

A wrong setting is one line at the start. `dozvon settings` lists them all in the terminal, `dozvon check`
says which of them do not fit the machine. Secrets that are not set are made at the first start, in
`secrets/` in the data folder.

| setting | form | default | meaning |
| --- | --- | --- | --- |
{chr(10).join(rows)}

This page is written by `python -m dialer.settings_reference`.
"""


def _form(annotation: Any) -> str:
    """How a value is written."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return _form(next(one for one in get_args(annotation) if one is not NoneType))
    if origin is Literal:
        return " or ".join(f"`{word}`" for word in get_args(annotation))
    if hasattr(annotation, "__metadata__"):
        return _form(get_args(annotation)[0])
    return {"int": "whole number", "float": "number", "str": "text", "Path": "path", "SecretStr": "secret"}[
        annotation.__name__
    ]


if __name__ == "__main__":
    print(reference(), end="")
