// shrink: a picture that the service does not take, as a JPEG that it does; and
// as a thumbnail.

const SENT = { side: 2048, quality: 0.92 }; // pixels; far beyond what any classifier looks at
const THUMBNAIL = { side: 320, quality: 0.8 };

function paint(picture, width, height, side) {
  const scale = Math.min(1, side / Math.max(width, height));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext('2d');
  context.fillStyle = '#fff'; // what was transparent
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return canvas;
}

// Whether this browser can show the file, and therefore shrink it.
export async function canShrink(file) {
  try {
    (await createImageBitmap(file)).close();
    return true;
  } catch {
    return false;
  }
}

export async function shrink(file) {
  const picture = await createImageBitmap(file);
  const canvas = paint(picture, picture.width, picture.height, SENT.side);
  picture.close();
  const blob = await new Promise((done) => canvas.toBlob(done, 'image/jpeg', SENT.quality));
  return new File([blob], file.name.replace(/\.\w+$/, '') + '.jpg', { type: 'image/jpeg' });
}

// A data URL of what an <img> has loaded; '' while it has nothing.
export function thumbnail(img) {
  const { complete, naturalWidth: width, naturalHeight: height } = img;
  if (!complete || width === 0) return '';
  return paint(img, width, height, THUMBNAIL.side).toDataURL('image/jpeg', THUMBNAIL.quality);
}
