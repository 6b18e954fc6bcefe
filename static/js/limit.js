// limit: how large an image the service takes. It says so only of one that is
// too large; until then the page believes what it is delivered with.
//
//     imageLimit()         bytes
//     'limitchange' on document, where the service knew better

const MIB = 2 ** 20;

let bytes = 20 * MIB;

export const imageLimit = () => bytes;

function set(value) {
  if (value === bytes) return;
  bytes = value;
  document.dispatchEvent(new Event('limitchange'));
}

// An image of that size has been taken.
export const learnTaken = (size) => set(Math.max(bytes, size));

// The service named its limit: "The image has 25.0 MiB; up to 20.0 MiB are accepted."
export function learnRefused({ slug, detail }) {
  const [, mib] = (slug === 'image-too-large' && detail.match(/up to ([\d.]+) MiB/)) || [];
  if (mib) set(Number(mib) * MIB);
}
