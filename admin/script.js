'use strict';
// The page has its times in UTC: the server does not know where its reader is.
for (const time of document.querySelectorAll('time')) {
  const clock = time.hasAttribute('data-clock');
  time.title = time.dateTime;
  time.textContent = new Date(time.dateTime).toLocaleString(undefined, clock ? { timeStyle: 'medium' } : { dateStyle: 'medium', timeStyle: 'short' });
}
for (const zone of document.querySelectorAll('.utc')) zone.remove();
