// history: what this tab was answered, so that it is there again after a reload
// or on the way back: names, ids and small pictures, newest first, for as long
// as the tab is open. Where storage is full or forbidden there is none.

const KEY = 'convoy.history';
const KEPT = 24;

export function recall() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? [];
  } catch {
    return [];
  }
}

export function remember(records) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(records.slice(0, KEPT)));
  } catch {
    // then the page is all there is
  }
}
