"""The sound of a campaign's message: its words, spoken, where Asterisk can play them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from dialer.asterisk.speech import Speaker


class PromptSounds:
    """Speaks messages into the prompts folder."""

    def __init__(self, speaker: Speaker, prompts_dir: Path, locale: str) -> None:
        self._speaker = speaker
        self._prompts_dir = prompts_dir
        self._locale = locale

    async def message(self, tenant_id: int, campaign_id: int, words: str) -> str:
        """Make the sound of a campaign's message; its path below the prompts folder, without the ending.

        Other words make another file: a call that is under way hears what it was told. Raises PartMissing
        where there is no voice, BadSound for words that cannot be spoken.
        """
        mark = hashlib.sha256(words.encode()).hexdigest()[:16]
        name = f"messages/{tenant_id}-{campaign_id}-{mark}"
        path = self._prompts_dir / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        await self._speaker.speak(words, self._locale, path)
        return name
