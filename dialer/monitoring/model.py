"""What is told to Prometheus: every metric with its meaning, and the text that it reads.

docs/reference/metrics.md is written from here. No metric and no label holds a number, a name of a person or
a secret; a campaign is named by its id, and its title is in `dozvon_campaign_info` alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dialer.clock import SILENT_S

Kind = Literal["gauge", "counter", "histogram"]

#: Seconds: from a page out of memory to a report over a year.
BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Described:
    """A metric as it is documented."""

    kind: Kind
    labels: tuple[str, ...]
    meaning: str


REQUESTS: Final = "dozvon_http_request_duration_seconds"

METRICS: Final[Mapping[str, Described]] = MappingProxyType(
    {
        "dozvon_info": Described("gauge", ("version",), "Always 1; the label is the server's version."),
        "dozvon_database_up": Described(
            "gauge",
            (),
            "1 when the database answered this scrape. When it is 0, only this, dozvon_info and the HTTP "
            "histogram are told.",
        ),
        "dozvon_engine_up": Described(
            "gauge", (), f"1 when the engine has spoken in the last {SILENT_S:g} seconds."
        ),
        "dozvon_engine_start_time_seconds": Described(
            "gauge", (), "When the engine started, seconds since 1970. Counters begin here."
        ),
        "dozvon_asterisk_up": Described(
            "gauge", (), "1 when the engine is up and logged in to Asterisk's manager interface."
        ),
        "dozvon_asterisk_events_total": Described(
            "counter", (), "Events of Asterisk that the engine has handled since its start."
        ),
        "dozvon_journal_behind": Described(
            "gauge", (), "Changes of calls that wait to be written to the database; near 0 when all is well."
        ),
        "dozvon_phones_up": Described("gauge", (), "Agents' phones that are connected and wait for calls."),
        "dozvon_calls": Described(
            "gauge",
            ("campaign", "state"),
            "Calls that have not ended, by state (dialling, ringing, answered, screening, waiting, "
            "connected, wrap_up).",
        ),
        "dozvon_attempts_total": Described(
            "counter",
            ("campaign", "result"),
            "Attempts made since the engine started that have a result (answered, busy, no_answer, ...).",
        ),
        "dozvon_agents": Described(
            "gauge",
            ("state",),
            "Agents with an open shift, by state (calling, paused, ready, reserved, talking, wrap_up, lost).",
        ),
        "dozvon_abandon_ratio": Described(
            "gauge",
            ("campaign",),
            "Abandoned / answered live of today, by the tenant's clock; absent before the first live answer.",
        ),
        "dozvon_connect_ratio": Described(
            "gauge",
            ("campaign",),
            "Answered live / attempts of today, by the tenant's clock; absent before the first attempt.",
        ),
        "dozvon_campaign_info": Described(
            "gauge",
            ("campaign", "title", "mode", "status"),
            "Always 1; titles, modes and states of campaigns that run or are paused.",
        ),
        "dozvon_leads_left": Described(
            "gauge",
            ("campaign",),
            "Leads that may still be dialled, of campaigns that run or are paused; counted once a minute.",
        ),
        "dozvon_trunk_channels": Described("gauge", ("trunk",), "Calls that hold a line of the trunk."),
        "dozvon_trunk_bad": Described(
            "gauge", ("trunk",), "1 while the carrier fails the trunk's calls and only probes go over it."
        ),
        "dozvon_trunk_spent_today": Described(
            "gauge",
            ("trunk",),
            "Money of today, by the tenant's clock, in the currency of the tariff; with what is reserved for "
            "calls on the line.",
        ),
        "dozvon_commands_waiting": Described(
            "gauge", (), "Things asked of the engine by pages and API that it has not done yet."
        ),
        "dozvon_events_waiting": Described(
            "gauge", (), "Events that have no number yet and so have not reached any stream."
        ),
        "dozvon_imports": Described("gauge", ("status",), "Imports that are queued or running."),
        REQUESTS: Described(
            "histogram",
            ("method", "route", "status"),
            "HTTP requests of this web process by pattern of their path; event streams are left out.",
        ),
    }
)

#: A value with its labels, in the order of the metric's.
Sample = tuple[Sequence[str], float]


class _Samples(Collector):
    def __init__(self, samples: Mapping[str, Iterable[Sample]]) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Metric]:
        for name, described in METRICS.items():
            if name not in self._samples:
                continue
            family: CounterMetricFamily | GaugeMetricFamily
            if described.kind == "counter":
                family = CounterMetricFamily(name, described.meaning, labels=described.labels)
            else:
                family = GaugeMetricFamily(name, described.meaning, labels=described.labels)
            for labels, value in self._samples[name]:
                family.add_metric(list(labels), value)
            yield family


def exposition(samples: Mapping[str, Iterable[Sample]], requests: CollectorRegistry) -> bytes:
    """The text that Prometheus reads: `samples` by metric, and what this process has counted itself."""
    unknown = samples.keys() - METRICS.keys()
    if unknown:
        raise ValueError(f"not documented: {sorted(unknown)}")
    registry = CollectorRegistry()
    registry.register(_Samples(samples))
    return generate_latest(registry) + generate_latest(requests)


def request_histogram() -> tuple[CollectorRegistry, Histogram]:
    """A histogram of requests in a registry of its own."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # one series more for each, which nobody reads
    registry = CollectorRegistry()
    described = METRICS[REQUESTS]
    return registry, Histogram(
        REQUESTS, described.meaning, described.labels, registry=registry, buckets=BUCKETS
    )


def reference() -> str:
    """docs/reference/metrics.md."""
    rows = [
        f"| `{name}` | {described.kind} | {', '.join(f'`{label}`' for label in described.labels) or '-'} "
        f"| {described.meaning} |"
        for name, described in METRICS.items()
    ]
    return f"""# Metrics

`GET /metrics` answers in Prometheus' text format. From this machine itself nothing more is needed, and all
tenants are told together; from elsewhere (and through a proxy) send an API token of a user with the right
`reports_read`, who is told of the own tenant. A campaign is named by its id.

```yaml
scrape_configs:
  - job_name: dozvon
    authorization:
      credentials_file: /etc/prometheus/dozvon-token
    static_configs:
      - targets: ["127.0.0.1:8080"]
```

`GET /healthz` needs no log-in: 200 when database, engine and the link to Asterisk work, else 503; the body
says which does not.

| metric | type | labels | meaning |
| --- | --- | --- | --- |
{chr(10).join(rows)}

This page is written by `python -m dialer.monitoring.model`.
"""


if __name__ == "__main__":
    print(reference(), end="")
