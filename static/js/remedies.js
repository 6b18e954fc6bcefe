// remedies: what helps against a problem, by its slug. What is not listed is
// worth another try, and the page's words say all of it.

const FILE = { retry: false }; // it lies in the file: the same fails again
const SHRINKABLE = { retry: false, shrink: true }; // so does this, but not as a small JPEG
const REMEDIES = {
  'empty-file': FILE,
  'corrupt-image': { ...FILE, detailed: true },
  'too-large': SHRINKABLE,
  'image-too-large': SHRINKABLE,
  'over-limit': { retry: true, shrink: true },
  'heic': SHRINKABLE,
  'unsupported-image-type': SHRINKABLE,
  'unsupported-image': { ...SHRINKABLE, detailed: true },
  'worker-failed': { retry: true, detailed: true },
  'internal-error': { retry: true, detailed: true },
  'page-error': { retry: true, detailed: true },
};

// retry; shrink, where the browser can; detailed: the service's detail, which is
// in English, tells more than the page's words.
export function remedies({ slug }) {
  return { retry: true, shrink: false, detailed: false, ...REMEDIES[slug] };
}
