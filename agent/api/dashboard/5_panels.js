// The device, its conditions, queues, documents, images and events.

const percent = (part) => (Number.isFinite(part) ? `${Math.round(part * 100)} %` : '–');

// An element with show(part): a bar that is so full.
function makeBar(title) {
  const full = svg('rect', {height: 8, width: 0, class: 'full'});
  const node = svg('svg', {class: 'bar', viewBox: '0 0 100 8', preserveAspectRatio: 'none', role: 'img', 'aria-label': title}, full);
  node.show = (part) => {
    full.setAttribute('width', Number.isFinite(part) ? 100 * part : 0);
    attr(node, 'aria-label', `${title}: ${percent(part)} used`);
  };
  return node;
}

function makeGauge(id, title, bar) {
  const value = el('span', {class: 'value'});
  const beside = el('span', {class: 'muted small'});
  const picture = bar ? makeBar(title) : plot(36, title);
  const node = el('div', {class: 'gauge', id}, el('span', {class: 'label', text: title}), value, beside, picture);
  return Object.assign(node, {show: (text, more) => { put(value, text); put(beside, more); }, picture});
}

const gauges = {cpu: makeGauge('g-cpu', 'CPU'), memory: makeGauge('g-memory', 'Memory'), disk: makeGauge('g-disk', 'Disk', true), link: makeGauge('g-link', 'Link')};
$('gauges').append(...Object.values(gauges));

const linkHistory = new History();

function showGauges(metrics, device) {
  const {node, now, nodeRates} = measured;
  const load = single(metrics.wherry_node_load1);
  gauges.cpu.show(percent(node.cpu.latest), `${plural(device.cpus, 'core')}${Number.isFinite(load) ? `, load ${load.toFixed(2)}` : ''}`);
  gauges.cpu.picture.draw(node.cpu, now, 1, `CPU of the device: ${percent(node.cpu.latest)}`);
  const total = single(metrics.wherry_node_memory_total_bytes);
  gauges.memory.show(percent(node.memory.latest / total), `${bytes(node.memory.latest)} of ${bytes(total)}`);
  gauges.memory.picture.draw(node.memory, now, total, `Memory of the device: ${percent(node.memory.latest / total)}`);
  const used = single(metrics.wherry_node_filesystem_used_bytes, {holds: 'state'});
  const free = single(metrics.wherry_node_filesystem_available_bytes, {holds: 'state'});
  gauges.disk.show(percent(used / (used + free)), `${bytes(free)} free`);
  gauges.disk.picture.show(used / (used + free));
  const sent = nodeRates.sent.next(now, sumAll(metrics.wherry_mqtt_sent_bytes_total));
  const received = nodeRates.received.next(now, sumAll(metrics.wherry_mqtt_received_bytes_total));
  linkHistory.add(now, sent + received);
  const connected = single(metrics.wherry_mqtt_connected) === 1;
  gauges.link.show(connected ? 'Connected' : 'Offline', Number.isFinite(sent) ? `${bytes(sent)}/s ↑ ${bytes(received)}/s ↓` : '');
  gauges.link.picture.draw(linkHistory, now, roundUp(linkHistory.most, true), 'Bytes to and from the broker');
  shownFacts.uptime = single(metrics.wherry_node_uptime_seconds) * 1000;
}

const sumAll = (family) => (family || []).reduce((all, each) => all + each.value, 0);

function showConditions(conditions) {
  sync($('conditions'), conditions, (condition) => condition.type, ({type}) => {
    const sign = icon('ok');
    const text = el('span', {class: 'small muted'});
    const node = el('li', {}, sign, el('span', {text: type}), el('span', {class: 'hide'}), text);
    node.update = (condition) => {
      attr(node, 'data-sign', condition.status ? 'ok' : 'bad');
      setIcon(node, condition.status ? 'ok' : 'bad');
      put(node.children[2], condition.status ? 'yes' : 'no');
      put(text, condition.status ? '' : `${whyLine({reason: condition.reason, message: condition.message || ''})} (for ${ago(condition.since)})`);
      attr(node, 'title', `since ${local(condition.since)}`);
    };
    return node;
  });
}

const shownFacts = {};

function showFacts(status) {
  const device = status.device;
  const off = Math.abs(clock.ahead) > 60000 ? `${span(Math.abs(clock.ahead))} ${clock.ahead > 0 ? 'ahead of' : 'behind'} this browser's` : '';
  const facts = [
    ['Id', device.id], ['Groups', device.groups.join(', ')],
    ['Labels', Object.entries(device.labels).map(([key, value]) => `${key}=${value}`).join(', ')],
    ['System', device.os], ['Kernel', `${device.kernel} ${device.arch}`],
    ['Processors', String(device.cpus)], ['Memory', bytes(device.memoryBytes)],
    ['containerd', device.containerd], ['Agent', device.agent], ['Up for', shownFacts.uptime > 0 ? span(shownFacts.uptime) : ''],
    ['Boot', device.boot], ['Clock', off],
    ['A day costs', status.usage ? `${bytes(status.usage.sentBytes)} sent, ${bytes(status.usage.receivedBytes)} received, ${bytes(status.usage.writtenBytes)} written (${status.usage.day})` : ''],
  ].filter(([, value]) => value);
  sync($('facts'), facts, ([key]) => key, ([key]) => {
    const value = el('dd');
    const node = el('div', {}, el('dt', {text: key}), value);
    node.update = ([, text]) => put(value, text);
    return node;
  });
}

function showQueues(metrics) {
  const records = sumBy(metrics.wherry_outbox_records, 'kind');
  const held = sumBy(metrics.wherry_outbox_bytes, 'kind');
  const dropped = sumBy(metrics.wherry_outbox_dropped_records_total, 'kind');
  sync($('queues'), [...records.keys()], (kind) => kind, (kind) => {
    const cells = [0, 1, 2].map(() => el('td', {class: 'num'}));
    const node = el('tr', {}, el('th', {scope: 'row', text: kind}), ...cells);
    node.update = () => {
      put(cells[0], String(records.get(kind)));
      put(cells[1], bytes(held.get(kind)));
      put(cells[2], String(dropped.get(kind) || 0));
      cells[2].classList.toggle('some', dropped.get(kind) > 0);
    };
    return node;
  });
}

function showDocuments(documents) {
  const signs = {Applied: 'ok', Applying: 'busy', Failed: 'bad', RolledBack: 'warn'};
  sync($('documents'), documents, (document) => document.source, ({source}) => {
    const state = el('span', {class: 'state'}, icon('busy'), el('span'));
    const more = el('ul', {class: 'findings'});
    const node = el('li', {}, el('div', {class: 'pair'}, el('span', {class: 'break', text: source}), state), more);
    node.update = (document) => {
      attr(state, 'data-sign', signs[document.state] || 'none');
      setIcon(state, signs[document.state] || 'none');
      put(state.lastElementChild, `${document.state}${document.revision ? `, revision ${document.revision}` : ''}`);
      const refused = document.rejected ? [`${document.rejected.revision ? `Revision ${document.rejected.revision}` : 'A document that cannot be read'} was refused:`, ...document.rejected.errors.map(finding)] : [];
      const texts = [...refused, ...document.errors.map(finding), ...document.warnings.map((each) => `Warning: ${finding(each)}`)];
      sync(more, [...new Set(texts)].slice(0, 20), (text) => text, (text) => el('li', {text}));
    };
    return node;
  });
  $('no-documents').hidden = documents.length > 0;
}

const finding = (each) => `${each.path ? `${each.path}: ` : ''}${each.message}${each.line ? ` (line ${each.line})` : ''}`;

function makePull({image}) {
  const bar = el('progress', {max: 100, 'aria-label': `Pull of ${image}`});
  const text = el('span', {class: 'muted small'});
  const node = el('li', {}, el('span', {class: 'mono break', text: shortImage(image), title: image}), bar, text);
  node.update = (pull) => {
    if (pull.percent === null) bar.removeAttribute('value');
    else bar.value = pull.percent;
    put(text, pull.percent === null ? `${bytes(pull.doneBytes)} so far` : `${pull.percent} % of ${bytes(pull.totalBytes)}, ${bytes(pull.bytesPerSecond)}/s`);
  };
  return node;
}

function showImages({images, pulls}) {
  sync($('pulls'), pulls, (pull) => pull.image, makePull);
  sync($('images'), images, (image) => `${image.name} ${image.digest}`, (image) => {
    const more = el('span', {class: 'muted small'});
    const node = el('li', {title: `${image.name}\n${image.digest}`}, el('span', {class: 'mono break', text: shortImage(image.name)}), more);
    node.update = ({sizeBytes, kept, users, lastUsed}) => {
      const by = users.length > 3 ? `${users.slice(0, 3).join(', ')} and ${users.length - 3} more` : users.join(', ');
      put(more, [bytes(sizeBytes), kept, by && `used by ${by}`, lastUsed && `last used ${ago(lastUsed)} ago`].filter(Boolean).join(' · '));
    };
    return node;
  });
  put($('images-sum'), images.length ? `${images.length}, ${bytes(images.reduce((all, image) => all + image.sizeBytes, 0))}` : '');
  $('no-images').hidden = images.length > 0 || pulls.length > 0;
  put($('no-images'), 'No image is on the device.');
}

function showNoImages(text) {
  sync($('pulls'), [], String, null);
  sync($('images'), [], String, null);
  put($('images-sum'), '');
  put($('no-images'), text);
  $('no-images').hidden = false;
}

function makeEvent(event) {
  const about = event.workload ? [el('a', {class: 'name', href: `#workload/${encodeURIComponent(event.workload)}`, text: event.workload}), event.container && event.container !== event.workload ? `/${event.container} ` : ' '] : [];
  const warning = event.type !== 'Normal';
  return el('li', {class: warning ? 'warning' : ''}, warning ? icon('warn') : icon('none'),
    el('time', {datetime: event.at, title: local(event.at), text: new Date(event.at).toLocaleTimeString()}),
    el('span', {class: 'break'}, ...about, el('b', {text: event.reason}), el('span', {class: 'hide', text: warning ? ' (warning)' : ''}), ` ${event.message}`));
}

const kEventsShown = 300;
// `anew`: the agent may be another one since, whose store may be, too, and then counts from 1.
const events = {last: 0, list: [], warnings: false, due: false, anew: false};
const eventKey = (event) => `${event.number} ${event.at}`;

// Newest first; drawn once for all that came together.
function addEvents(lines) {
  if (events.anew) Object.assign(events, {last: 0, list: [], anew: false});
  for (const line of lines) {
    if (!line) continue;
    const event = JSON.parse(line);
    if (event.number <= events.last) continue;
    events.last = event.number;
    events.list.unshift(event);
  }
  events.list.length = Math.min(events.list.length, kEventsShown);
  if (events.due) return;
  events.due = true;
  requestAnimationFrame(showEvents);
}

function showEvents() {
  events.due = false;
  const list = events.warnings ? events.list.filter((event) => event.type !== 'Normal') : events.list;
  sync($('events'), list, eventKey, makeEvent);
  $('no-events').hidden = list.length > 0;
}

for (const warnings of [false, true]) {
  $(warnings ? 'events-warnings' : 'events-all').addEventListener('click', () => {
    events.warnings = warnings;
    press($('events-all'), !warnings);
    press($('events-warnings'), warnings);
    showEvents();
  });
}
