// What scripts add to pages that work without them: the cart without a reload,
// a warning before the session ends, and the streams of the page "Try it".
'use strict';

const $ = id => document.getElementById(id);
const user = document.body.dataset.user;

// Times come in UTC: the server does not know where the reader is.
function localTimes(place) {
  const form = new Intl.DateTimeFormat(document.documentElement.lang, { day: 'numeric', month: 'long', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
  for (const time of place.querySelectorAll('time[data-local]')) time.textContent = form.format(new Date(time.dateTime));
}
localTimes(document);

// Forms with data-partial fetch the parts of the page that they change, as
// htmx does. Parts take no messages, so none gets lost. The button stays as it
// is: what happened stands in #told, which screen readers read out.
let told = 0;
document.addEventListener('submit', async event => {
  const form = event.target;
  if (!('partial' in form.dataset)) return;
  event.preventDefault();
  try {
    const answer = await fetch(form.action, {
      method: 'POST', body: new URLSearchParams(new FormData(form)), headers: { 'HX-Request': 'true' },
    });
    if (!answer.ok || answer.redirected || answer.headers.has('HX-Refresh')) return location.reload();
    const parts = new DOMParser().parseFromString(await answer.text(), 'text/html').body;
    localTimes(parts);
    for (const part of [...parts.children]) $(part.id).replaceChildren(...part.childNodes);
    clearTimeout(told);
    told = setTimeout(() => $('told').replaceChildren(), 5000);
  } catch {
    form.submit();
  }
});

// Forms with data-once are sent once, however often the button is clicked: the
// browser would give up the first request, whose response may have a new cookie.
document.addEventListener('submit', event => {
  const data = event.target.dataset;
  if (!('once' in data)) return;
  if (data.once === 'sent') event.preventDefault();
  data.once = 'sent';
});

// The poll is no activity: it does not keep the session alive.
async function poll() {
  try {
    const answer = await fetch('/status');
    if (!answer.ok) return;
    const now = await answer.json();
    if (now.user !== user) return location.reload(); // signed in or out in another tab
    warn(now.seconds);
  } catch { /* offline: next time */ }
}

function warn(seconds) {
  const ending = user !== '' && seconds > 0 && seconds < 120;
  if (ending) $('expiry-in').textContent = seconds < 60 ? 'less than a minute' : 'less than two minutes';
  $('expiry').hidden = !ending;
}
if (user) setInterval(poll, 10_000);

// A page out of the back/forward cache may show what is no longer so.
addEventListener('pageshow', event => { if (event.persisted) location.reload(); });

function log(place, text) {
  place.append(text + '\n');
  place.scrollTop = place.scrollHeight;
}

if ($('events')) {
  const place = $('events'), source = new EventSource('/events');
  place.textContent = '';
  source.addEventListener('status', event => {
    const now = JSON.parse(event.data);
    log(place, `${now.user || 'somebody'}, ${now.cart} in the cart`);
  });
  source.addEventListener('bye', () => {
    source.close();
    log(place, 'The session has ended.');
    if (user) location.reload();
  });
}

if ($('socket')) {
  const form = $('socket'), place = $('heard');
  const socket = new WebSocket(location.origin.replace(/^http/, 'ws') + '/socket');
  const enable = on => { for (const control of form.elements) control.disabled = !on; };
  place.textContent = '';
  socket.onopen = () => { enable(true); log(place, 'Connected.'); };
  socket.onmessage = event => log(place, event.data);
  socket.onclose = event => { enable(false); log(place, 'Closed' + (event.reason ? ': ' + event.reason : '') + '.'); };
  form.addEventListener('submit', event => {
    event.preventDefault();
    const say = form.elements.say;
    socket.send(say.value || say.placeholder);
    say.value = '';
    say.focus();
  });
}
