// hash: SHA-256 of a file, as the service names images.

// Lower-case hex; null where the browser has no WebCrypto (it has it on https
// and on localhost only), so that the image is simply uploaded.
export async function sha256(bytes) {
  if (!globalThis.crypto?.subtle) return null;
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
