/**
 * Writes ZIP archives whose files are stored as they are (PKWARE APPNOTE 6.3.10): pictures are
 * compressed already.
 *
 * @module
 */

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? 0xedb88320 ^ (byte >>> 1) : byte >>> 1;
  return byte;
});
/** Version 2.0 is needed; names are UTF-8. */
const VERSION = 20;
const UTF8 = 0x0800;

/**
 * The CRC-32 of bytes, as ZIP and PNG have it.
 * @param {Uint8Array} bytes
 */
export function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/**
 * An archive.
 * @param {{name: string, blob: Blob}[]} files with different names, under 4 GB together
 * @param {Date} [at] their time
 * @returns {Promise<Blob>}
 */
export async function zip(files, at = new Date()) {
  const day = ((at.getFullYear() - 1980) << 9) | ((at.getMonth() + 1) << 5) | at.getDate();
  const time = (at.getHours() << 11) | (at.getMinutes() << 5) | (at.getSeconds() >> 1);
  /** @type {(Uint8Array<ArrayBuffer> | Blob)[]} */
  const parts = [];
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const directory = [];
  let offset = 0;
  for (const { name, blob } of files) {
    const title = new TextEncoder().encode(name);
    const crc = crc32(new Uint8Array(await blob.arrayBuffer()));
    // What the header of a file and its entry in the directory have in common.
    const common = [
      ...words(VERSION, UTF8, 0, time, day),
      ...doubles(crc, blob.size, blob.size),
      ...words(title.length, 0),
    ];
    const header = Uint8Array.from([...doubles(0x04034b50), ...common, ...title]);
    directory.push(Uint8Array.from([
      ...doubles(0x02014b50), ...words(VERSION), ...common, ...words(0, 0, 0),
      ...doubles(0, offset), ...title,
    ]));
    parts.push(header, blob);
    offset += header.length + blob.size;
  }
  const size = directory.reduce((sum, { length }) => sum + length, 0);
  const end = Uint8Array.from([
    ...doubles(0x06054b50), ...words(0, 0, files.length, files.length),
    ...doubles(size, offset), ...words(0),
  ]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

/** @param {...number} values of 16 bits */
const words = (...values) => values.flatMap((value) => [value & 255, (value >>> 8) & 255]);
/** @param {...number} values of 32 bits */
const doubles = (...values) => values.flatMap((value) => words(value & 0xffff, value >>> 16));
