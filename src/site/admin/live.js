
const POINTS = 120, MEMORY = 10;
const by = id => document.getElementById(id);
const series = {};
let last, seen = [];

function scaled(value, units, step) {
  let at = 0;
  while (value >= step && at < units.length - 1) { value /= step; at++ }
  const digits = value >= 100 || value === 0 || (at === 0 && value % 1 === 0) ? 0 : value >= 10 ? 1 : 2;
  return value.toFixed(digits) + units[at];
}
const count = value => scaled(value, ['', ' k', ' M', ' G', ' T'], 1000);
const bytes = value => scaled(value, [' B', ' KiB', ' MiB', ' GiB', ' TiB'], 1024);
function time(seconds) {
  if (seconds === null) return '–';
  if (seconds < 0.001) return Math.round(seconds * 1e6) + ' µs';
  return seconds < 1 ? scaled(seconds * 1000, [' ms'], Infinity) : scaled(seconds, [' s'], Infinity);
}
const percent = part => part === null ? '–' : (100 * part).toFixed(part > 0.9995 ? 0 : 1) + ' %';
function age(seconds) {
  for (const [unit, length] of [['d', 86400], ['h', 3600], ['min', 60]])
    if (seconds >= 2 * length) return Math.floor(seconds / length) + ' ' + unit;
  return Math.floor(seconds) + ' s';
}
const sum = values => Object.values(values).reduce((one, other) => one + other, 0);
const set = (id, text) => { if (by(id).textContent !== text) by(id).textContent = text };

// The duration that this share of the requests did not exceed, read between two bounds.
function quantile(share, bounds, counts) {
  const all = counts.reduce((one, other) => one + other, 0);
  if (all === 0) return null;
  let rank = share * all;
  for (let at = 0; at < counts.length; at++) {
    if (rank <= counts[at] && counts[at] > 0) {
      const from = at === 0 ? 0 : bounds[at - 1];
      return at < bounds.length ? from + (bounds[at] - from) * rank / counts[at] : from;
    }
    rank -= counts[at];
  }
  return bounds.at(-1);
}

function draw(name, value, show, least, most) {
  const points = series[name] ??= [];
  points.push(value);
  if (points.length > POINTS) points.shift();
  const known = points.filter(point => point !== null);
  const high = Math.max(least, ...known);
  let line = '', area = '', open = false;
  points.forEach((point, index) => {
    const x = POINTS - points.length + index;
    if (point === null) { if (open) area += `V40`; return void (open = false) }
    const y = (38 - 36 * point / high).toFixed(2);
    line += `${open ? 'L' : 'M'}${x} ${y}`;
    area += `${open ? 'L' : `M${x} 40L`}${x} ${y}`;
    if (index === points.length - 1 || points[index + 1] === null) area += 'V40Z';
    open = true;
  });
  const chart = by(name + '-chart');
  chart.children[0].setAttribute('d', area);
  chart.children[1].setAttribute('d', line);
  const text = known.length ? 'up to ' + show(Math.max(...known)) : '';
  chart.setAttribute('aria-label', `${chart.closest('section').children[0].textContent}, last two minutes: ${text}`);
  if (most) set(most, text);
}

function rows(id, entries) {
  const body = by(id).tBodies[0];
  while (body.rows.length > entries.length) body.deleteRow(-1);
  entries.forEach(([head, ...cells], at) => {
    let row = body.rows[at];
    if (!row) {
      row = body.insertRow();
      const th = document.createElement('th');
      th.scope = 'row';
      row.append(th);
      cells.forEach(() => row.insertCell());
    }
    [head, ...cells].forEach((text, cell) => {
      if (row.cells[cell].textContent !== text) row.cells[cell].textContent = text;
    });
  });
}

function show(now) {
  const codes = now.tenkay_requests_total;
  const requests = sum(Object.values(codes).map(sum));
  const point = { at: performance.now() / 1000, requests, codes,
    bytes: now.tenkay_response_bytes_total, cpu: now.process_cpu_seconds_total,
    counts: now.tenkay_request_duration_seconds.counts, cache: now.tenkay_cache_requests_total };
  // After a restart, the counters begin anew.
  if (last && requests < last.requests) last = undefined, seen = [];
  const passed = last ? point.at - last.at : 0;
  const rate = (value, before) => passed > 0 ? Math.max(0, value - before) / passed : null;
  const first = seen[0] ?? last ?? point;
  seen.push(point);
  if (seen.length > MEMORY) seen.shift();

  const perSecond = last ? rate(requests, last.requests) : null;
  set('requests', perSecond === null ? '–' : count(perSecond));
  draw('requests', perSecond, count, 1, 'requests-most');
  set('requests-total', count(requests) + ' in total');

  const traffic = last ? rate(point.bytes, last.bytes) : null;
  set('bytes', traffic === null ? '–' : bytes(traffic));
  draw('bytes', traffic, bytes, 1, 'bytes-most');
  set('bytes-total', bytes(point.bytes) + ' in total');

  const { bounds } = now.tenkay_request_duration_seconds;
  const recent = point.counts.map((value, at) => Math.max(0, value - first.counts[at]));
  const slow = quantile(0.99, bounds, recent);
  set('slow', time(slow));
  draw('slow', slow, time, 0.0005, 'slow-most');
  const median = quantile(0.5, bounds, recent);
  set('median', median === null ? 'no requests in 10 s' : `half of them: ${time(median)}`);

  const states = now.tenkay_connections, open = sum(states);
  set('open', count(open));
  draw('open', open, count, 4, 'open-most');
  set('accepted', count(now.tenkay_connections_accepted_total) + ' accepted');
  rows('states', Object.entries(states).map(([state, value]) => [state, count(value)]));

  const asked = sum(point.cache) - sum(first.cache);
  const misses = point.cache.miss - first.cache.miss;
  const hits = asked > 0 ? 1 - misses / asked : null;
  set('hits', percent(hits));
  draw('hits', hits, percent, 1);
  set('cache', `${count(now.tenkay_cache_entries)} entries, ${bytes(now.tenkay_cache_bytes)}`);
  set('files', 'open files: ' + count(now.tenkay_open_files));

  set('turn', time(now.longest_turn_seconds));
  draw('turn', now.longest_turn_seconds, time, 0.001);
  const cpu = last ? rate(point.cpu, first.cpu) : null;
  const span = point.at - first.at;
  set('cpu', cpu === null || span <= 0 ? '' : `CPU ${percent(Math.max(0, point.cpu - first.cpu) / span)}`);
  set('memory', bytes(now.process_resident_memory_bytes) + ' of memory');

  rows('codes', Object.entries(codes).map(([code, methods]) => {
    const total = sum(methods), before = sum(first.codes[code] ?? {});
    const per = span > 0 ? Math.max(0, total - before) / span : 0;
    return [code, count(per), count(total)];
  }));
  const closed = now.tenkay_connections_closed_total, limited = now.tenkay_limited_total;
  rows('trouble', [
    ['responses cut off: client too slow', count(closed.stalled)],
    ['responses cut off: file changed', count(closed.file_failed)],
    ['connections lost by the peer', count(closed.peer_lost)],
    ['connection limit reached', count(limited.connections)],
    ['limits per client reached', count(limited.connections_per_client + limited.requests_per_s)],
    ['accepting paused', count(now.tenkay_accept_pauses_total)],
    ['log lines dropped', count(now.tenkay_log_dropped_total)],
    ['panics (a bug)', count(closed.panicked)],
  ]);

  const since = Date.now() / 1000 - now.process_start_time_seconds;
  const noun = now.workers === 1 ? 'worker' : 'workers';
  const reload = now.tenkay_config_last_reload_success ? '' : '; the last reload failed';
  by('status').classList.toggle('bad', !now.ready || reload !== '');
  set('status', `${now.ready ? 'Ready' : 'Stopping'}, ${now.workers} ${noun}, up ${age(Math.max(0, since))}${reload}`);
  set('version', now.version);
  last = point;
}

async function poll() {
  const began = performance.now();
  try {
    const answer = await fetch('status.json', { cache: 'no-store', signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(answer.status);
    show(await answer.json());
    document.body.classList.remove('old');
  } catch (error) {
    by('status').classList.add('bad');
    if (!document.body.classList.contains('old')) {
      set('status', `No answer from the server since ${new Date().toLocaleTimeString()}`);
    }
    document.body.classList.add('old');
  }
  setTimeout(poll, Math.max(100, 1000 - (performance.now() - began)));
}
poll();
