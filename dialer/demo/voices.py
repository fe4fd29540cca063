"""What the loopback carrier's people, machines and phones say, as sound files made at its start.

Each file is 8 kHz, mono, 16 bit: pieces of speech with the speaker's own pauses between them, so that who
plays it sends voice packets without a gap, as a telephone does.
"""

from __future__ import annotations

import array
import asyncio
import math
import wave
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

#: Writes a text, spoken in a language, as a WAV file: `dialer.asterisk.speech.Speaker.speak`.
Speak = Callable[[str, str, Path], Awaitable[object]]

RATE_HZ = 8000
#: A called person waits so long for a first word, seconds; the length of the file `quiet`.
PATIENCE_S = 20.0

_HELLO = ("Алло.", "Да, слушаю.", "Алло, кто это?", "Да, говорите.")
_TALK = (
    (
        "Да, это я.",
        "Да, машина у меня третий год.",
        "Хорошо, расскажите подробнее.",
        "Понятно, а сколько это стоит?",
    ),
    (
        "А откуда вы звоните?",
        "Нет, мне это пока не нужно.",
        "Ну хорошо, давайте на субботу.",
        "Да, я запишу.",
    ),
    (
        "Слушаю вас внимательно.",
        "Кредит заканчивается осенью.",
        "Какие у вас условия?",
        "Спасибо, я подумаю.",
    ),
    (
        "Здравствуйте.",
        "Вы знаете, мне сейчас неудобно.",
        "Приехать смогу на следующей неделе.",
        "Да, всё верно.",
    ),
)
_MACHINE = (
    "Здравствуйте. Вы позвонили в нерабочее время. К сожалению, сейчас я не могу ответить на ваш звонок. "
    "Пожалуйста, оставьте сообщение после звукового сигнала.",
    "Абонент не может ответить на ваш вызов. Оставьте ваше сообщение после сигнала, и он обязательно вам "
    "перезвонит, как только это станет возможно.",
)
_WRONG_NUMBER = "Неправильно набран номер. Проверьте номер и повторите вызов."
_AGENT = (
    "Добрый день! Вас беспокоит автосалон.",
    "Подскажите, вам сейчас удобно говорить?",
    "У нас есть для вас специальное предложение.",
    "Когда вам удобно приехать на встречу?",
    "Спасибо, я всё записала.",
)

#: How many different people answer.
VOICES = len(_HELLO)


async def make_voices(speak: Speak, folder: Path, *, locale: str = "ru") -> None:
    """Write every file of the number plan into `folder`: hello-N, talk-N, machine-N, agent, ...

    Raises what `speak` raises where no speech can be made.
    """
    pieces = folder / "pieces"
    await asyncio.to_thread(pieces.mkdir, parents=True, exist_ok=True)
    texts = sorted({*_HELLO, *(text for talk in _TALK for text in talk), *_MACHINE, _WRONG_NUMBER, *_AGENT})
    files = {text: pieces / f"{i}.wav" for i, text in enumerate(texts)}
    try:
        async with asyncio.TaskGroup() as tasks:
            for text, path in files.items():
                tasks.create_task(_speak_one(speak, text, locale, path))
    except* Exception as group:
        # All fail for one reason, and it is the program that speaks.
        raise group.exceptions[0] from None
    await asyncio.to_thread(_compose, folder, files)


async def _speak_one(speak: Speak, text: str, locale: str, path: Path) -> None:
    await speak(text, locale, path)


def _compose(folder: Path, files: Mapping[str, Path]) -> None:
    spoken = {text: read_wav(path) for text, path in files.items()}
    for i in range(VOICES):
        # Some time passes between taking the phone and the first sound.
        write_wav(folder / f"hello-{i}.wav", silence(0.4) + spoken[_HELLO[i]])
        write_wav(folder / f"talk-{i}.wav", _in_turns([spoken[text] for text in _TALK[i]], pause_s=3.5))
        greeting = spoken[_MACHINE[i % len(_MACHINE)]]
        write_wav(folder / f"machine-{i}.wav", silence(0.5) + greeting + silence(0.4) + tone(1000, 0.7))
    write_wav(folder / "wrong-number.wav", spoken[_WRONG_NUMBER])
    write_wav(folder / "agent.wav", _in_turns([spoken[text] for text in _AGENT], pause_s=2.0))
    write_wav(folder / "quiet.wav", silence(PATIENCE_S))


def silence(seconds: float) -> bytes:
    """Samples of no sound."""
    return bytes(2 * round(seconds * RATE_HZ))


def tone(frequency_hz: float, seconds: float) -> bytes:
    """Samples of a steady tone at a third of full scale."""
    step = 2 * math.pi * frequency_hz / RATE_HZ
    samples = array.array("h", (round(10_000 * math.sin(step * i)) for i in range(round(seconds * RATE_HZ))))
    return samples.tobytes()


def read_wav(path: Path) -> bytes:
    """The samples of a file. Raises ValueError if it is not 8 kHz, mono, 16 bit."""
    with wave.open(str(path), "rb") as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (RATE_HZ, 1, 2):
            raise ValueError(f"{path} is not 8 kHz, mono, 16 bit")
        return file.readframes(file.getnframes())


def write_wav(path: Path, samples: bytes) -> None:
    """Write the samples as a file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(samples)


def _in_turns(pieces: Sequence[bytes], *, pause_s: float) -> bytes:
    return b"".join(piece + silence(pause_s) for piece in pieces)
