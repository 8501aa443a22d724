// The songs that a page needs next: fetched, decoded, and where their frame 0 lies in what the browser decoded.

import { addedFrames } from "/mp3tag.js";

// Decoded sound that is kept, in bytes: a song of five minutes needs 106 MB at 44.1 kHz.
const MAX_DECODED_BYTES = 400e6;
const RETRY_MS = 5000;
// The delay of an MP3 decoder, which some leave out by themselves.
const DECODER_DELAY_FRAMES = 529;
const MPEG1_MIN_RATE_HZ = 32000;

// How many frames of the song's rate lie before its frame 0 in what the browser decoded, or null if the length proves
// nothing. `song` has rate_hz and frames; `added`: what its encoder added, see mp3tag.js.
//
// Browsers leave out what is added on both sides, on one, or on none, and some decode the packet that only describes
// the file. Each way gives another length.
export function leadFrames(song, added, decodedFrames, decodedRateHz) {
  const decoded = (decodedFrames * song.rate_hz) / decodedRateHz;
  const tolerance = 2 + (2 * song.rate_hz) / decodedRateHz;
  const packet = song.rate_hz >= MPEG1_MIN_RATE_HZ ? 1152 : 576;
  const leads = [0, added.skip, added.skip + packet, packet, Math.max(0, added.skip - DECODER_DELAY_FRAMES)];
  for (const end of [0, added.padding]) {
    for (const lead of leads) if (Math.abs(decoded - (lead + song.frames + end)) <= tolerance) return lead;
  }
  return null;
}

function bytesOf(song, rateHz) {
  return (song.frames / song.rate_hz) * rateHz * 2 * 4;
}

// Safari of 2019 has no promise here.
function decode(context, data) {
  return new Promise((done, failed) => {
    const promise = context.decodeAudioData(data, done, failed);
    if (promise) promise.catch(failed);
  });
}

// Keeps what `want` names last. `fetchSong(song, signal)` resolves to an ArrayBuffer.
export class Songs {
  constructor({ audioContext, fetchSong, now = () => performance.now(), maxBytes = MAX_DECODED_BYTES }) {
    this.context = audioContext;
    this.fetchSong = fetchSong;
    this.now = now;
    this.maxBytes = maxBytes;
    this.kept = new Map(); // id -> {state, buffer, leadS, unsureS, abort, retryMs}
  }

  // Have these songs, the first one first. States: "fetching", "ready", "failed" (tried again later), "too long".
  want(songs) {
    const ids = new Set(songs.map((song) => song.id));
    for (const [id, one] of this.kept) {
      if (ids.has(id)) continue;
      if (one.abort) one.abort.abort();
      this.kept.delete(id);
    }
    let bytes = 0;
    for (const song of songs) {
      bytes += bytesOf(song, this.context.sampleRate);
      const kept = this.kept.get(song.id);
      if (bytes > this.maxBytes) {
        // A next song that does not fit beside the playing one is fetched when that one has ended.
        if (!kept && song === songs[0]) this.kept.set(song.id, { state: "too long" });
        return;
      }
      if (kept && (kept.state !== "failed" || this.now() < kept.retryMs)) {
        if (kept.state === "fetching") return; // one at a time: the first one matters most
        continue;
      }
      this.load(song);
      return;
    }
  }

  get(id) {
    return this.kept.get(id);
  }

  async load(song) {
    const one = { state: "fetching", abort: new AbortController() };
    this.kept.set(song.id, one);
    try {
      const data = await this.fetchSong(song, one.abort.signal);
      const added = addedFrames(data) || { skip: song.skip_frames, padding: 0 };
      const buffer = await decode(this.context, data);
      const lead = leadFrames(song, added, buffer.length, buffer.sampleRate);
      // Not proven: half of the possible error.
      const leadS = (lead === null ? added.skip / 2 : lead) / song.rate_hz;
      Object.assign(one, { buffer, leadS, unsureS: lead === null ? leadS : 0, state: "ready" });
    } catch (error) {
      Object.assign(one, { state: "failed", retryMs: this.now() + RETRY_MS, error: String(error) });
    }
    one.abort = null;
  }
}
