// What an encoder has added to an MP3: read from the Xing or Info header of LAME and FFmpeg, as ext/pl_mp3.c does.

// The delay of every layer III decoder. The delay in the file is only the encoder's.
const DECODER_DELAY_FRAMES = 529;
// The header is in the first packet behind the tags; a packet has at most 2881 bytes.
const SEARCHED_BYTES = 4096;

function text(bytes, at, length) {
  return String.fromCharCode.apply(null, bytes.subarray(at, at + length));
}

// {skip, padding}: frames before frame 0 and behind the last one, in a decoder that leaves out none. Null if the file
// does not tell. `data`: an ArrayBuffer.
export function addedFrames(data) {
  const bytes = new Uint8Array(data);
  let begin = 0;
  if (text(bytes, 0, 3) === "ID3") {
    begin = 10 + bytes[6] * 0x200000 + bytes[7] * 0x4000 + bytes[8] * 0x80 + bytes[9];
  }
  const end = Math.min(bytes.length - 32, begin + SEARCHED_BYTES);
  for (let at = begin; at < end; at++) {
    const mark = bytes[at] === 0x58 || bytes[at] === 0x49 ? text(bytes, at, 4) : "";
    if (mark !== "Xing" && mark !== "Info") continue;
    const fields = bytes[at + 7];
    const tag = at + 8 + (fields & 1 ? 4 : 0) + (fields & 2 ? 4 : 0) + (fields & 4 ? 100 : 0) + (fields & 8 ? 4 : 0);
    const writer = text(bytes, tag, 4);
    if (tag + 24 > bytes.length || (writer !== "LAME" && !writer.startsWith("Lav"))) return null;
    const delay = (bytes[tag + 21] << 4) | (bytes[tag + 22] >> 4);
    const padding = ((bytes[tag + 22] & 15) << 8) | bytes[tag + 23];
    return { skip: delay + DECODER_DELAY_FRAMES, padding: Math.max(0, padding - DECODER_DELAY_FRAMES) };
  }
  return null;
}
