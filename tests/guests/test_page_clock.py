"""The page's clock filter computes the same as the one in C, on the same exchanges."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

import pytest

from phaselock._native import ClockFilter
from tests.support import browser
from tests.support.exchanges import WAN, WIFI, WIRED, Link, Trains
from tests.support.page_host import PageHost

pytestmark = pytest.mark.skipif(bool(browser.unavailable()), reason=browser.unavailable())

LOCAL_AT_0_NS = 7_000_000_000
HOST_AT_0_NS = 1_800_000_000_000_000_000
CHANGE_AT_NS = 20e9
"""When the own clock steps or changes its speed, in the traces in which it does."""


class Traced:
    """Trains of exchanges over a link, and what the filter in C says after each, or after each exchange."""

    def __init__(
        self,
        link: Link,
        *,
        ppm: float,
        step_ns: int = 0,
        bend_ppm: float = 0.0,
        seconds: float = 35,
        one_by_one: bool = False,
    ) -> None:
        self.rows: list[dict[str, object]] = []
        self.filter = ClockFilter("envelope")

        def local(true_ns: float) -> int:
            late_ns = max(0.0, true_ns - CHANGE_AT_NS)
            step = step_ns if late_ns else 0
            return LOCAL_AT_0_NS + step + round(true_ns * (1 + ppm * 1e-6) + late_ns * bend_ppm * 1e-6)

        trains = Trains(random.Random(3), link, link, local, lambda true_ns: HOST_AT_0_NS + round(true_ns))
        for over_ns, exchanges in trains.run(0, seconds * 1e9):
            for some in [[one] for one in exchanges] if one_by_one else [exchanges]:
                now_ns = some[-1][3] if one_by_one else local(over_ns)
                for exchange in some:
                    self.filter.add(*exchange)
                known = self.filter.map(now_ns)
                self.rows.append(
                    {
                        "exchanges": [[str(at_ns) for at_ns in exchange] for exchange in some],
                        "now": str(now_ns),
                        "offset": None if known is None else str(known.offset_ns),
                        "drift": known and known.drift,
                        "uncertainty": known and known.uncertainty_ns,
                    }
                )


COMPARE = """
async rows => {
  const {ClockFilter, nsSince} = await import("/clock.js");
  const filter = new ClockFilter(), [own, host] = rows.find(row => row.exchanges.length).exchanges[0];
  const worst = {offset: 0, drift: 0, uncertainty: 0, unlike: 0};
  const away = (name, there, here) => { worst[name] = Math.max(worst[name], Math.abs(there - here)); };
  for (const row of rows) {
    for (const [t1, t2, t3, t4] of row.exchanges)
      filter.add(nsSince(t1, own), nsSince(t2, host), nsSince(t3, host), nsSince(t4, own));
    const map = filter.map(nsSince(row.now, own));
    if (!map !== (row.offset === null)) worst.unlike++;
    if (!map) continue;
    away("offset", map.offsetNs, nsSince(row.offset, String(BigInt(host) - BigInt(own))));
    away("drift", map.drift, row.drift);
    away("uncertainty", map.uncertaintyNs, row.uncertainty);
  }
  return {...worst, steps: filter.steps};
}
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Page]:
    with PageHost() as host, browser.Browser(tmp_path_factory.mktemp("browser")) as chromium:
        page = chromium.page(host.url + "page.css")  # a document without scripts of its own
        page.run('import("/clock.js")')
        host.drop()
        yield page


TRACES = {
    "wired": {"link": WIRED, "ppm": 50},
    "wifi": {"link": WIFI, "ppm": -30},
    "wan": {"link": WAN, "ppm": 20},
    "step": {"link": WIRED, "ppm": 10, "step_ns": 3_000_000},
    "step, seen one by one": {"link": WIRED, "ppm": 10, "step_ns": 3_000_000, "one_by_one": True, "seconds": 23},
    "bend": {"link": WIRED, "ppm": 10, "bend_ppm": 30},
}


@pytest.mark.parametrize("name", TRACES)
def test_the_filter_agrees_with_the_one_in_c(page: browser.Page, name: str) -> None:
    traced = Traced(**TRACES[name])
    found = page.run(f"({COMPARE})({json.dumps(traced.rows)})")
    assert found["unlike"] == 0
    assert found["offset"] <= 2  # ns
    assert found["drift"] < 1e-12
    assert found["uncertainty"] < 1
    assert found["steps"] == traced.filter.steps == name.startswith("step")
    assert traced.filter.bends == (name == "bend")


def test_times_of_the_server_are_exact(page: browser.Page) -> None:
    script = """(async () => {
      const {nsSince} = await import("/clock.js");
      return [nsSince("1800000000000000001", "1799999999999999999"), nsSince("5", "1000000000"), nsSince("-3", "4")];
    })()"""
    assert page.run(script) == [2, -999_999_995, -7]


SIMULATED = """(async () => {
  const {SessionClock} = await import("/clock.js");
  let ownMs = 5000;
  const sent = [];
  const clock = new SessionClock({send: message => sent.push(message), now: () => Math.floor(ownMs), stepMs: 1});
  const host = ms => String(1800000000000000000n + BigInt(Math.round(ms * 1e6)));
  // Packets need 2.18 ms each way, and the browser rounds down to whole ms.
  for (let n = 0; n < 300; n++) {
    clock.start();
    for (let k = 0; k < 2; k++) {
      const ping = sent.pop();
      const t1_ns = host(ownMs + 2.18);
      ownMs += 4.36;
      clock.receive({type: "pong", t0: ping.t0, t1_ns, t2_ns: t1_ns});
      if (k === 0) clock.ping();
    }
    clock.stop();
    ownMs += 40.21;
  }
  return {
    error: clock.sessionMs(ownMs) - clock.fromText(host(ownMs)),
    back: clock.localFromSessionMs(clock.sessionMs(ownMs)) - ownMs,
    uncertainty: clock.uncertaintyMs(ownMs),
    unusable: !clock.usable,
  };
})()"""


def test_a_clock_that_shows_whole_milliseconds_is_read_more_exactly_than_that(page: browser.Page) -> None:
    found = page.run(SIMULATED)
    assert abs(found["error"]) < 0.2
    assert abs(found["back"]) < 1e-6
    assert 0.2 < found["uncertainty"] < 1.5
    assert not found["unusable"]
