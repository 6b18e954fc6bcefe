// openapi: shows the description of the API, which browsers would only save.

const source = document.getElementById('source');
const response = await fetch('/openapi.yaml');
source.textContent = response.ok ? await response.text() : '';
source.hidden = !response.ok;
