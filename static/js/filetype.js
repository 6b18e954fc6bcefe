// filetype: what a file is by its first bytes, as the service sees it too;
// names lie.

const ascii = (bytes, at, length) =>
  String.fromCharCode(...bytes.subarray(at, at + length));

const HEIF_BRANDS = ['heic', 'heix', 'hevc', 'hevx', 'heim', 'heis', 'mif1', 'msf1'];
const AVIF_BRANDS = ['avif', 'avis'];

// One row a type: its media type, whether the service reads it, its mark.
const TYPES = [
  ['image/jpeg', true, (b) => b[0] === 0xff && b[1] === 0xd8 && b[2] === 0xff],
  ['image/png', true, (b) => ascii(b, 0, 4) === '\x89PNG'],
  ['image/webp', true, (b) => ascii(b, 0, 4) === 'RIFF' && ascii(b, 8, 4) === 'WEBP'],
  ['image/gif', true, (b) => ascii(b, 0, 4) === 'GIF8'],
  ['image/bmp', true, (b) => ascii(b, 0, 2) === 'BM'],
  ['image/heic', false, (b) => ascii(b, 4, 4) === 'ftyp' && HEIF_BRANDS.includes(ascii(b, 8, 4))],
  ['image/avif', false, (b) => ascii(b, 4, 4) === 'ftyp' && AVIF_BRANDS.includes(ascii(b, 8, 4))],
  ['image/tiff', false, (b) => ['II*\0', 'MM\0*'].includes(ascii(b, 0, 4))],
  ['application/pdf', false, (b) => ascii(b, 0, 5) === '%PDF-'],
];

// What the file dialog offers. Without HEIC in it, an iPhone sends JPEG.
export const ACCEPT = TYPES.filter(([, served]) => served).map(([type]) => type).join(',');

// served: true, false, or null where only the service can tell.
export function fileType(bytes) {
  const head = bytes.subarray(0, 16);
  const row = TYPES.find(([, , matches]) => matches(head));
  return row ? { type: row[0], served: row[1] } : { type: 'image/unknown', served: null };
}
