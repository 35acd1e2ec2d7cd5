/**
 * Keeps a result's marking when its file is converted: the XMP that says it was made with a model.
 *
 * @module
 */

import { crc32 } from "./zip.js";

/**
 * The XMP packet of a file of the service, in which it is not compressed.
 * @param {Uint8Array} file
 * @returns {Uint8Array | null} null where there is none
 */
export function xmpOf(file) {
  const text = new TextDecoder("latin1").decode(file);
  const start = text.indexOf("<?xpacket begin");
  const end = text.indexOf("?>", text.indexOf("<?xpacket end", start));
  return start < 0 || end < 0 ? null : file.subarray(start, end + 2);
}

/**
 * The same file with an XMP packet.
 * @param {Uint8Array} file as a canvas writes it: PNG, JPEG or WebP without metadata
 * @param {Uint8Array} xmp under 64 kB
 * @param {{width: number, height: number}} size in pixels
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function withXmp(file, xmp, size) {
  if (file[0] === 0x89) return joined(file.subarray(0, 33), pngChunk(xmp), file.subarray(33));
  if (file[0] === 0xff) return joined(file.subarray(0, 2), jpegSegment(xmp), file.subarray(2));
  return webp(file, xmp, size);
}

/** An iTXt chunk (PNG, 11.3.3.4); it goes behind IHDR. */
function pngChunk(/** @type {Uint8Array} */ xmp) {
  const body = joined(ascii("iTXtXML:com.adobe.xmp\0\0\0\0\0"), xmp);
  return joined(big(body.length - 4), body, big(crc32(body)));
}

/** An APP1 segment (XMP, part 3, 1.1.3); it goes behind SOI. */
function jpegSegment(/** @type {Uint8Array} */ xmp) {
  const body = joined(ascii("http://ns.adobe.com/xap/1.0/\0"), xmp);
  const length = body.length + 2;
  return joined(Uint8Array.of(0xff, 0xe1, length >> 8, length & 255), body);
}

/**
 * An extended WebP (RFC 9649, 2.7): only such a file may have XMP.
 * @param {Uint8Array} file
 * @param {Uint8Array} xmp
 * @param {{width: number, height: number}} size
 */
function webp(file, xmp, { width, height }) {
  const chunks = file.subarray(12);
  const kind = new TextDecoder("latin1").decode(chunks.subarray(0, 4));
  const XMP = 0x04;
  const ALPHA = 0x10;
  let rest = chunks;
  let flags = XMP;
  if (kind === "VP8X") {
    flags |= chunks[8];
    rest = chunks.subarray(18);
  } else if (kind === "VP8L" && chunks[12] & ALPHA) flags |= ALPHA;
  const extended = joined(
    ascii("VP8X"), little(10, 4), little(flags, 4), little(width - 1, 3), little(height - 1, 3),
  );
  const marking = joined(ascii("XMP "), little(xmp.length, 4), xmp, new Uint8Array(xmp.length % 2));
  const length = 4 + extended.length + rest.length + marking.length;
  return joined(ascii("RIFF"), little(length, 4), ascii("WEBP"), extended, rest, marking);
}

/** @param {...Uint8Array} parts */
function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const ascii = (/** @type {string} */ text) => new TextEncoder().encode(text);
const big = (/** @type {number} */ value) =>
  Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
const little = (/** @type {number} */ value, /** @type {number} */ bytes) =>
  Uint8Array.from({ length: bytes }, (_, place) => value >>> (8 * place));
