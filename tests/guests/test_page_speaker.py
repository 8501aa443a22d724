"""The page as a loudspeaker: its clock of the output, its songs, and how it follows a timeline, on virtual clocks."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

import phaselock
from phaselock.audio.formats import mp3
from phaselock.audio.sweeps import sweep
from phaselock.guests.states import sweep_message
from phaselock.model.sweeps import schedule
from phaselock.session.effects import GuestSweep
from tests.support import browser
from tests.support.page_host import PageHost

pytestmark = pytest.mark.skipif(bool(browser.unavailable()), reason=browser.unavailable())

TUNE = pathlib.Path(phaselock.__file__).parent / "data" / "tune.mp3"

FAKES = """
  const {OutputClock} = await import("/output.js"), {Speaker} = await import("/speaker.js");
  const {SessionClock} = await import("/clock.js");
  const RATE = 48000;
  // A sound card that leaves the own clock by `ppm`, `latencyMs` behind currentTime, which moves in blocks of 10 ms.
  const world = {ms: 1000, ppm: 20, latencyMs: 60, shiftMs: 0, stamps: true, lags: true, tells: true, state: "running"};
  const started = [], played = world => (world.ms - 1000) / 1e3 * (1 + world.ppm * 1e-6) - world.shiftMs / 1e3;
  class Param {
    constructor() { this.value = 0; this.events = []; }
    setValueAtTime(value, at) { this.value = value; this.events.push([at, value]); }
    linearRampToValueAtTime(value, at) { this.value = value; this.events.push([at, value]); }
    setTargetAtTime(value, at) { this.events.push([at, value]); }
    cancelScheduledValues(at) { this.events = this.events.filter(event => event[0] < at); }
  }
  const context = {
    sampleRate: RATE, destination: null, listeners: [],
    get state() { return world.state; },
    get currentTime() { return Math.floor(played(world) * 100) / 100; },
    get outputLatency() { return world.tells ? world.latencyMs / 1e3 : undefined; },
    getOutputTimestamp() {
      if (!world.stamps) return {contextTime: 0, performanceTime: 0};
      const heard = played(world) - (world.lags ? world.latencyMs / 1e3 : 0);
      return {contextTime: Math.max(0, heard), performanceTime: world.ms};
    },
    addEventListener(type, call) { this.listeners.push(call); }, removeEventListener() {},
    createGain() { return {gain: new Param(), connect() {}, disconnect() {}}; },
    createBufferSource() {
      return {playbackRate: new Param(), connect() {}, stop(at) { this.stopped = at; },
              start(at, offset, length) { Object.assign(this, {at, offset, length}); started.push(this); }};
    },
  };
  const clock = new SessionClock({send() {}, now: () => world.ms, stepMs: 0});
  clock.base = "1800000000000000000";
  const sessionNs = ms => String(1800000000000000000n + BigInt(Math.round(ms * 1e6)));
  // The session's time is own time + 500 ms.
  for (let ms = 1; ms < 1000; ms += 50) {
    clock.filter.add(ms * 1e6, (ms + 500.2) * 1e6, (ms + 500.2) * 1e6, (ms + 0.4) * 1e6);
    clock.known = clock.filter.map(ms * 1e6);
  }
  const song = id => ({id, url: "", size: 1, rate_hz: 44100, frames: 44100 * 100, skip_frames: 0});
  const plan = (id, startMs, more) => (
    {id, start_session_ns: sessionNs(startMs), start_frame: 0, stop_session_ns: null, gain_db: 0, ...more});
  const ready = {state: "ready", buffer: {length: RATE * 100, sampleRate: RATE}, leadS: 0, unsureS: 0};
  let speaker = null;
  const speak = () => {
    speaker = new Speaker({audioContext: context, clock, fetchSong: () => new Promise(() => {})});
    clearInterval(speaker.timer);
  };
  const follow = (current, then = null) => {
    for (const id of ["a", "b"]) speaker.songs.kept.set(id, ready);
    speaker.follow({type: "timeline", songs: [song("a"), song("b")], current, then});
  };
  const run = ms => { for (const end = world.ms + ms; world.ms < end; world.ms += 100) speaker.tick(); };
  // How much too early, in ms, the card plays what a source plays, if it played at rate 1 from its start on.
  const heardMs = at => 1000 + (at + (world.shiftMs + world.latencyMs) / 1e3) * 1e3 / (1 + world.ppm * 1e-6);
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Page]:
    with PageHost() as host, browser.Browser(tmp_path_factory.mktemp("browser")) as chromium:
        host.songs["tune"] = TUNE.read_bytes()
        page = chromium.page(host.url + "page.css")  # a document without scripts of its own
        page.run("""(async () => {
          await Promise.all([import("/clock.js"), import("/speaker.js"), import("/sweeps.js")]);
          const answer = await fetch("/song/tune", {headers: {Authorization: "Bearer t1"}});
          window.tune = await answer.arrayBuffer();
        })()""")
        host.drop()
        yield page


def run(page: browser.Page, script: str) -> Any:
    return page.run(f"(async () => {{ {FAKES} {script} }})()")


def test_a_song_starts_when_the_timeline_says(page: browser.Page) -> None:
    found = run(
        page,
        """
      speak(); follow(plan("a", 8500)); run(9000);
      return {count: started.length, at: heardMs(started[0].at) + 500 - 8500, offset: started[0].offset,
              whole: started[0].at * RATE % 1, status: speaker.status()};
    """,
    )
    assert found["count"] == 1 and found["offset"] == 0
    assert abs(found["at"]) < 0.05  # ms; a frame is 0.02
    assert min(found["whole"], 1 - found["whole"]) < 1e-6
    assert found["status"]["state"] == "playing"
    assert abs(found["status"]["errorMs"]) < 0.05
    assert 2 <= found["status"]["uncertaintyMs"] < 4


def test_who_comes_late_starts_inside_the_song(page: browser.Page) -> None:
    found = run(
        page,
        """
      speak(); run(3000); follow(plan("a", -20000, {start_frame: 44100})); run(3000);
      const {at, offset} = started[0];
      return offset - (1 + (heardMs(at) + 500 + 20000) / 1e3);
    """,
    )
    assert abs(found) < 50e-6  # s


def test_pause_resume_and_seek(page: browser.Page) -> None:
    found = run(
        page,
        """
      speak(); follow(plan("a", 5000)); run(9000);
      const pauseMs = world.ms + 900;
      follow(plan("a", 5000, {stop_session_ns: sessionNs(pauseMs)})); run(1000);
      const paused = speaker.status().state, stopped = heardMs(started[0].stopped) + 500 - pauseMs;
      const resumeMs = world.ms + 1000;
      follow(plan("a", resumeMs, {start_frame: 5 * 44100})); run(2000);
      const resumed = [heardMs(started[1].at) + 500 - resumeMs, started[1].offset];
      const seekMs = world.ms + 1000;
      follow(plan("a", seekMs, {start_frame: 60 * 44100})); run(2000);
      const gap = started[1].stopped - started[2].at;
      return {paused, stopped, resumed, gap, count: started.length, offset: started[2].offset};
    """,
    )
    assert found["paused"] == "silent"
    assert 0 <= found["stopped"] < 6  # ms: a fade of 5 ms follows
    assert abs(found["resumed"][0]) < 0.05 and found["resumed"][1] == pytest.approx(5, abs=25e-6)  # a frame
    assert 0 <= found["gap"] < 0.006  # s
    assert found["count"] == 3 and found["offset"] == pytest.approx(60, abs=25e-6)


def test_the_next_song_follows_without_a_gap(page: browser.Page) -> None:
    found = run(
        page,
        """
      speak(); follow(plan("a", 4000, {start_frame: 90 * 44100}), plan("b", 14000)); run(12000);
      const end = speaker.voices.get([...speaker.voices.keys()][0]).voice.atS(100);
      const sounding = started.length;
      follow(plan("b", 14000)); run(2000);
      return {sounding, gap: started[1].at - end, stopped: started[1].stopped, state: speaker.status().state,
              length: started[0].length};
    """,
    )
    assert found["sounding"] == 2
    assert abs(found["gap"]) < 30e-6  # s: a whole frame
    assert found["length"] == pytest.approx(10, abs=25e-6)
    assert "stopped" not in found and found["state"] == "playing"


def test_a_crossfade_keeps_the_song_before_until_its_end(page: browser.Page) -> None:
    found = run(
        page,
        """
      speak();
      const fade_out = {begin_session_ns: sessionNs(12000), length_ns: "4000000000"};
      const b = plan("b", 12000, {crossfade_ns: "4000000000"});
      follow(plan("a", 4000, {fade_out}), b); run(10700);
      follow(b); run(1500);
      const [a, next] = [...speaker.voices.values()].map(one => one.voice.gain.gain.events);
      const middle = events => events.reduce((best, event) =>
        Math.abs(event[1] - Math.SQRT1_2) < Math.abs(best[1] - Math.SQRT1_2) ? event : best);
      return {falls: heardMs(middle(a)[0]) + 500, rises: heardMs(middle(next)[0]) + 500, stopped: started[0].stopped};
    """,
    )
    assert found["falls"] == pytest.approx(14_000, abs=1)
    assert found["rises"] == pytest.approx(14_000, abs=1)
    assert "stopped" not in found


def test_a_small_error_is_removed_by_the_rate_and_a_large_one_by_a_jump(page: browser.Page) -> None:
    found = run(
        page,
        """
      speak(); follow(plan("a", 4000)); run(12000);
      speaker.setLater(2); run(300);
      const small = [];
      let most = 0;
      for (let n = 0; n < 150; n++) {
        run(100);
        const {voice} = [...speaker.voices.values()][0];
        most = Math.max(most, Math.abs(voice.rate - 1));
        small.push(speaker.status().errorMs);
      }
      const kept = started.length;
      speaker.setLater(200); run(1000);
      return {first: small[0], last: small[small.length - 1], most, kept, jumped: started.length,
              error: speaker.status().errorMs};
    """,
    )
    assert found["first"] == pytest.approx(2, abs=0.3)
    assert abs(found["last"]) < 0.1
    assert found["most"] < 1.1e-3
    assert found["kept"] == 1 and found["jumped"] == 2
    assert abs(found["error"]) < 0.1


def test_a_step_of_the_output_is_followed(page: browser.Page) -> None:
    found = run(
        page,
        """
      speak(); follow(plan("a", 4000)); run(12000);
      world.shiftMs = 30; run(4000); // the sound stopped for 30 ms
      const {voice, plan: now} = [...speaker.voices.values()][0];
      const at = context.currentTime + 0.2;
      return voice.positionS(at) * 1e3 - (heardMs(at) + 500 - 4000);
    """,
    )
    assert abs(found) < 0.2  # ms


def test_an_interrupted_page_waits_for_a_touch_and_goes_on(page: browser.Page) -> None:
    found = run(
        page,
        """
      speak(); follow(plan("a", 4000)); run(9000);
      world.state = "suspended"; run(2000);
      const waits = speaker.status().state;
      world.shiftMs += 2000; world.state = "running"; run(4000);
      const {at, offset} = started[1];
      return {waits, state: speaker.status().state, late: offset * 1e3 - (heardMs(at) + 500 - 4000)};
    """,
    )
    assert found["waits"] == "tap" and found["state"] == "playing"
    assert abs(found["late"]) < 0.1


SWEEP = sweep_message(GuestSweep(bytes(16), 1_800_000_000_008_000_000_000, schedule(2, 2)[1], 120_000_000))


def test_the_sounds_of_a_calibration_start_when_the_session_says(page: browser.Page) -> None:
    found = run(
        page,
        f"""
      const {{Sweeps}} = await import("/sweeps.js");
      context.createBuffer = (channels, length) => ({{length, getChannelData: () => new Float32Array(length)}});
      speak(); run(3000); speaker.setLater(40);
      const sounds = {{...{json.dumps(SWEEP)}, begin_session_ns: sessionNs(8000)}};
      const sweeps = new Sweeps(speaker), look = () => {{ if (sweeps.plan) sweeps.look(); }};
      sweeps.play(sounds); clearInterval(sweeps.timer);
      const runAll = ms => {{ for (const end = world.ms + ms; world.ms < end;) {{ look(); run(100); }} }};
      runAll(sounds.starts_ns[sounds.starts_ns.length - 1] / 1e6 + 4500);
      const during = sweeps.plan !== null;
      runAll(4000);
      return {{
        late: started.map((one, n) => heardMs(one.at) + 500 - (8000 + sounds.starts_ns[n] / 1e6 + 40 - 120)),
        whole: started.map(one => one.at * RATE % 1), count: sounds.starts_ns.length,
        during, after: sweeps.plan !== null,
      }};
    """,
    )
    assert len(found["late"]) == found["count"] > 1
    assert max(map(abs, found["late"])) < 0.05  # ms
    assert all(min(one, 1 - one) < 1e-6 for one in found["whole"])
    assert found["during"] and not found["after"], "it ends by itself"


def test_a_sound_that_is_late_is_left_out(page: browser.Page) -> None:
    found = run(
        page,
        f"""
      const {{Sweeps}} = await import("/sweeps.js");
      context.createBuffer = (channels, length) => ({{length, getChannelData: () => new Float32Array(length)}});
      speak(); run(3000);
      const sounds = {{...{json.dumps(SWEEP)}, begin_session_ns: sessionNs(world.ms + 500), late_ns: 0}};
      sounds.starts_ns = [0, 600e6];
      const sweeps = new Sweeps(speaker);
      sweeps.play(sounds); sweeps.end();
      return {{starts: started.map(one => heardMs(one.at) + 500 - (world.ms + 500)),
              stopped: started.every(one => "stopped" in one)}};
    """,
    )
    assert found["starts"] == [pytest.approx(600, abs=0.1)]
    assert found["stopped"]


@pytest.mark.parametrize("upward", [True, False])
@pytest.mark.parametrize("rate_hz", [48000, 44100])
def test_a_sweep_of_the_page_is_a_sweep_of_the_machines(page: browser.Page, upward: bool, rate_hz: int) -> None:
    plan = json.dumps(SWEEP | {"upward": upward})
    found = page.run(f"""(async () => {{
      const {{sweepFrames}} = await import("/sweeps.js");
      return Array.from(sweepFrames({plan}, {rate_hz}));
    }})()""")
    assert found == pytest.approx(list(sweep(upward, rate_hz)), abs=1e-6)


@pytest.mark.parametrize(
    ("browsers", "kind"),
    [
        ({}, "stamp"),
        ({"lags": False}, "stamp+latency"),
        ({"stamps": False}, "latency"),
        ({"stamps": False, "tells": False}, "unknown"),
        ({"lags": False, "tells": False}, "unknown"),
    ],
    ids=["true stamp", "stamp without the latency", "no stamp", "nothing", "stamp that proves nothing"],
)
def test_the_account_of_the_output_is_chosen_by_what_the_browser_does(
    page: browser.Page, browsers: dict[str, bool], kind: str
) -> None:
    found = run(
        page,
        f"""
      Object.assign(world, {json.dumps(browsers)});
      const output = new OutputClock({{audioContext: context, now: () => world.ms}});
      for (; world.ms < 8000; world.ms += 100) output.sample();
      const at = context.currentTime;
      return {{kind: output.kind, error: output.localMs(at) - heardMs(at), uncertainty: output.uncertaintyMs()}};
    """,
    )
    assert found["kind"] == kind
    if kind.startswith("stamp"):
        assert abs(found["error"]) < 0.1
    assert abs(found["error"]) < found["uncertainty"]


def test_a_long_song_is_refused_and_a_next_one_waits_for_its_place(page: browser.Page) -> None:
    found = page.run("""(async () => {
      const {Songs} = await import("/songs.js");
      const asked = [], song = (id, seconds) => ({id, rate_hz: 48000, frames: 48000 * seconds, skip_frames: 0});
      const fetchSong = one => (asked.push(one.id), new Promise(() => {}));
      const songs = new Songs({audioContext: {sampleRate: 48000}, fetchSong});
      songs.want([song("opera", 3600), song("a", 60)]);
      const first = songs.get("opera").state;
      songs.want([song("b", 900)]);
      songs.get("b").state = "ready";
      songs.want([song("b", 900), song("c", 900)]);
      const waits = songs.get("c") === undefined;
      songs.want([song("c", 900)]);
      return {first, waits, asked};
    })()""")
    assert found == {"first": "too long", "waits": True, "asked": ["b", "c"]}


@pytest.mark.parametrize(
    ("decoded", "lead"),
    [(176400, 0), (176400 + 1055, 0), (178560, 1105), (178560 + 1152, 2257), (176400 + 576, 576), (170000, None)],
    ids=["both left out", "beginning left out", "nothing", "with the header's packet", "decoder's delay", "cut"],
)
def test_the_decoded_length_tells_where_the_song_begins(page: browser.Page, decoded: int, lead: int | None) -> None:
    found = page.run(f"""(async () => {{
      const {{leadFrames}} = await import("/songs.js");
      const song = {{rate_hz: 44100, frames: 176400}}, added = {{skip: 1105, padding: 1055}};
      return [44100, 48000].map(rate => leadFrames(song, added, Math.round({decoded} * rate / 44100), rate));
    }})()""")
    assert found == [lead, lead]


def test_an_mp3_tells_what_its_encoder_added(page: browser.Page) -> None:
    info = mp3.inspect(TUNE)
    found = page.run(
        """(async () => {
      const {addedFrames} = await import("/mp3tag.js"), {leadFrames} = await import("/songs.js");
      const data = window.tune, added = addedFrames(data);
      const buffer = await new OfflineAudioContext(2, 1, RATE).decodeAudioData(data);
      return {added, lead: leadFrames({rate_hz: RATE, frames: FRAMES}, added, buffer.length, buffer.sampleRate)};
    })()""".replace("RATE", str(info.rate_hz)).replace("FRAMES", str(info.frames))
    )
    assert found["added"] == {"skip": info.delay_frames, "padding": info.padding_frames}
    assert found["lead"] is not None


def test_a_voice_is_where_it_says(page: browser.Page) -> None:
    """Chromium renders a ramp, so each sample tells the position."""
    worst = page.run("""(async () => {
      const {Voice} = await import("/voice.js");
      const RATE = 48000, context = new OfflineAudioContext(1, RATE * 3, RATE);
      const buffer = context.createBuffer(1, RATE * 4, RATE), ramp = buffer.getChannelData(0);
      for (let n = 0; n < ramp.length; n++) ramp[n] = n / ramp.length;
      const voice = new Voice({context, destination: context.destination, buffer, frame: 4800, whenS: 0.25,
                               positionS: 0.1, endPositionS: 4, rate: 1, gain: 1});
      const knots = [];
      for (const [rate, at] of [[1.0005, 0.8], [0.9993, 1.4], [1.00002, 2.2]]) {
        voice.setRate(rate, at);
        knots.push(...voice.knots);
      }
      const heard = (await context.startRendering()).getChannelData(0);
      let worst = 0;
      for (let n = 0.3 * RATE; n < 3 * RATE; n++) {
        const at = n / RATE, knot = knots.filter(one => one.atS <= at).pop();
        worst = Math.max(worst, Math.abs(heard[n] * 4 - (knot.positionS + (at - knot.atS) * knot.rate)));
      }
      return worst;
    })()""")
    assert worst < 3e-6  # s


def test_the_browser_is_not_asked_for_its_latency_while_the_sound_starts(page: browser.Page) -> None:
    """Firefox keeps the first answer."""
    found = run(
        page,
        """
      let asked = 0;
      const stamp = context.getOutputTimestamp;
      context.getOutputTimestamp = () => { asked = asked || world.ms; return stamp(); };
      const output = new OutputClock({audioContext: context, now: () => world.ms});
      for (; world.ms < 3000; world.ms += 100) { world.shiftMs += 60; output.sample(); } // it stumbles
      for (; world.ms < 6000; world.ms += 100) output.sample();
      return {asked, usable: output.usable};
    """,
    )
    assert 3900 <= found["asked"] <= 4100
    assert found["usable"]
