"""The policies that come with the server. Parameters, not legal advice: check them with counsel.

To change a number here, raise `version`: attempts keep the policy and the version they were made under.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType

from dialer.compliance.policy import CLOSED, ClockStart, Day, Hours, Limits, Policy, Purpose, Week

_READ = date(2026, 9, 1)
_H = 3600
_DAY = 24 * _H
_EIGHT_TO_NINE = Hours(8 * 60, 21 * 60)
_NINE_TO_NINE = Hours(9 * 60, 21 * 60)
_ROUND_THE_CLOCK = Hours(0, 24 * 60)
_day = Day.of
#: Labour Code of the Russian Federation, article 112.
_RU_HOLIDAYS = frozenset(
    {*((1, day) for day in range(1, 9)), (2, 23), (3, 8), (5, 1), (5, 9), (6, 12), (11, 4)}
)
#: 41-FZ of 2025, since 1 September 2025: who calls and why, beside the category, characters.
_RU_LABEL = 32
#: Nothing in Russian law sets a share of abandoned calls: the strictest known line is taken.
_NO_LINE = "the line for abandoned calls is this product's own (2 s, 3 %), no law sets one there"

_ALL = (
    Policy(
        code="default",
        version=1,
        jurisdiction="*",
        purpose=Purpose.ANY,
        title_ru="Осторожные значения для любой страны",
        title_en="Careful values for any country",
        source="The strictest common values: 2 s from the answer, 3 %, in 30 days, 15 s of ringing, 9 to 21",
        read_on=_READ,
        clock=ClockStart.ANSWER,
        abandon_after_s=2.0,
        abandon_cap=0.03,
        abandon_window_s=30 * _DAY,
        min_ring_s=15,
        week=Week.alike(_NINE_TO_NINE),
        redial_after_abandoned_s=72 * _H,
        redial_after_machine_s=24 * _H,
    ),
    Policy(
        code="us-tsr",
        version=1,
        jurisdiction="US",
        purpose=Purpose.ANY,
        title_ru="США: правила телемаркетинга (TSR, TCPA)",
        title_en="United States: Telemarketing Sales Rule, TCPA",
        source="16 CFR 310.4(b)(4); 47 CFR 64.1200(a)(6)-(7), (c)(1)",
        read_on=_READ,
        clock=ClockStart.GREETING_END,
        abandon_after_s=2.0,
        abandon_cap=0.03,
        abandon_window_s=30 * _DAY,
        min_ring_s=15,
        week=Week.alike(_EIGHT_TO_NINE),
        keep_days=5 * 366,
    ),
    Policy(
        code="us-regf",
        version=1,
        jurisdiction="US",
        purpose=Purpose.COLLECTION,
        title_ru="США: взыскание долгов (Reg F)",
        title_en="United States: debt collection (Regulation F)",
        source="Regulation F: 7 calls in 7 days about one debt, counted here over a person and its numbers; "
        "16 CFR 310.4(b)(4); 47 CFR 64.1200(a)(6)-(7), (c)(1)",
        read_on=_READ,
        clock=ClockStart.GREETING_END,
        abandon_after_s=2.0,
        abandon_cap=0.03,
        abandon_window_s=30 * _DAY,
        min_ring_s=15,
        week=Week.alike(_EIGHT_TO_NINE),
        limits=Limits(per_week=7),
        keep_days=5 * 366,
    ),
    Policy(
        code="uk-ofcom",
        version=1,
        jurisdiction="GB",
        purpose=Purpose.ANY,
        title_ru="Великобритания: политика Ofcom о назойливых вызовах",
        title_en="United Kingdom: Ofcom's policy on persistent misuse",
        source="Ofcom, persistent misuse policy. Since 1 March 2017 no share of abandoned calls is safe: "
        "the former line was 3 %, in 24 hours. The hours are this product's own",
        read_on=_READ,
        clock=ClockStart.GREETING_END,
        abandon_after_s=2.0,
        abandon_cap=0.03,
        abandon_window_s=_DAY,
        min_ring_s=15,
        week=Week(_day(_EIGHT_TO_NINE), _day(_NINE_TO_NINE), _day(_NINE_TO_NINE)),
        redial_after_abandoned_s=72 * _H,
        redial_after_machine_s=24 * _H,
    ),
    Policy(
        code="de-uwg",
        version=1,
        jurisdiction="DE",
        purpose=Purpose.ADVERTISING,
        title_ru="Германия: реклама по телефону",
        title_en="Germany: advertising by telephone",
        source="Working days 8 to 20, none on Sundays and holidays, 3 calls a day, an attempt under 3 rings "
        "counts as dropped, consent documented and kept 5 years. Saturdays and the holidays of every state "
        "are closed too, and the line for abandoned calls is this product's own (2 s, 3 %)",
        read_on=_READ,
        clock=ClockStart.ANSWER,
        abandon_after_s=2.0,
        abandon_cap=0.03,
        abandon_window_s=30 * _DAY,
        min_ring_s=15,
        week=Week(_day(Hours(8 * 60, 20 * 60)), CLOSED, CLOSED),
        regions=("DE-*",),
        limits=Limits(per_day=3),
        asks_consent=True,
        redial_after_abandoned_s=72 * _H,
        keep_days=5 * 366,
    ),
    Policy(
        code="fr-advertising",
        version=1,
        jurisdiction="FR",
        purpose=Purpose.ADVERTISING,
        title_ru="Франция: реклама по телефону",
        title_en="France: advertising by telephone",
        source="Monday to Friday 10 to 13 and 14 to 20, not on holidays; 4 calls in 30 days, counted here "
        "over 31; 60 days of silence after a refusal. The line for abandoned calls is this "
        "product's own (2 s, 3 %)",
        read_on=_READ,
        clock=ClockStart.ANSWER,
        abandon_after_s=2.0,
        abandon_cap=0.03,
        abandon_window_s=30 * _DAY,
        min_ring_s=15,
        week=Week(_day(Hours(10 * 60, 13 * 60), Hours(14 * 60, 20 * 60)), CLOSED, CLOSED),
        regions=("FR",),
        limits=Limits(per_month=4),
        redial_after_abandoned_s=72 * _H,
        redial_after_refusal_s=60 * _DAY,
    ),
    Policy(
        code="ru-38fz",
        version=1,
        jurisdiction="RU",
        purpose=Purpose.ADVERTISING,
        title_ru="Россия: реклама по телефону (38-ФЗ)",
        title_en="Russia: advertising by telephone (38-FZ)",
        source="38-FZ, article 18, parts 1 and 2: prior consent that can be proved; no selection and "
        f"dialling without a person; the hours and {_NO_LINE}",
        read_on=_READ,
        clock=ClockStart.ANSWER,
        abandon_after_s=2.0,
        abandon_cap=0.03,
        abandon_window_s=30 * _DAY,
        min_ring_s=15,
        week=Week.alike(_NINE_TO_NINE),
        holidays=_RU_HOLIDAYS,
        regions=("RU",),
        forbidden_modes=frozenset({"progressive", "power", "predictive"}),
        forbidden_by="38-FZ, article 18, part 2",
        asks_consent=True,
        label_max_length=_RU_LABEL,
    ),
    Policy(
        code="ru-230fz",
        version=1,
        jurisdiction="RU",
        purpose=Purpose.COLLECTION,
        title_ru="Россия: взыскание задолженности (230-ФЗ)",
        title_en="Russia: debt collection (230-FZ)",
        source=f"230-FZ, article 7, parts 3 and 5; {_NO_LINE}",
        read_on=_READ,
        clock=ClockStart.GREETING_END,
        abandon_after_s=2.0,
        abandon_cap=0.03,
        abandon_window_s=30 * _DAY,
        min_ring_s=15,
        week=Week(_day(Hours(8 * 60, 22 * 60)), _day(Hours(9 * 60, 20 * 60)), _day(Hours(9 * 60, 20 * 60))),
        holidays=_RU_HOLIDAYS,
        regions=("RU",),
        limits=Limits(per_day=1, per_week=2, per_month=8),
        label_max_length=_RU_LABEL,
    ),
    Policy(
        code="ru-service",
        version=1,
        jurisdiction="RU",
        purpose=Purpose.SERVICE,
        title_ru="Россия: сервисные звонки своим клиентам",
        title_en="Russia: service calls to one's own customers",
        source=f"41-FZ of 2025 (mass calls: consent or no refusal, label); the hours and {_NO_LINE}",
        read_on=_READ,
        clock=ClockStart.GREETING_END,
        abandon_after_s=2.0,
        abandon_cap=0.03,
        abandon_window_s=30 * _DAY,
        min_ring_s=15,
        week=Week.alike(_NINE_TO_NINE),
        holidays=_RU_HOLIDAYS,
        regions=("RU",),
        redial_after_abandoned_s=72 * _H,
        label_max_length=_RU_LABEL,
    ),
    Policy(
        code="demo",
        version=1,
        jurisdiction="*",
        purpose=Purpose.ANY,
        title_ru="Только для демонстрации: круглосуточно, вымышленные номера",
        title_en="For demonstrations only: round the clock, invented numbers",
        source="None: for a carrier on this machine, which connects nobody",
        read_on=_READ,
        clock=ClockStart.GREETING_END,
        abandon_after_s=2.0,
        abandon_cap=0.03,
        abandon_window_s=30 * _DAY,
        min_ring_s=5,
        week=Week.alike(_ROUND_THE_CLOCK),
        this_machine_only=True,
    ),
)

#: Stands in where nothing better is known.
CAREFUL = _ALL[0]
#: By code, in the order they are shown.
POLICIES: Mapping[str, Policy] = MappingProxyType({policy.code: policy for policy in _ALL})
