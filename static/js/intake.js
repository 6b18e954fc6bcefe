// intake: every way for an image to get onto the page: drop, paste, file
// dialog, camera. All of them end in onFiles(array of File).

import { ACCEPT } from './filetype.js';

function startPickers({ choose, photograph, picker, camera }, onFiles) {
  picker.accept = ACCEPT;
  choose.addEventListener('click', () => picker.click());
  photograph.addEventListener('click', () => camera.click());
  for (const input of [picker, camera]) {
    input.addEventListener('change', () => {
      onFiles([...input.files]);
      input.value = ''; // so that the same file can be chosen again
    });
  }
}

function startDrop(onFiles, onNothing) {
  let depth = 0; // dragenter and dragleave come for every element inside
  let ours = false; // what is dragged is of this page, a link or marked text
  const show = (dragging) => document.body.classList.toggle('dragging', dragging);
  const end = () => {
    depth = 0;
    show(false);
  };
  const holdsFiles = (event) => !ours && event.dataTransfer.types.includes('Files');
  window.addEventListener('dragstart', () => { ours = true; });
  window.addEventListener('dragenter', (event) => show(++depth > 0 && holdsFiles(event)));
  window.addEventListener('dragleave', (event) => show(--depth > 0 && holdsFiles(event)));
  window.addEventListener('dragover', (event) => {
    if (ours) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = 'copy';
  });
  window.addEventListener('drop', (event) => {
    event.preventDefault(); // or the browser leaves for the file
    if (ours) return;
    end();
    const files = [...event.dataTransfer.files];
    if (files.length) onFiles(files);
    else onNothing();
  });
  window.addEventListener('dragend', () => {
    ours = false;
    end();
  });
}

function startPaste(onFiles) {
  window.addEventListener('paste', (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    onFiles(files);
  });
}

export function startIntake(elements, { onFiles, onNothing }) {
  startPickers(elements, onFiles);
  startDrop(onFiles, onNothing);
  startPaste(onFiles);
}
